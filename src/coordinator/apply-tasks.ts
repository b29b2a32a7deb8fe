/**
 * Tasks from outside their leases: submitted, one per task id and per content; due, expired, cancelled, retried.
 */
import { hasEnded, isWaiting } from "./attempts.ts";
import type {
  AdvanceTasks,
  CancelTask,
  ChangeTasks,
  Command,
  EntryPlace,
  ForgetTasks,
  RetryTask,
  SubmitBatch,
  SubmitTask,
} from "./commands.ts";
import type { Deadlines } from "./deadlines.ts";
import { cancel, expire, fallDue, retry } from "./interventions.ts";
import type { Outcome, Refused } from "./outcomes.ts";
import { refused } from "./outcomes.ts";
import type { TaskRecord } from "./records.ts";
import type { State } from "./state.ts";

/** Tasks that one command may change. */
export const CHANGED_MAX = 500;
/** Inputs that are read to forget their tasks. */
const FORGOTTEN_BYTES_MAX = 4 * 1024 * 1024;

type Submitted = Extract<Outcome, { readonly type: "submitted" }>;

export function submitBatch(state: State, { items }: SubmitBatch, place: EntryPlace): Outcome {
  return {
    type: "batch-submitted",
    items: items.map(({ index, task }) => {
      const { task_id, cached, status } = submitTask(state, { task }, place);
      return { index, task_id, cached, status };
    }),
  };
}

export function submitTask(
  state: State,
  { task }: Pick<SubmitTask, "task">,
  { index }: EntryPlace,
): Submitted {
  const same = state.task(task.task_id);
  if (same !== undefined)
    return { type: "submitted", task_id: same.task_id, cached: false, status: same.status };
  const first = holderOf(state, task);
  if (first !== undefined) {
    return { type: "submitted", task_id: first.task_id, cached: true, status: first.status };
  }
  const { delay_ms = 0 } = task;
  const status = delay_ms > 0 ? "scheduled" : "pending";
  state.addTask({
    ...withoutDelay(task),
    v: 1,
    sequence: state.nextSequence(index),
    status,
    created_at: state.now,
    ...(delay_ms > 0 ? { not_before: state.now + delay_ms } : {}),
    attempts_spent: 0,
    losses: 0,
    grants: 0,
    attempts: [],
  });
  return { type: "submitted", task_id: task.task_id, cached: false, status };
}

/** To leave a field out of a copy takes several times as long as to copy all of them. */
function withoutDelay(task: SubmitTask["task"]): Omit<SubmitTask["task"], "delay_ms"> {
  if (task.delay_ms === undefined) return task;
  const { delay_ms: _, ...rest } = task;
  return rest;
}

/** What submissions will look for. */
export function foreseeSubmissions(state: State, commands: readonly Command[]): void {
  const tasks = commands.flatMap((command) => {
    if (command.type === "submit-task") return command.task;
    return command.type === "submit-batch" ? command.items.map(({ task }) => task) : [];
  });
  if (tasks.length === 0) return;
  state.foresee(
    "tasks",
    tasks.map(({ task_id }) => task_id),
  );
  state.foresee(
    "content",
    tasks.map(({ content_hash }) => content_hash),
  );
}

export function cancelTask(state: State, { task_id }: CancelTask): Outcome {
  return outcomeOf(cancelOne(state, task_id));
}

export function retryTask(state: State, { task_id }: RetryTask): Outcome {
  return outcomeOf(retryOne(state, task_id));
}

export function changeTasks(state: State, { action, task_ids }: ChangeTasks): Outcome {
  const change = action === "cancel" ? cancelOne : retryOne;
  const changed = task_ids.slice(0, CHANGED_MAX).filter((task_id) => {
    const done = change(state, task_id);
    return !("code" in done) && done.changed;
  }).length;
  return { type: "tasks-changed", changed, skipped: task_ids.length - changed };
}

/** A task as it is afterwards. */
interface Changed {
  readonly task: TaskRecord;
  readonly changed: boolean;
}

/** Cancelling what is cancelled changes nothing. */
function cancelOne(state: State, task_id: string): Changed | Refused {
  const task = state.task(task_id);
  if (task === undefined) return taskNotFound();
  if (task.status === "cancelled") return { task, changed: false };
  if (hasEnded(task.status))
    return refused("task-conflict", `task ${task_id} is ${task.status} and cannot be cancelled any more`);
  return put(state, cancel(task, state.now));
}

/** Retrying what may be handed out at once changes nothing. */
function retryOne(state: State, task_id: string): Changed | Refused {
  const task = state.task(task_id);
  if (task === undefined) return taskNotFound();
  if (isWaiting(task.status)) {
    const delayed = task.status === "scheduled" || (task.not_before ?? 0) > state.now;
    return delayed ? put(state, retry(task, state.now)) : { task, changed: false };
  }
  if (!hasEnded(task.status) || task.status === "completed")
    return refused("task-conflict", `task ${task_id} is ${task.status}: there is nothing to retry`);
  const holder = holderOf(state, task);
  if (holder !== undefined) {
    const detail = `the content of task ${task_id} was submitted again as ${holder.task_id}, which is ${holder.status}`;
    return refused("task-conflict", detail);
  }
  return put(state, retry(task, state.now));
}

/** Those that ended first go first. A task that was retried since has ended later, or not yet. */
export function forgetTasks(state: State, { ended_before, limit }: ForgetTasks): Outcome {
  let bytes = 0;
  for (let left = Math.min(limit, CHANGED_MAX); left > 0 && bytes < FORGOTTEN_BYTES_MAX; left--) {
    const { first } = state.ended;
    if (first === undefined || first.at >= ended_before) break;
    state.ended.dropFirst();
    const task = state.task(first.task_id);
    bytes += task?.input_bytes ?? 0;
    if (task === undefined || !hasEnded(task.status) || task.completed_at !== first.at) continue;
    if (state.get("content", task.content_hash)?.task_id === task.task_id)
      state.delete("content", task.content_hash);
    state.deleteTask(task);
  }
  return { type: "done" };
}

/** Those due first go first; how many there still are shows in the state. */
export function advanceTasks(state: State, { limit }: AdvanceTasks): Outcome {
  for (let left = Math.min(limit, CHANGED_MAX); left > 0; left--) {
    const expired = firstDue(state, state.tasks.expiries);
    const due = expired ?? firstDue(state, state.tasks.scheduled);
    if (due === undefined) break;
    state.putTask(expired === undefined ? fallDue(due) : expire(due, state.now));
  }
  return { type: "done" };
}

function firstDue(state: State, deadlines: Deadlines): TaskRecord | undefined {
  const { first } = deadlines;
  if (first === undefined || first.at > state.now) return undefined;
  const task = state.task(first.key);
  if (task === undefined) throw new Error(`task ${first.key} is due at ${first.at}, but has no record`);
  return task;
}

/** The open or completed task that holds a content. */
export function holderOf(
  state: State,
  { content_hash }: Pick<TaskRecord, "content_hash">,
): TaskRecord | undefined {
  const open = state.tasks.contents.holder(content_hash);
  if (open !== undefined) return state.task(open);
  const holder = state.get("content", content_hash);
  const first = holder && state.task(holder.task_id);
  return first?.status === "completed" ? first : undefined;
}

function put(state: State, task: TaskRecord): Changed {
  state.putTask(task);
  return { task, changed: true };
}

function outcomeOf(done: Changed | Refused): Outcome {
  if ("code" in done) return done;
  const { task_id, status } = done.task;
  return { type: "task-changed", task_id, status };
}

function taskNotFound(): Refused {
  return refused("task-not-found", "Task not found");
}
