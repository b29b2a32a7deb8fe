/** Submitting tasks: the statement of each is computed here, once. */
import type { z } from "zod";
import { type FieldError, type Problem, problem } from "../../api/problem.ts";
import { submissionOptions } from "../../api/tasks.ts";
import { invalid, validate } from "../../api/validation.ts";
import {
  type CanonicalInput,
  type Circuit,
  type Contradiction,
  circuitsOf,
  newBlinding,
  type Statement,
  type Steps,
} from "../../proofs/index.ts";
import { ITEM_BYTES_MAX, readJson } from "../body.ts";
import { answer, type RequestContext, type Route } from "../context.ts";
import { submitTask } from "../declarations/tasks.ts";
import { canonicalJson, sha256Hex } from "../digest.ts";
import { type Computed, statements, tooBusy } from "../gate.ts";
import { clientKey, command, expectOutcome, refusal, replayHeader } from "../requests.ts";

type Task = { readonly task_id: string; readonly input: CanonicalInput; readonly blinding: string };

function* statementSteps(circuit: Circuit, task: Task): Steps<Statement | Contradiction> {
  return (yield* circuit.contradiction(task.input)) ?? (yield* circuit.statement(task));
}

/** A small input is not worth waiting for others: its first step is all. */
async function inTurn<Result>(steps: Steps<Result>, deadline: number): Promise<Computed<Result>> {
  const first = steps.next();
  return first.done ? { type: "result", value: first.value } : statements.run(steps, deadline);
}

async function newTask(circuit: Circuit, input: unknown, deadline: number) {
  const canonical = circuit.canonical(input);
  const task_id = crypto.randomUUID();
  const blinding = newBlinding();
  const steps = statementSteps(circuit, { task_id, input: canonical, blinding });
  const computed = await inTurn(steps, deadline);
  if (computed.type === "too-busy")
    return { ok: false, problem: tooBusy("statements of large inputs") } as const;
  if ("field" in computed.value) {
    const { field, detail } = computed.value;
    return { ok: false, problem: invalid([{ pointer: `/${field}`, detail: `${field} ${detail}` }]) } as const;
  }
  const { public_inputs, merkle_root } = computed.value;
  const text = canonicalJson(canonical);
  const task = {
    task_id,
    circuit: circuit.name,
    circuit_type: circuit.circuit_type,
    input: canonical,
    input_bytes: new TextEncoder().encode(text).byteLength,
    blinding,
    content_hash: await sha256Hex(`${circuit.name}\n${text}`),
    public_inputs,
    ...(merkle_root === undefined ? {} : { merkle_root }),
  };
  return { ok: true, task } as const;
}

/** A deadline that cannot be met is a mistake rather than a wish. */
function neverInTime({ deadline, delay_ms = 0 }: z.output<typeof submissionOptions>): FieldError | undefined {
  if (deadline === undefined || Date.now() + delay_ms < deadline) return undefined;
  const detail =
    delay_ms > 0 ? "deadline must be later than the end of delay_ms" : "deadline must be in the future";
  return { pointer: "/deadline", detail };
}

type Present<Fields> = { readonly [Name in keyof Fields]: Exclude<Fields[Name], undefined> };

/** Without the fields that have no value. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Present<Fields>;
}

async function submit(context: RequestContext): Promise<Response | Problem> {
  const name = context.params.circuit ?? "";
  const circuit = circuitsOf(context.configuration).get(name);
  if (circuit === undefined) {
    return problem("circuit-unknown", `there is no circuit ${name}; GET /api/v1/circuits lists them`);
  }
  const body = await readJson(context.request, ITEM_BYTES_MAX);
  if (!body.ok) return body.problem;
  const input = validate(circuit.input, body.value);
  const options = validate(submissionOptions, body.value);
  if (!input.ok || !options.ok) {
    const problems = [input, options].flatMap((part) => (part.ok ? [] : (part.problem.errors ?? [])));
    return invalid(problems.filter((error, i) => problems.findIndex((e) => e.detail === error.detail) === i));
  }
  const hopeless = neverInTime(options.value);
  if (hopeless !== undefined) return invalid([hopeless]);
  const key = await clientKey(context, `POST /api/v1/tasks/${name}`, body.bytes);
  if (!key.ok) return key.problem;
  const { max_attempts, ...given } = options.value;
  const made = await newTask(circuit, input.value, context.cluster.deadline);
  if (!made.ok) return made.problem;
  const task = {
    ...made.task,
    ...present(given),
    max_attempts: max_attempts ?? context.configuration.max_attempts,
  };
  const { client_key } = key;
  const applied = await context.cluster.propose(
    command({ type: "submit-task", task, ...(client_key === undefined ? {} : { client_key }) }),
  );
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "submitted");
  if (outcome.type === "refused") return refusal(outcome);
  const headers = { location: `/api/v1/tasks/${outcome.task_id}`, ...replayHeader(applied.value.replayed) };
  const { task_id, status } = outcome;
  if (outcome.cached) {
    const message = "a task with the same content is known already";
    const hit = { success: true, task_id, status: "cached", message };
    return answer(context, 200, hit, { ...headers, "x-cache": "HIT" });
  }
  return answer(context, 202, { success: true, task_id, status, message: "task accepted" }, headers);
}

export const submissionRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/tasks/:circuit",
    access: "submitter",
    declares: submitTask,
    handle: submit,
  },
];
