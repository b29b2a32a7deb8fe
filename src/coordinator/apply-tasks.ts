/**
 * Submission: one task per task id and per content.
 */
import type { EntryPlace, Outcome, SubmitTask } from "./commands.ts";
import type { TaskRecord } from "./records.ts";
import type { State } from "./state.ts";
import type { Backlog } from "./views.ts";

export function submitTask(state: State, { task }: SubmitTask, { index }: EntryPlace): Outcome {
  const same = state.task(task.task_id);
  if (same !== undefined)
    return { type: "submitted", task_id: same.task_id, cached: false, status: same.status };
  const first = holderOf(state, task);
  if (first !== undefined) {
    return { type: "submitted", task_id: first.task_id, cached: true, status: first.status };
  }
  state.putTask({
    v: 1,
    ...task,
    sequence: index,
    status: "pending",
    created_at: state.now,
    attempts_spent: 0,
    losses: 0,
    grants: 0,
    attempts: [],
  });
  state.put("content", task.content_hash, { v: 1, task_id: task.task_id });
  return { type: "submitted", task_id: task.task_id, cached: false, status: "pending" };
}

/** Why there is no room for a task that would be a new one. Whoever is about to append the command asks. */
export function noRoom(state: State, { task }: SubmitTask, limits: Backlog): string | undefined {
  const { tasks, bytes } = state.counts.backlog;
  const more = task.input_bytes ?? 0;
  if (tasks < limits.tasks && bytes + more <= limits.bytes) return undefined;
  if (state.task(task.task_id) !== undefined || holderOf(state, task) !== undefined) return undefined;
  return tasks >= limits.tasks
    ? `${tasks} tasks wait or are being proved, and ${limits.tasks} are allowed`
    : `the inputs of ${tasks} tasks that wait or are being proved have ${bytes} bytes, this one has ${more}, and ${limits.bytes} are allowed`;
}

/** The task that holds the same content already. */
function holderOf(state: State, task: SubmitTask["task"]): TaskRecord | undefined {
  const holder = state.get("content", task.content_hash);
  const first = holder && state.task(holder.task_id);
  if (first === undefined) return undefined;
  return first.status === "failed" || first.status === "cancelled" || first.status === "expired"
    ? undefined
    : first;
}
