/** Looking at tasks, and what may be done to one. */
import { LIST_LIMIT_DEFAULT, taskId } from "../../api/fields.ts";
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { renderAttempt, renderTask } from "../../api/render.ts";
import { endedStatuses, proofParameters, taskListParameters, taskParameters } from "../../api/tasks.ts";
import { pathPart, validate } from "../../api/validation.ts";
import { circuitsOf } from "../../proofs/index.ts";
import type { Answer, Query, TaskView } from "../../replica/rpc.ts";
import { answer, type Handled, plain, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/tasks.ts";
import { command, expectOutcome, present, readHeaders, refusal, waitMs } from "../requests.ts";

const POLL_PAUSE_MS_FIRST = 50;
const POLL_PAUSE_MS_MAX = 500;

function idOf(context: RequestContext): Result<string> {
  return validate(taskId, context.params.task_id, pathPart("task_id"));
}

async function readTask(context: RequestContext): Promise<Result<Answer<TaskView>>> {
  const id = idOf(context);
  if (!id.ok) return id;
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

async function getTask(context: RequestContext): Promise<Handled> {
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  return answer(context, 200, { success: true, ...renderTask(read.value.result) }, readHeaders(read.value));
}

async function getAttempts(context: RequestContext): Promise<Handled> {
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  const items = read.value.result.history.map(renderAttempt);
  return answer(context, 200, { items }, readHeaders(read.value));
}

/** One of the three files with which snarkjs verifies the proof without us. */
async function getProof(context: RequestContext): Promise<Handled> {
  const parameters = validate(proofParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const read = await readTask(context);
  if (!read.ok) return read.problem;
  const { file } = parameters.value;
  const { task_id, status, proof, public_inputs, circuit } = read.value.result;
  if (proof === undefined) return problem("proof-not-found", `task ${task_id} is ${status} and has no proof`);
  const key = circuitsOf(context.configuration).get(circuit)?.verifying_key;
  const files = { proof, public: public_inputs, verification_key: key };
  const content = files[file];
  if (content === undefined)
    return problem("not-available", `this version of the router has no key of the circuit ${circuit}`);
  const name = { "content-disposition": `attachment; filename="${file}.json"` };
  return plain(200, content, { ...name, ...readHeaders(read.value) });
}

async function listTasks(context: RequestContext): Promise<Handled> {
  const parameters = validate(taskListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, limit = LIST_LIMIT_DEFAULT, status: statuses, ...filter } = parameters.value;
  const query = { type: "tasks", limit, ...present({ statuses, ...filter }) } as const;
  const read = await context.cluster.read(query, consistency);
  if (!read.ok) return read.problem;
  const { items, next_cursor } = read.value.result;
  const page = { items: items.map(renderTask), ...(next_cursor === undefined ? {} : { next_cursor }) };
  return answer(context, 200, page, readHeaders(read.value));
}

/** Repeating either is harmless: what is asked for has happened then. */
async function change(context: RequestContext, type: "cancel-task" | "retry-task"): Promise<Handled> {
  const id = idOf(context);
  if (!id.ok) return id.problem;
  const applied = await context.cluster.propose(command({ type, task_id: id.value }));
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "task-changed");
  if (outcome.type === "refused") return refusal(outcome);
  return answer(context, 200, { success: true, task_id: outcome.task_id, status: outcome.status });
}

export const taskRoutes: readonly Route[] = [
  { method: "GET", path: "/api/v1/tasks", access: "any", declares: declared.listTasks, handle: listTasks },
  {
    method: "GET",
    path: "/api/v1/tasks/:task_id",
    access: "any",
    declares: declared.getTask,
    handle: getTask,
  },
  {
    method: "GET",
    path: "/api/v1/tasks/:task_id/attempts",
    access: "any",
    declares: declared.getAttempts,
    handle: getAttempts,
  },
  {
    method: "GET",
    path: "/api/v1/tasks/:task_id/proof",
    access: "any",
    declares: declared.getProof,
    handle: getProof,
  },
  {
    method: "POST",
    path: "/api/v1/tasks/:task_id/cancel",
    access: "submitter",
    declares: declared.cancelTask,
    handle: (context) => change(context, "cancel-task"),
  },
  {
    method: "POST",
    path: "/api/v1/tasks/:task_id/retry",
    access: "submitter",
    declares: declared.retryTask,
    handle: (context) => change(context, "retry-task"),
  },
];
