/** `submit` and `watch`: a task on its way to its proof, each change as it is seen. */
import { readFileSync } from "node:fs";
import { endedStatuses, type TaskAnswer } from "../../src/api/tasks.ts";
import type { Client } from "../../src/client/index.ts";
import { Problem, UsageProblem } from "../cluster/problem.ts";
import { printJson, short } from "./output.ts";
import { clientFor, type Target, told } from "./target.ts";

/** One look takes at most so long; in between, the change of a status is not seen. */
const LOOK_S = 0.5;

export interface SubmitOptions extends Target {
  readonly circuit: string;
  /** JSON, `@file` or `-` for standard input. */
  readonly input: string;
  readonly wait: boolean;
  readonly json: boolean;
  readonly timeout_ms: number;
}

export interface WatchOptions extends Target {
  readonly task_id: string;
  readonly json: boolean;
  readonly timeout_ms: number;
}

function readInput(text: string): object {
  const source = text === "-" ? 0 : text.startsWith("@") ? text.slice(1) : undefined;
  let json = text;
  try {
    if (source !== undefined) json = readFileSync(source, "utf8");
  } catch (error) {
    throw new Problem(`${text} cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new UsageProblem(`The input is no JSON (${what}); give it as '{"leaves":["0x12"]}', @file or -.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageProblem('The input must be a JSON object, like {"leaves":["0x12"]}.');
  }
  return value;
}

/** Lines on a terminal or in a file; nothing where the answer is for a program. */
function progress(json: boolean): (word: string, text: string) => void {
  const began = Date.now();
  if (json) return () => undefined;
  return (word, text) => {
    const seconds = ((Date.now() - began) / 1_000).toFixed(1);
    console.log(`${`${seconds}s`.padStart(7)}  ${word.padEnd(12)}${text}`.trimEnd());
  };
}

function said(task: TaskAnswer): string {
  switch (task.status) {
    case "scheduled":
      return `until ${task.not_before ?? "its time"}`;
    case "pending":
      return task.error === undefined ? "waits for a prover" : `waits for another attempt: ${task.error}`;
    case "assigned":
    case "in_progress": {
      const done = task.progress === undefined ? "" : `, ${Math.round(100 * task.progress)} % done`;
      return `${task.worker_id ?? "a prover"}, attempt ${task.attempt ?? 1} of ${task.max_attempts}${done}`;
    }
    case "completed":
      return `by ${task.worker_id ?? "a prover"}, verified before it was accepted`;
    default:
      return task.error ?? "";
  }
}

async function follow(client: Client, options: WatchOptions): Promise<void> {
  const { task_id, json, timeout_ms } = options;
  const say = progress(json);
  const deadline = Date.now() + timeout_ms;
  let seen = "";
  for (;;) {
    const task = await told(`Task ${task_id} cannot be watched`, client.tasks.get(task_id, { wait: LOOK_S }));
    const now = `${task.status} ${task.attempt ?? 0} ${task.progress ?? ""} ${task.error ?? ""}`;
    if (now !== seen) say(task.status, said(task));
    seen = now;
    if (endedStatuses.has(task.status)) {
      if (json) printJson(task);
      else if (task.status === "completed") console.log(`\n${summary(task)}`);
      if (task.status === "completed") return;
      throw new Problem(
        `Task ${task_id} ended as ${task.status}${task.error === undefined ? "" : `: ${task.error}`}.`,
      );
    }
    if (Date.now() >= deadline) {
      throw new Problem(
        `Task ${task_id} is still ${task.status} after ${timeout_ms / 1_000} s; go on with \`npm run troika -- watch ${task_id}\`.`,
      );
    }
  }
}

function summary(task: TaskAnswer): string {
  const inputs = (task.public_inputs ?? []).map((input) => short(input)).join(", ");
  const rows: readonly (readonly [string, string])[] = [
    ["circuit", task.circuit_type],
    ...(task.merkle_root === undefined ? [] : [["merkle_root", task.merkle_root] as const]),
    ["public_inputs", `[${inputs}]`],
    ["proof", `GET /api/v1/tasks/${task.task_id}/proof`],
  ];
  return rows.map(([name, value]) => `        ${name.padEnd(14)}${value}`).join("\n");
}

export async function submit(stateRoot: string, options: SubmitOptions): Promise<void> {
  const { circuit, json, wait } = options;
  const input = readInput(options.input);
  const client = clientFor(options, stateRoot);
  const submission = await told("The task was not accepted", client.tasks.submit(circuit, input));
  if (!wait) {
    if (json) printJson(submission);
    else console.log(`${submission.task_id}  ${submission.status}`);
    return;
  }
  if (!json) {
    const known =
      submission.status === "cached" ? " (known already: the same content was submitted before)" : "";
    console.log(`         accepted    task ${submission.task_id}${known}`);
  }
  await follow(client, { ...options, task_id: submission.task_id });
}

export async function watch(stateRoot: string, options: WatchOptions): Promise<void> {
  await follow(clientFor(options, stateRoot), options);
}
