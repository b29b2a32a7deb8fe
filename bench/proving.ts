/**
 * Real proofs through the whole system against the prover alone, in one run: alone, then the cluster with a pool, then
 * alone again, so that a machine that drifts shows. Meanwhile: never more leases than slots, no needless election.
 *
 *     node bench/proving.ts [--tasks 300] [--threads 2] [--minutes 0] [--alone 60]
 *
 * With `--minutes` submissions go on for so long, however many tasks that makes. Loopback only.
 */
import { parseArgs } from "node:util";
import { atOnce, circuits, newBlinding } from "../src/proofs/index.ts";
import { createProver } from "../worker-sim/prover/index.ts";
import { startPool } from "./pool.ts";
import { untilReady } from "./troika.ts";
import { metric } from "./vitals.ts";
import { startWorkerd } from "./workerd.ts";

/** Tasks waiting in the queue at any time, so that the pool never starves. */
const BACKLOG = 16;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const leavesOf = (count: number) => [`0x${(count + 1).toString(16).padStart(64, "0")}`, "0xabcdef"];

/** Proofs per second of the prover without any cluster, all threads busy, after one warm-up proof each. */
async function alone(threads: number, proofs: number): Promise<number> {
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
  await Promise.all(Array.from({ length: proofs }, (_, count) => prove(count)));
  const rate = proofs / ((performance.now() - began) / 1000);
  await prover.close();
  return rate;
}

interface Clustered {
  readonly completed: number;
  /** Proofs per second. */
  readonly rate: number;
  readonly elections: number;
  /** Observations with more leases than slots. */
  readonly over_capacity: number;
}

export interface ProvingOptions {
  readonly tasks: number;
  readonly threads: number;
  readonly minutes: number;
  /** Proofs of the prover alone, before and after. */
  readonly alone: number;
}

async function clustered({ tasks, threads, minutes }: ProvingOptions): Promise<Clustered> {
  const workerd = await startWorkerd({ LOCAL_PORT_BASE: "8090" });
  await untilReady(workerd.url);
  const term = async (): Promise<number> => {
    const response = await fetch(`${workerd.url}/status`);
    return ((await response.json()) as { readonly current_term: number }).current_term;
  };
  const term_before = await term();
  const pool = startPool(workerd.url, "bench-pool", threads);
  let submitted = 0;
  const submit = async (): Promise<void> => {
    const response = await fetch(`${workerd.url}/api/v1/tasks/merkle`, {
      method: "POST",
      body: JSON.stringify({ leaves: leavesOf(1_000_000 + submitted++), leaf_index: 0 }),
    });
    if (response.status !== 202) throw new Error(`submission: ${response.status} ${await response.text()}`);
    await response.text();
  };
  try {
    let over_capacity = 0;
    let began: number | undefined;
    let before = 0;
    let completed = 0;
    const until = performance.now() + minutes * 60_000;
    for (;;) {
      const text = await (await fetch(`${workerd.url}/metrics`)).text();
      completed = Number(/^troika_tasks\{status="completed"\} (\d+)/m.exec(text)?.[1] ?? 0);
      const used = metric(text, "coordinator_capacity_used") ?? 0;
      if (used > (metric(text, "coordinator_capacity_total") ?? 0)) over_capacity++;
      // The clock starts when every thread has made its first proof: loading keys is not proving.
      if (began === undefined && completed >= threads) {
        began = performance.now();
        before = completed;
      }
      const more = minutes > 0 ? performance.now() < until : submitted < tasks;
      if (!more && completed >= submitted) break;
      while (more && submitted - completed < BACKLOG && (minutes > 0 || submitted < tasks)) await submit();
      await pause(100);
    }
    const rate = (completed - before) / ((performance.now() - (began ?? 0)) / 1000);
    return { completed, rate, elections: (await term()) - term_before, over_capacity };
  } finally {
    await pool.close();
    await workerd.close();
  }
}

export interface Proving extends Clustered {
  readonly first: number;
  readonly second: number;
}

export async function proving(options: ProvingOptions, say: (line: string) => void): Promise<Proving> {
  const first = await alone(options.threads, options.alone);
  say(`prover alone, ${options.threads} threads: ${first.toFixed(2)} proofs/s`);
  const through = await clustered(options);
  say(`through the cluster: ${through.completed} tasks, ${through.rate.toFixed(2)} proofs/s`);
  const second = await alone(options.threads, options.alone);
  say(`prover alone again: ${second.toFixed(2)} proofs/s`);
  return { ...through, first, second };
}

if (import.meta.main) {
  const { values: flags } = parseArgs({
    options: {
      tasks: { type: "string", default: "300" },
      threads: { type: "string", default: "2" },
      minutes: { type: "string", default: "0" },
      alone: { type: "string", default: "60" },
    },
  });
  const options = {
    tasks: Number(flags.tasks),
    threads: Number(flags.threads),
    minutes: Number(flags.minutes),
    alone: Number(flags.alone),
  };
  const { rate, first, second, elections, over_capacity } = await proving(options, (line) =>
    console.log(line),
  );
  console.log(
    `ratio ${((2 * rate) / (first + second)).toFixed(3)} (against first ${(rate / first).toFixed(3)}, second ${(rate / second).toFixed(3)})`,
  );
  console.log(
    `elections during the run ${elections}; observations with more leases than slots ${over_capacity}`,
  );
}
