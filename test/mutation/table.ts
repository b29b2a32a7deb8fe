/** What came of a mutation run, for people: lines while it goes on, and a page for `docs`. */
import type { Attempt, Finding } from "./attempts.ts";
import type { Mutation } from "./mutation.ts";

export interface Row {
  readonly mutation: Mutation;
  readonly attempt: Attempt;
  readonly seconds: number;
  /** What the simulation found by itself, if it was asked. */
  readonly finding?: Finding;
}

/** The seed that broke something; `–` if none did, `!` if the search came to no end. */
function seedOf({ seed, invariant }: Finding): string {
  if (seed !== undefined) return `${seed}`;
  return invariant === undefined ? "–" : "!";
}

export function lineOf({ mutation, attempt, seconds, finding }: Row): string {
  const traps = mutation.traps.join(" ") || "–";
  const outcome = attempt.type === "failed" ? `${attempt.type}: ${attempt.why}` : attempt.type;
  return [
    outcome.padEnd(8),
    mutation.id.padEnd(30),
    traps.padEnd(6),
    `${seconds.toFixed(1)} s`.padStart(7),
    finding === undefined ? "" : seedOf(finding).padStart(5),
    mutation.fault,
  ].join("  ");
}

/** `seeds` as many as the simulation was given for each fault. */
export function pageOf(rows: readonly Row[], seeds: number): string {
  const found = rows.filter(({ finding }) => finding?.seed !== undefined).length;
  const total = rows.reduce((sum, { seconds }) => sum + seconds, 0);
  const killed = rows.filter(({ attempt }) => attempt.type === "killed").length;
  return `# Faults put into the core

\`npm run mutate\` puts ${rows.length} faults into \`src/raft\`, one at a time, and demands that each is noticed by the test named for it:
a fault that nobody notices fails the run, and so does one whose text is no longer found in the core exactly once. Before that, every
named test must pass on the core as it is. The faults are listed in \`test/mutation/faults\`; nothing on disk is changed, they are put in
while the core is loaded. \`npm run mutate -- --only older-term\` tries one.

In this run ${killed} of ${rows.length} were killed, in ${Math.round(total / 60)} minutes of process time. *Traps* are the numbers of the table in [raft.md](raft.md).
*Simulation* is the first seed of the simulation that breaks an invariant with the fault in it, out of ${seeds} (\`npm run mutate -- --seeds ${seeds} --write\`,
which also writes this page); it found ${found} by itself (\`!\` means that it did not come to an end). The others are why the named tests exist: they cost time, messages or memory and
break no promise, or need more of a coincidence than that many seeds hold.

| fault | traps | what is broken | noticed by | simulation |
| --- | --- | --- | --- | ---: |
${rows.map(rowOf).join("\n")}
`;
}

function rowOf({ mutation, attempt, finding }: Row): string {
  const { id, traps, fault, file, killer } = mutation;
  const by = killer.type === "test" ? `${killer.file}: ${killer.title}` : `simulation, ${killer.seeds} seeds`;
  const noticed = attempt.type === "killed" ? by : `**${attempt.type}**, should be: ${by}`;
  const seed = finding === undefined ? "" : seedOf(finding);
  const cells = [`\`${id}\` (${file})`, traps.join(", "), fault, noticed, seed];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
