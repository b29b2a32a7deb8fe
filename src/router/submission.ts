/** From what a client sends to a task with its statement, which is computed here, once. */
import type { z } from "zod";
import type { Configuration } from "../api/configuration.ts";
import { type FieldError, problem, type Result } from "../api/problem.ts";
import type { submissionOptions } from "../api/tasks.ts";
import { invalid } from "../api/validation.ts";
import type { SubmitTask } from "../coordinator/commands.ts";
import {
  type CanonicalInput,
  type Circuit,
  circuitsOf,
  newBlinding,
  type Statement,
  type Steps,
} from "../proofs/index.ts";
import { canonicalJson, sha256Hex } from "./digest.ts";
import { type Computed, statements } from "./gate.ts";
import { present } from "./requests.ts";

type Options = z.output<typeof submissionOptions>;
export type NewTask = SubmitTask["task"];

/** What a client wants proved, as far as it can be said without computing much. */
export interface Wanted {
  readonly circuit: Circuit;
  readonly input: CanonicalInput;
  readonly options: Options;
  /** Pointer to the input, where it stands apart from the options. */
  readonly at: string;
}

/** A task on its way to its statement. */
export interface Bound extends Wanted {
  readonly task_id: string;
  readonly blinding: string;
  readonly statement: Statement;
}

export function circuitNamed(configuration: Configuration, name: string): Result<Circuit> {
  const circuit = circuitsOf(configuration).get(name);
  if (circuit !== undefined) return { ok: true, value: circuit };
  const detail = `there is no circuit ${name}; GET /api/v1/circuits lists them`;
  return { ok: false, problem: problem("circuit-unknown", detail) };
}

/** A deadline that cannot be met is a mistake rather than a wish. */
function neverInTime({ deadline, delay_ms = 0 }: Options): FieldError | undefined {
  if (deadline === undefined || Date.now() + delay_ms < deadline) return undefined;
  const detail =
    delay_ms > 0 ? "deadline must be later than the end of delay_ms" : "deadline must be in the future";
  return { pointer: "/deadline", detail };
}

export function wanted(
  circuit: Circuit,
  input: Result<unknown>,
  options: Result<Options>,
  at = "",
): Result<Wanted> {
  if (!input.ok || !options.ok) {
    const ofInput = input.ok ? [] : (input.problem.errors ?? []);
    const ofOptions = options.ok ? [] : (options.problem.errors ?? []);
    const problems = [...ofInput.map((e) => ({ ...e, pointer: `${at}${e.pointer}` })), ...ofOptions];
    const different = problems.filter(
      (error, i) => problems.findIndex((e) => e.detail === error.detail) === i,
    );
    return { ok: false, problem: invalid(different) };
  }
  const hopeless = neverInTime(options.value);
  if (hopeless !== undefined) return { ok: false, problem: invalid([hopeless]) };
  return {
    ok: true,
    value: { circuit, input: circuit.canonical(input.value), options: options.value, at },
  };
}

/** A small input is not worth waiting for others: its first step is all. */
export async function firstStepAlone<Value>(steps: Steps<Value>, deadline: number): Promise<Computed<Value>> {
  const first = steps.next();
  return first.done ? { type: "result", value: first.value } : statements.run(steps, deadline);
}

/** A UUID of version 7: in order of time, so that tables grow at their end. */
function newTaskId(): string {
  const ms = Date.now().toString(16).padStart(12, "0");
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

/** The statement of a task, or why there can be none. */
export function* bind(task: Wanted): Steps<Result<Bound>> {
  const { circuit, input, at } = task;
  const contradiction = yield* circuit.contradiction(input);
  if (contradiction !== undefined) {
    const { field, detail } = contradiction;
    return {
      ok: false,
      problem: invalid([{ pointer: `${at}/${field}`, detail: `${field} ${detail}` }]),
    };
  }
  const task_id = newTaskId();
  const blinding = newBlinding();
  const statement = yield* circuit.statement({ task_id, input, blinding });
  return { ok: true, value: { ...task, task_id, blinding, statement } };
}

export async function newTask(bound: Bound, max_attempts_default: number): Promise<NewTask> {
  const { circuit, input, statement, options, task_id, blinding } = bound;
  const text = canonicalJson(input);
  const { max_attempts = max_attempts_default, ...given } = options;
  return {
    task_id,
    circuit: circuit.name,
    circuit_type: circuit.circuit_type,
    input,
    input_bytes: new TextEncoder().encode(text).byteLength,
    blinding,
    content_hash: await sha256Hex(`${circuit.name}\n${text}`),
    public_inputs: statement.public_inputs,
    ...present({ merkle_root: statement.merkle_root }),
    ...present(given),
    max_attempts,
  };
}
