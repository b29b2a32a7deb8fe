/** A measured figure, what it has to be, and how it is shown. */

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly must?: number;
  readonly goal?: number;
  /** What a system that Troika replaces publishes, in its own words. */
  readonly published?: string;
  /** One for each round: the figure is their median, its spread the lowest and the highest. */
  readonly samples: readonly number[];
}

/** What a program measures, by one name; whatever it keeps is closed when it is over. */
export interface Section {
  readonly name: string;
  run(bench: Bench): Promise<readonly Figure[]>;
}

export interface Bench {
  /** Fewer and shorter rounds, smaller stores: names of figures say so where it matters. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one round. */
  readonly seconds: number;
  keep<Opened extends { close(): Promise<unknown> }>(opening: Promise<Opened>): Promise<Opened>;
  /** Said to whoever waits; no figure. */
  note(text: string): void;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

const rounded = (value: number): number => Number(value.toPrecision(3));

export function jsonOf({ name, unit, better, must, goal, published, samples }: Figure): string {
  const value = rounded(median(samples));
  const spread = [rounded(Math.min(...samples)), rounded(Math.max(...samples))];
  return JSON.stringify({ name, value, unit, must, goal, better, spread, published });
}

export function lineOf({ name, unit, better, must, goal, published, samples }: Figure): string {
  const value = rounded(median(samples));
  const spread = [Math.min(...samples), Math.max(...samples)].map(rounded).join(" … ");
  const met = must === undefined || (better === "higher" ? value >= must : value <= must);
  const due = must === undefined ? "" : `must ${must}, goal ${goal ?? "-"}${met ? "" : "  NOT MET"}`;
  const theirs = published === undefined ? "" : `published: ${published}`;
  return `${name.padEnd(66)} ${String(value).padStart(8)} ${unit.padEnd(8)} [${spread}]  ${due}${theirs}`.trimEnd();
}

/** Runs one section, and closes what it kept, the last first. */
export async function figuresOf(section: Section, options: Omit<Bench, "keep">): Promise<readonly Figure[]> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await section.run({
      ...options,
      async keep(opening) {
        const opened = await opening;
        closers.unshift(() => opened.close());
        return opened;
      },
    });
  } finally {
    for (const close of closers) await close();
  }
}
