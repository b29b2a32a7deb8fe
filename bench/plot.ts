/** Curves over one time axis, panel below panel, as an SVG file that needs nothing else. */

export interface Curve {
  readonly name: string;
  readonly colour: string;
  /** By time; a null is a gap. */
  readonly points: readonly (readonly [at: number, value: number | null])[];
}

export interface Panel {
  readonly title: string;
  readonly curves: readonly Curve[];
}

export interface Plot {
  readonly title: string;
  /** Of the time axis. */
  readonly unit: string;
  readonly ends: number;
  readonly panels: readonly Panel[];
  /** Vertical lines through all panels. */
  readonly marks: readonly number[];
  readonly marked: string;
}

const WIDTH = 900;
const LEFT = 70;
const RIGHT = 20;
const TOP = 60;
const PANEL = 150;
const GAP = 46;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** The next of 1, 2, 5, 10, 20, … */
function ceiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

function pathOf(points: Curve["points"], x: (at: number) => number, y: (value: number) => number): string {
  let drawing = false;
  let path = "";
  for (const [at, value] of points) {
    if (value !== null) path += `${drawing ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    drawing = value !== null;
  }
  return path;
}

function panelOf({ title, curves }: Panel, top: number, x: (at: number) => number): string {
  const values = curves.flatMap(({ points }) => points.flatMap(([, value]) => (value === null ? [] : value)));
  const most = ceiling(values.reduce((max, value) => Math.max(max, value), 0));
  const y = (value: number): number => top + PANEL * (1 - value / most);
  const lines = [0, 0.5, 1].map((share) => {
    const at = y(share * most).toFixed(1);
    return (
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${share * most}</text>`
    );
  });
  let along = LEFT + 8 * title.length;
  const legend = curves.map(({ name, colour }) => {
    along += 30;
    const label = `<text x="${along}" y="${top - 8}" fill="${colour}">${escaped(name)}</text>`;
    along += 7 * name.length;
    return label;
  });
  const drawn = curves.map(
    ({ colour, points }) => `<path d="${pathOf(points, x, y)}" fill="none" stroke="${colour}"/>`,
  );
  const head = `<text x="${LEFT}" y="${top - 8}" font-weight="bold">${escaped(title)}</text>`;
  return [head, ...legend, ...lines, ...drawn].join("\n");
}

export function svgOf({ title, unit, ends, panels, marks, marked }: Plot): string {
  const height = TOP + panels.length * (PANEL + GAP) + 10;
  const x = (at: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * at) / ends;
  const bottom = TOP + panels.length * (PANEL + GAP) - GAP;
  const ticks = Array.from({ length: 7 }, (_, nth) => (nth * ends) / 6).map((at) => {
    return `<text x="${x(at).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${Number(at.toFixed(1))}</text>`;
  });
  const lines = marks.map((at) => {
    const place = x(at).toFixed(1);
    return `<line x1="${place}" x2="${place}" y1="${TOP}" y2="${bottom}" stroke="#c00" stroke-dasharray="2 4"/>`;
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${LEFT}" y="22" font-size="15">${escaped(title)}</text>`,
    marks.length === 0
      ? ""
      : `<text x="${WIDTH - RIGHT}" y="22" text-anchor="end" fill="#c00">${escaped(marked)}</text>`,
    ...lines,
    ...panels.map((panel, nth) => panelOf(panel, TOP + nth * (PANEL + GAP), x)),
    ...ticks,
    `<text x="${WIDTH - RIGHT}" y="${bottom + 34}" text-anchor="end">${escaped(unit)}</text>`,
    "</svg>",
  ].join("\n")}\n`;
}
