/** What happened in a run, counted: a simulation in which nothing happens proves nothing. */

const NAMES = [
  "runs",
  "steps",
  "hours",
  "elections",
  "decided",
  "writes",
  "reads",
  "crashes",
  "torn",
  "diskFailures",
  "pauses",
  "partitions",
  "sent",
  "dropped",
  "repeated",
  "foundings",
  "wiped",
  "lost",
  "membershipChanges",
  "jointChanges",
  "transfers",
  "snapshots",
  "installed",
  "cut",
  "silences",
  "resumed",
  "unviable",
] as const;

export type Figure = (typeof NAMES)[number];
export type Figures = Record<Figure, number>;

export function noFigures(): Figures {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Figures;
}

export function addFigures(sum: Figures, more: Readonly<Figures>): void {
  for (const name of NAMES) sum[name] += more[name];
}

/** One line per figure. */
export function printFigures(figures: Readonly<Figures>): string {
  const shown = (value: number) => value.toLocaleString("en", { maximumFractionDigits: 2 });
  return NAMES.map((name) => `  ${name.padEnd(18)} ${shown(figures[name]).padStart(16)}`).join("\n");
}
