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
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { createClient } from "../src/client/index.ts";
import { PATIENCE_MS, pause } from "../test/support/load/clients.ts";
import { type Findings, startLoad } from "../test/support/load/load.ts";
import { startWorkerd } from "./workerd.ts";

const REPLICAS = ["coordinator-1", "coordinator-2", "coordinator-3"];
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
const client = createClient({ url: workerd.url, retry_for_ms: PATIENCE_MS });
const proofs: string[] = [];
const problems: string[] = [];
let stopping = false;

async function submitProofs(): Promise<void> {
  for (let count = 1; !stopping; count++) {
    const leaves = [`0x${count.toString(16)}`, "0xabcdef"];
    try {
      proofs.push((await client.tasks.submitMerkle({ leaves })).task_id);
    } catch (error) {
      problems.push(`submission ${count}: ${String(error)}`);
    }
    await pause(TASK_EVERY_MS);
  }
}

async function checkProofs(): Promise<void> {
  const deadline = Date.now() + 180_000;
  for (const task_id of proofs) {
    const timeout_ms = Math.max(0, deadline - Date.now());
    const { status, error } = await client.tasks.wait(task_id, { timeout_ms });
    if (status !== "completed") problems.push(`task ${task_id} is ${status}: ${error}`);
    const { items } = await client.tasks.attempts(task_id);
    const results = items.filter(({ outcome }) => outcome === "completed").length;
    if (results !== 1) problems.push(`task ${task_id} has ${results} results`);
  }
}

async function ready(): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const healths = await Promise.allSettled(REPLICAS.map((name) => client.health(name)));
    const healthy = healths.every(
      (health) => health.status === "fulfilled" && health.value.status === "healthy",
    );
    if (healthy && (await client.ready())) return;
    if (performance.now() > deadline)
      throw new Error(`the cluster does not recover: ${JSON.stringify(healths)}`);
    await pause(25);
  }
}

async function leader(): Promise<string> {
  for (;;) {
    const { current_leader } = await client.status(undefined, { retry_for_ms: PATIENCE_MS });
    if (typeof current_leader === "string") return current_leader;
    await pause(25);
  }
}

/**
 * Milliseconds from the failure to the next acknowledgement. A reset strikes a moment after it was asked for, so
 * there the longest time without an acknowledgement counts.
 */
async function recovery(kind: string, since: number): Promise<number> {
  const deadline = since + 30_000;
  if (kind === "reset") await pause(1500);
  for (;;) {
    const after = load.acknowledged.filter(({ sent_at }) => sent_at >= since).map(({ at }) => at);
    const first = after.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
    if (kind !== "reset" && first < deadline) return first - since;
    const gaps = after.toSorted((a, b) => a - b).map((at, index, all) => at - (all[index - 1] ?? since));
    if (kind === "reset" && gaps.length > 0) return Math.max(...gaps);
    if (performance.now() > deadline) return Number.POSITIVE_INFINITY;
    await pause(2);
  }
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

console.log(`cluster on workerd at ${workerd.url}; ${rounds} rounds of each of ${kinds.join(", ")}`);
await ready();
const pool = flags["no-proofs"]
  ? undefined
  : spawn(process.execPath, [new URL("../worker-sim/main.ts", import.meta.url).pathname, "pool"], {
      env: { ...process.env, TROIKA_URL: workerd.url, CONCURRENCY: "1", WORKER_ID: "bench-pool" },
      stdio: ["ignore", "ignore", "inherit"],
    });
const load = await startLoad({
  url: workerd.url,
  replicas: REPLICAS,
  name: "load",
  writers: WRITERS,
  readers: READERS,
  pause_ms: WRITE_PAUSE_MS,
});
const submitting = pool === undefined ? Promise.resolve() : submitProofs();
const figures: Record<string, number[]> = {};
let found: Findings;
try {
  await pause(2000);
  for (const kind of kinds) {
    const times: number[] = [];
    figures[kind] = times;
    for (let round = 0; round < rounds; round++) {
      const victim = await leader();
      await pause(300 * Math.random());
      let since = performance.now();
      if (kind === "kill") {
        await workerd.kill();
        since = performance.now();
        await workerd.start();
      } else if (kind === "stop" || kind === "isolate" || kind === "reset") await client.fault(victim, kind);
      else throw new Error(`there is no failure of the kind ${kind}`);
      if (kind === "stop" || kind === "isolate") since = performance.now();
      times.push(await recovery(kind, since));
      await pause(300);
      if (kind === "stop") await client.fault(victim, "start");
      if (kind === "isolate") await client.fault(victim, "heal");
      await ready();
      await pause(400);
    }
    const sorted = times.toSorted((a, b) => a - b);
    console.log(
      `${kind.padEnd(8)} rounds ${times.length}  median ${quantile(sorted, 0.5).toFixed(0)} ms  max ${quantile(sorted, 1).toFixed(0)} ms`,
    );
  }

  stopping = true;
  await submitting;
  await checkProofs();
  found = await load.stop();
} finally {
  if (pool) {
    const gone = once(pool, "exit");
    pool.kill("SIGTERM");
    await gone;
  }
  await workerd.close();
}

console.log(`acknowledged: ${found.events} events, ${found.operations} operations, ${found.tasks} tasks`);
console.log(`${found.repeats} repeats had the first answer; ${found.reads} reads were checked`);
console.log(
  `streams and handlers: ${REPLICAS.length + 1} of each, resumed ${found.resumed} and ${found.handler_crashes} times of their own accord`,
);
console.log(
  `proved and verified: ${proofs.length} tasks; answers that asked for another try ${JSON.stringify(found.again)}`,
);
problems.push(...found.broken);
console.log(`promises that were not kept: ${problems.length}`);
for (const problem of problems.slice(0, 20)) console.log(`problem: ${problem}`);
const slow = ["stop", "isolate"].flatMap((kind) => figures[kind] ?? []).filter((ms) => ms >= 1000).length;
if (slow > 0) console.log(`${slow} rounds of stop or isolate took a second or more`);
process.exitCode = problems.length + slow > 0 ? 1 : 0;
