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
  "forwarded",
  "sent",
  "dropped",
  "repeated",
  "overtaken",
  "partitions",
  "oneWayPartitions",
  "linksCut",
  "slowLinks",
  "crashes",
  "crashesOfAll",
  "diedBeforeSending",
  "diedBeforeWriting",
  "diedAfterWriting",
  "diedOnceDurable",
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
  "woken",
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
  return NAMES.map((name) => lineOf(inWords(name), shown(figures[name]))).join("\n");
}

export function lineOf(what: string, value: string): string {
  return `  ${what.padEnd(20)} ${value.padStart(16)}`;
}

function inWords(name: Figure): string {
  return name === "hours"
    ? "simulated hours"
    : name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
