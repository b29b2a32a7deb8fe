/**
 * Failures at random moments under a steady load of everything that clients do: from the failure to the next
 * acknowledged write; and what must be zero, which is every broken promise: a keyed event lost, doubled or in another
 * order somewhere, a stream with a gap, an operation that took effect twice or never, a submission that became two tasks, a
 * task with two results or none, a read older than an acknowledged write.
 *
 *     node bench/faults.ts [--rounds 20] [--kinds stop,isolate,reset,kill] [--no-proofs]
 *
 * Beside tasks that prove nothing, the worker pool proves Merkle paths. Traffic goes to 127.0.0.1 only; the run ends by
 * itself.
 */
import { parseArgs } from "node:util";
import { pause } from "../test/support/load/clients.ts";
import { type Findings, startLoad } from "../test/support/load/load.ts";
import { Group, REPLICAS, recovery } from "./group.ts";
import { startRealProofs } from "./real-proofs.ts";
import { startWorkerd } from "./workerd.ts";

const WRITERS = 4;
const READERS = 3;
const WRITE_PAUSE_MS = 20;
const TASK_EVERY_MS = 1500;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    kinds: { type: "string", default: "stop,isolate,reset,kill" },
    "no-proofs": { type: "boolean", default: false },
  },
});
const rounds = Number(flags.rounds);
const kinds = flags.kinds.split(",");

const workerd = await startWorkerd({ LOCAL_PORT_BASE: "8090", BENCH: "on" });
const group = new Group(workerd.url);
const problems: string[] = [];

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

console.log(`cluster on workerd at ${workerd.url}; ${rounds} rounds of each of ${kinds.join(", ")}`);
await group.ready();
const proofs = flags["no-proofs"] ? undefined : startRealProofs(group.client, workerd.url, TASK_EVERY_MS);
const load = await startLoad({
  url: workerd.url,
  replicas: REPLICAS,
  name: "load",
  writers: WRITERS,
  readers: READERS,
  pause_ms: WRITE_PAUSE_MS,
});
const figures: Record<string, number[]> = {};
let found: Findings;
try {
  await pause(2000);
  for (const kind of kinds) {
    const times: number[] = [];
    figures[kind] = times;
    for (let round = 0; round < rounds; round++) {
      const victim = await group.leader();
      await pause(300 * Math.random());
      let since = performance.now();
      if (kind === "kill") {
        await workerd.kill();
        since = performance.now();
        await workerd.start();
      } else if (kind === "stop" || kind === "isolate" || kind === "reset")
        await group.fault(victim, { action: kind });
      else throw new Error(`there is no failure of the kind ${kind}`);
      if (kind === "stop" || kind === "isolate") since = performance.now();
      times.push(await recovery(kind, since, load.acknowledged));
      await pause(300);
      if (kind === "stop") await group.fault(victim, { action: "start" });
      if (kind === "isolate") await group.fault(victim, { action: "heal" });
      await group.ready();
      await pause(400);
    }
    const sorted = times.toSorted((a, b) => a - b);
    console.log(
      `${kind.padEnd(8)} rounds ${times.length}  median ${quantile(sorted, 0.5).toFixed(0)} ms  max ${quantile(sorted, 1).toFixed(0)} ms`,
    );
  }

  if (proofs) problems.push(...(await proofs.finish()));
  found = await load.stop();
} finally {
  await proofs?.close();
  await workerd.close();
}

console.log(`acknowledged: ${found.events} events, ${found.operations} operations, ${found.tasks} tasks`);
console.log(
  `${found.repeats} repeats had the first answer; ${found.reads} reads and ${found.raced} operations on registers were checked`,
);
console.log(
  `streams and handlers: ${REPLICAS.length + 1} of each, resumed ${found.resumed} and ${found.handler_crashes} times of their own accord`,
);
console.log(
  `proved and verified: ${proofs?.submitted() ?? 0} tasks; answers that asked for another try ${JSON.stringify(found.again)}`,
);
problems.push(...found.broken);
console.log(`promises that were not kept: ${problems.length}`);
for (const problem of problems.slice(0, 20)) console.log(`problem: ${problem}`);
const slow = ["stop", "isolate"].flatMap((kind) => figures[kind] ?? []).filter((ms) => ms >= 1000).length;
if (slow > 0) console.log(`${slow} rounds of stop or isolate took a second or more`);
process.exitCode = problems.length + slow > 0 ? 1 : 0;
