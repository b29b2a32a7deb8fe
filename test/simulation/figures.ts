/** What happened in a run, counted: a simulation in which nothing happens proves nothing. */

const NAMES = [
  "runs",
  "runsOfFive",
  "steps",
  "hours",
  "foundings",
  "elections",
  "decided",
  "writes",
  "reads",
  "leaseReads",
  "sent",
  "dropped",
  "repeated",
  "partitions",
  "oneWayPartitions",
  "linksCut",
  "slowLinks",
  "crashes",
  "crashesOfAll",
  "deathsWithinBatch",
  "torn",
  "diskFailures",
  "slowDisks",
  "outOfOrder",
  "pauses",
  "pausesOfAll",
  "stalls",
  "clockJumps",
  "wiped",
  "lost",
  "membershipChanges",
  "jointChanges",
  "transfers",
  "snapshots",
  "installed",
  "cut",
  "resumed",
  "fellSilent",
  "silences",
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
