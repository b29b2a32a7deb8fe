/**
 * `npm run mutate [-- --only ID,ID] [--seeds N] [--write]`: puts every fault into the core, one at a
 * time, and fails unless what is named for it notices. With `--seeds` the simulation looks for each
 * as well, in so many runs, which decides nothing; `--write` then writes `docs/mutations.md`.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { attempt, found, unsound } from "./attempts.ts";
import { mutationNamed, mutations } from "./faults/index.ts";
import type { Mutation } from "./mutation.ts";
import { lineOf, pageOf, type Row } from "./table.ts";

const AT_ONCE = 2;
const PAGE = new URL("../../docs/mutations.md", import.meta.url);

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seeds: { type: "string", default: "0" },
    write: { type: "boolean", default: false },
  },
});
const seeds = Number(values.seeds);
if (!Number.isInteger(seeds) || seeds < 0 || (values.write && (seeds === 0 || values.only !== undefined))) {
  console.error("npm run mutate [-- --only ID,ID] [--seeds N], and for the page: --seeds 1000 --write");
  process.exit(2);
}
const chosen = values.only === undefined ? mutations : values.only.split(",").map(mutationNamed);

const complaints = await unsound(chosen.map(({ killer }) => killer));
if (complaints.length > 0) {
  console.error(`The core without any fault:\n${complaints.join("\n")}`);
  process.exit(1);
}

async function rowOf(mutation: Mutation): Promise<Row> {
  const began = performance.now();
  const outcome = await attempt(mutation);
  const seconds = (performance.now() - began) / 1_000;
  const row: Row = { mutation, attempt: outcome, seconds };
  if (seeds === 0) return row;
  return { ...row, finding: await found(seeds, mutation) };
}

const waiting = [...chosen];
const rows = new Map<Mutation, Row>();
async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
    const row = await rowOf(mutation);
    rows.set(mutation, row);
    console.log(lineOf(row));
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work));

const inOrder = chosen.flatMap((mutation) => rows.get(mutation) ?? []);
const left = inOrder.filter(({ attempt: { type } }) => type !== "killed");
console.log(`${inOrder.length - left.length} of ${inOrder.length} faults were noticed`);
for (const { mutation, attempt: outcome } of left) {
  const { killer } = mutation;
  const by = killer.type === "test" ? `${killer.file}, "${killer.title}"` : `${killer.seeds} seeds`;
  console.log(`${outcome.type}: ${mutation.id}, to be noticed by ${by}`);
}
if (values.write) writeFileSync(PAGE, pageOf(inOrder, seeds));
process.exitCode = left.length === 0 ? 0 : 1;
