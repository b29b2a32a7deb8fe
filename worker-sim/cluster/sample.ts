/**
 * The sample task on its way: accepted, assigned, proved, verified, committed, each line when it has been observed.
 * The proof shown is real every time: where the sample is already proved from an earlier run, the proof of then is
 * shown, and another task of new content goes the whole way.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskAnswer } from "../../src/api/tasks.ts";
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import { type Layout, routerUrl } from "./layout.ts";
import type { LocalPool } from "./local-pool.ts";
import { Problem } from "./problem.ts";
import type { Terminal } from "./terminal.ts";

export const SAMPLE_LEAVES: readonly string[] = [
  "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef",
  "0xfedcba0987654321fedcba0987654321fedcba0987654321fedcba0987654321",
];

const PROOF_MS = 120_000;
const POLL_MS = 25;
const REPLICAS_MS = 5_000;

export interface SampleOptions {
  readonly layout: Layout;
  readonly terminal: Terminal;
  readonly pool: LocalPool;
  readonly stopped: AbortSignal;
}

function short(text: string, length = 22): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

function field(line: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\s)${name}=(\\S+)`).exec(line)?.[1];
}

/** @throws {Problem} when the task fails or takes too long. */
export async function showSample(options: SampleOptions): Promise<void> {
  const client = createClient({ url: routerUrl(options.layout) });
  const sample = await goTheWay(client, SAMPLE_LEAVES, options);
  if (!sample.cached) {
    options.terminal.text(summary(sample.task));
    return;
  }
  options.terminal.step(
    "cached",
    `this task is already proved, at ${sample.task.completed_at}: the state is kept between runs`,
  );
  options.terminal.text(summary(sample.task));
  options.terminal.step("again", "with a third leaf of random bytes, which nobody has proved before");
  const fresh = await goTheWay(client, [...SAMPLE_LEAVES, `0x${randomBytes(32).toString("hex")}`], options);
  options.terminal.text(summary(fresh.task));
}

async function goTheWay(
  client: Client,
  leaves: readonly string[],
  { layout, terminal, pool, stopped }: SampleOptions,
): Promise<{ readonly task: TaskAnswer; readonly cached: boolean }> {
  const asked = Date.now();
  // The pool may be done with a task before its id is known here: what it said is kept until then.
  const proved = new Map<string, string>();
  let awaited: string | undefined;
  const sayProved = () => {
    const duration_ms = awaited === undefined ? undefined : proved.get(awaited);
    if (duration_ms === undefined) return;
    awaited = undefined;
    terminal.step("proved", `in ${duration_ms} ms by one thread`);
  };
  const unlisten = pool.onLine((line) => {
    const task_id = field(line, "task_id");
    if (task_id === undefined || !/\sproved\s/.test(line)) return;
    proved.set(task_id, field(line, "duration_ms") ?? "?");
    sayProved();
  });
  try {
    const { task_id, status } = await client.tasks.submitMerkle(
      { leaves, leaf_index: 0 },
      { signal: stopped },
    );
    if (status === "cached") {
      const task = await client.tasks.wait(task_id, { signal: stopped, timeout_ms: PROOF_MS });
      return { task: completed(task), cached: true };
    }
    terminal.step(
      "accepted",
      `task ${task_id}, a Merkle proof over ${leaves.length} leaves (${Date.now() - asked} ms)`,
    );
    let assigned = false;
    for (;;) {
      const task = await client.tasks.get(task_id, { signal: stopped });
      if (!assigned && task.worker_id !== undefined) {
        assigned = true;
        terminal.step("assigned", `to ${task.worker_id}, attempt ${task.attempt ?? 1}`);
        awaited = task_id;
        sayProved();
      }
      if (task.status === "completed") {
        terminal.step(
          "verified",
          "against the coordinator's own key and public inputs, before it was accepted",
        );
        const { commit_index } = await client.status(undefined, { signal: stopped });
        const holders = await replicasAt(commit_index, client, layout, stopped);
        terminal.step("committed", `by index ${commit_index} on ${holders} of ${layout.replicas} replicas`);
        return { task: completed(task), cached: false };
      }
      if (task.status !== "pending" && task.status !== "assigned" && task.status !== "in_progress")
        completed(task);
      if (Date.now() - asked > PROOF_MS) {
        throw new Problem(
          `The sample task ${task_id} is still ${task.status} after ${PROOF_MS / 1000} s; \`npm run troika -- logs pool\` shows what the pool does.`,
        );
      }
      await sleep(POLL_MS, undefined, { signal: stopped });
    }
  } catch (error) {
    if (error instanceof ClientError)
      throw new Problem(`The sample task could not be done: ${error.message}`);
    throw error;
  } finally {
    unlisten();
  }
}

function completed(task: TaskAnswer): TaskAnswer {
  if (task.status === "completed") return task;
  throw new Problem(
    `The sample task ${task.task_id} ended as ${task.status}: ${task.error ?? "no reason was given"}`,
  );
}

/** How many replicas have applied `index`; waits a moment for followers that are just about to. */
async function replicasAt(
  index: number,
  client: Client,
  layout: Layout,
  signal: AbortSignal,
): Promise<number> {
  const asked = Date.now();
  for (;;) {
    const applied = await Promise.all(
      layout.members.map(async ({ name }) => {
        try {
          return (await client.status(name, { signal })).applied_index;
        } catch (error) {
          if (error instanceof ClientError) return -1;
          throw error;
        }
      }),
    );
    const holders = applied.filter((at) => at >= index).length;
    if (holders === layout.replicas || Date.now() - asked > REPLICAS_MS) return holders;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** The first number in a point, however its coordinates are nested. */
function firstOf(point: unknown): string {
  return Array.isArray(point) ? firstOf(point[0]) : short(String(point));
}

function summary(task: TaskAnswer): string {
  const proof = (task.proof ?? {}) as Readonly<Record<string, unknown>>;
  const rows: readonly (readonly [string, string])[] = [
    ["task", task.task_id],
    ["circuit", `${task.circuit_type}, ${String(proof.protocol)} over ${String(proof.curve)}`],
    ["merkle_root", task.merkle_root ?? ""],
    ["public_inputs", `[${(task.public_inputs ?? []).map((input) => short(input)).join(", ")}]`],
    ["proof", `pi_a ${firstOf(proof.pi_a)}  pi_b ${firstOf(proof.pi_b)}  pi_c ${firstOf(proof.pi_c)}`],
    ["worker", task.worker_id ?? ""],
  ];
  return `\n${rows.map(([name, value]) => `        ${name.padEnd(14)}${value}`).join("\n")}\n`;
}
