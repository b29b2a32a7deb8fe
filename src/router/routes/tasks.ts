/** Submitting tasks, and looking at them. */
import { LIST_LIMIT_DEFAULT, taskId } from "../../api/fields.ts";
import { type Problem, problem } from "../../api/problem.ts";
import { renderAttempt, renderTask } from "../../api/render.ts";
import { endedStatuses, submissionOptions, taskListParameters, taskParameters } from "../../api/tasks.ts";
import { invalid, validate } from "../../api/validation.ts";
import { type Circuit, circuits, newBlinding, type Statement, type Steps } from "../../proofs/index.ts";
import type { Answer, Query, TaskView } from "../../replica/rpc.ts";
import { ITEM_BYTES_MAX, readJson } from "../body.ts";
import type { Result } from "../cluster.ts";
import { answer, plain, type RequestContext, type Route } from "../context.ts";
import { canonicalJson, sha256Hex } from "../digest.ts";
import { type Computed, statements, tooBusy } from "../gate.ts";
import {
  clientKey,
  command,
  expectOutcome,
  readHeaders,
  refusal,
  replayHeader,
  waitMs,
} from "../requests.ts";

const POLL_PAUSE_MS_FIRST = 50;
const POLL_PAUSE_MS_MAX = 500;

/** A small input is not worth waiting for others: its first step is all. */
async function statementOf(steps: Steps<Statement>, deadline: number): Promise<Computed<Statement>> {
  const first = steps.next();
  return first.done ? { type: "result", value: first.value } : statements.run(steps, deadline);
}

async function newTask(circuit: Circuit, input: unknown, deadline: number) {
  const canonical = circuit.canonical(input);
  const task_id = crypto.randomUUID();
  const blinding = newBlinding();
  const steps = circuit.statement({ task_id, input: canonical, blinding });
  const statement = await statementOf(steps, deadline);
  if (statement.type === "too-busy") return undefined;
  const { public_inputs, merkle_root } = statement.value;
  const text = canonicalJson(canonical);
  return {
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
}

async function submit(context: RequestContext): Promise<Response | Problem> {
  const name = context.params.circuit ?? "";
  const circuit = circuits.get(name);
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
  const key = await clientKey(context, `POST /api/v1/tasks/${name}`, body.bytes);
  if (!key.ok) return key.problem;
  const { priority, max_attempts, max_runtime_ms, tags } = options.value;
  const made = await newTask(circuit, input.value, context.cluster.deadline);
  if (made === undefined) return tooBusy("statements of large inputs");
  const task = {
    ...made,
    priority,
    max_attempts: max_attempts ?? context.configuration.max_attempts,
    ...(max_runtime_ms === undefined ? {} : { max_runtime_ms }),
    ...(tags === undefined ? {} : { tags }),
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

function malformedId(id: string): Problem {
  const detail = `task_id must be a UUID, and ${JSON.stringify(id.slice(0, 80))} is none`;
  return problem("invalid-request", detail, { errors: [{ pointer: "/task_id", detail }] });
}

async function readTask(context: RequestContext): Promise<Result<Answer<TaskView>>> {
  const text = context.params.task_id ?? "";
  const id = validate(taskId, text);
  if (!id.ok) return { ok: false, problem: malformedId(text) };
  const parameters = validate(taskParameters, context.query);
  if (!parameters.ok) return parameters;
  const { consistency, wait } = parameters.value;
  const query = { type: "task", task_id: id.value } as const;
  const wait_ms = waitMs(context, wait);
  if (wait_ms > 0) {
    context.cluster.extend(wait_ms);
    const failure = await untilEnded(context, query, Date.now() + wait_ms);
    // A stale read needs nobody who could have been looked for in vain.
    if (failure !== undefined && consistency !== "stale") return { ok: false, problem: failure };
  }
  const read = await context.cluster.read(query, consistency);
  if (!read.ok) return read;
  const { result: task, ...rest } = read.value;
  if (task === null) return { ok: false, problem: problem("task-not-found", "Task not found") };
  return { ok: true, value: { ...rest, result: task } };
}

/** Looks without a quorum round; whoever waits reads properly afterwards. Gives what a look failed with. */
async function untilEnded(
  context: RequestContext,
  query: Extract<Query, { readonly type: "task" }>,
  deadline: number,
): Promise<Problem | undefined> {
  const consistency = context.own === undefined ? "leader" : "stale";
  for (let pause_ms = POLL_PAUSE_MS_FIRST; ; pause_ms = Math.min(pause_ms * 2, POLL_PAUSE_MS_MAX)) {
    const look = await context.cluster.read(query, consistency);
    const left_ms = deadline - Date.now();
    if (!look.ok) return look.problem;
    if (left_ms <= 0) return undefined;
    const { result: task } = look.value;
    if (task === null || endedStatuses.has(task.status)) return undefined;
    await new Promise((resolve) => setTimeout(resolve, Math.min(pause_ms, left_ms)));
  }
}

async function getTask(context: RequestContext): Promise<Response | Problem> {
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  return answer(context, 200, { success: true, ...renderTask(read.value.result) }, readHeaders(read.value));
}

async function getAttempts(context: RequestContext): Promise<Response | Problem> {
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  const items = read.value.result.history.map(renderAttempt);
  return answer(context, 200, { items }, readHeaders(read.value));
}

async function getProof(context: RequestContext): Promise<Response | Problem> {
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  const { task_id, status, proof } = read.value.result;
  if (proof === undefined) return problem("proof-not-found", `task ${task_id} is ${status} and has no proof`);
  return plain(200, proof, readHeaders(read.value));
}

async function listTasks(context: RequestContext): Promise<Response | Problem> {
  const parameters = validate(taskListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, limit = LIST_LIMIT_DEFAULT, ...filter } = parameters.value;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  const read = await context.cluster.read({ type: "tasks", limit, ...given }, consistency);
  if (!read.ok) return read.problem;
  const { items, next_cursor } = read.value.result;
  const page = { items: items.map(renderTask), ...(next_cursor === undefined ? {} : { next_cursor }) };
  return answer(context, 200, page, readHeaders(read.value));
}

export const taskRoutes: readonly Route[] = [
  { method: "POST", path: "/api/v1/tasks/:circuit", handle: submit },
  { method: "GET", path: "/api/v1/tasks", handle: listTasks },
  { method: "GET", path: "/api/v1/tasks/:task_id", handle: getTask },
  { method: "GET", path: "/api/v1/tasks/:task_id/attempts", handle: getAttempts },
  { method: "GET", path: "/api/v1/tasks/:task_id/proof", handle: getProof },
];
