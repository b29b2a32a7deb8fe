/**
 * Real proofs through the whole system against the prover alone, in one run: alone, then the cluster with a pool, then
 * alone again, so that a machine that drifts shows. Meanwhile: never more leases than slots, no needless election.
 *
 *     node bench/proving.ts [--tasks 300] [--threads 2] [--minutes 0]
 *
 * With `--minutes` submissions go on for so long, however many tasks that makes. Loopback only.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { atOnce, circuits, newBlinding } from "../src/proofs/index.ts";
import { createProver } from "../worker-sim/prover/index.ts";
import { startWorkerd } from "./workerd.ts";

const { values: flags } = parseArgs({
  options: {
    tasks: { type: "string", default: "300" },
    threads: { type: "string", default: "2" },
    minutes: { type: "string", default: "0" },
    alone: { type: "string", default: "60" },
  },
});
const taskCount = Number(flags.tasks);
const threads = Number(flags.threads);
const minutes = Number(flags.minutes);
/** Tasks waiting in the queue at any time, so that the pool never starves. */
const BACKLOG = 16;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const leavesOf = (count: number) => [`0x${(count + 1).toString(16).padStart(64, "0")}`, "0xabcdef"];

/** Proofs per second of the prover without any cluster, all threads busy, after one warm-up proof each. */
async function alone(): Promise<number> {
  const merkle = circuits.get("merkle");
  if (!merkle) throw new Error("no merkle circuit");
  const prover = createProver({ threads });
  const prove = (count: number) => {
    const task = {
      task_id: crypto.randomUUID(),
      input: merkle.canonical({ leaves: leavesOf(count), leaf_index: 0 }),
      blinding: newBlinding(),
    };
    const context = atOnce(merkle.statement(task)).public_inputs[2];
    return prover.prove({
      circuit: "merkle",
      task_id: task.task_id,
      input: { ...task.input, blinding: task.blinding, context },
    });
  };
  await Promise.all(Array.from({ length: threads }, (_, count) => prove(count)));
  const began = performance.now();
  await Promise.all(Array.from({ length: Number(flags.alone) }, (_, count) => prove(count)));
  const rate = Number(flags.alone) / ((performance.now() - began) / 1000);
  await prover.close();
  return rate;
}

const first = await alone();
console.log(`prover alone, ${threads} threads: ${first.toFixed(2)} proofs/s`);

const workerd = await startWorkerd({ LOCAL_PORT_BASE: "8090" });
async function get(path: string): Promise<Record<string, unknown>> {
  const response = await fetch(workerd.url + path);
  return (await response.json()) as Record<string, unknown>;
}
while ((await fetch(`${workerd.url}/readyz`)).status !== 200) await pause(50);
const termBefore = Number((await get("/status")).current_term);

const pool = spawn(process.execPath, [new URL("../worker-sim/main.ts", import.meta.url).pathname, "pool"], {
  env: { ...process.env, TROIKA_URL: workerd.url, CONCURRENCY: String(threads), WORKER_ID: "bench-pool" },
  stdio: ["ignore", "ignore", "inherit"],
});

let submitted = 0;
async function submit(): Promise<void> {
  const response = await fetch(`${workerd.url}/api/v1/tasks/merkle`, {
    method: "POST",
    body: JSON.stringify({ leaves: leavesOf(1_000_000 + submitted++), leaf_index: 0 }),
  });
  if (response.status !== 202) throw new Error(`submission: ${response.status} ${await response.text()}`);
  await response.text();
}

function metric(text: string, name: string, label = ""): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name}${label}`));
  return line === undefined ? 0 : Number(line.split(" ").at(-1));
}

let overCapacity = 0;
let began: number | undefined;
let completedAtBegin = 0;
let completed = 0;

const until = performance.now() + minutes * 60_000;
for (;;) {
  const text = await (await fetch(`${workerd.url}/metrics`)).text();
  completed = metric(text, "troika_tasks", '{status="completed"}');
  if (metric(text, "coordinator_capacity_used") > metric(text, "coordinator_capacity_total")) overCapacity++;
  // The clock starts when every thread has made its first proof: loading keys is not proving.
  if (began === undefined && completed >= threads) {
    began = performance.now();
    completedAtBegin = completed;
  }
  const more = minutes > 0 ? performance.now() < until : submitted < taskCount;
  if (!more && completed >= submitted) break;
  while (more && submitted - completed < BACKLOG && (minutes > 0 || submitted < taskCount)) await submit();
  await pause(100);
}
const rate = (completed - completedAtBegin) / ((performance.now() - (began ?? 0)) / 1000);
const termAfter = Number((await get("/status")).current_term);
const gone = once(pool, "exit");
pool.kill("SIGTERM");
await gone;
await workerd.close();
console.log(`through the cluster: ${completed} tasks, ${rate.toFixed(2)} proofs/s`);

const second = await alone();
console.log(`prover alone again: ${second.toFixed(2)} proofs/s`);
const reference = (first + second) / 2;
console.log(
  `ratio ${(rate / reference).toFixed(3)} (against first ${(rate / first).toFixed(3)}, second ${(rate / second).toFixed(3)})`,
);
console.log(
  `elections during the run ${termAfter - termBefore}; observations with more leases than slots ${overCapacity}`,
);
