/**
 * Submission: one task per task id and per content.
 */
import type { EntryPlace, Outcome, SubmitTask } from "./commands.ts";
import type { TaskRecord } from "./records.ts";
import type { State } from "./state.ts";

export function submitTask(state: State, { task }: SubmitTask, { index }: EntryPlace): Outcome {
  const same = state.task(task.task_id);
  if (same !== undefined)
    return { type: "submitted", task_id: same.task_id, cached: false, status: same.status };
  const holder = state.get("content", task.content_hash);
  const first = holder && state.task(holder.task_id);
  if (first !== undefined && holdsContent(first)) {
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

function holdsContent({ status }: TaskRecord): boolean {
  return status !== "failed" && status !== "cancelled" && status !== "expired";
}
