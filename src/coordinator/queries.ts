/**
 * Answers to what may be asked of the state. Nothing here changes it.
 */
import { leaseName } from "./attempts.ts";
import type { TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";
import type { Page, Query, WorkerView } from "./views.ts";

export type TaskFilter = Omit<Extract<Query, { readonly type: "tasks" }>, "type">;

/** Tasks looked at for one page: a page may come back short, with a cursor to go on from. */
export const EXAMINED_MAX = 20_000;

export function workerView(state: State, worker: WorkerRecord): WorkerView {
  return {
    ...worker,
    leases: state
      .leasesOf(worker.worker_id)
      .map(({ task, attempt }) => leaseName(task.task_id, attempt.lease_id)),
  };
}

/** Newest first. `worker_id` finds the tasks that this worker holds or ever held. */
export function tasksPage(state: State, filter: TaskFilter): Page<TaskRecord> {
  const { limit, cursor } = filter;
  const before = cursor === undefined ? undefined : Number(cursor);
  if (before !== undefined && !Number.isSafeInteger(before)) return { items: [] };
  const items: TaskRecord[] = [];
  let examined = 0;
  let last = 0;
  for (const task of state.newestTasks(before)) {
    if (items.length >= limit || examined >= EXAMINED_MAX) return { items, next_cursor: String(last) };
    examined++;
    last = task.sequence;
    if (matches(task, filter)) items.push(task);
  }
  return { items };
}

function matches(task: TaskRecord, { status, circuit, worker_id }: TaskFilter): boolean {
  if (status !== undefined && task.status !== status) return false;
  if (circuit !== undefined && task.circuit !== circuit) return false;
  return worker_id === undefined || task.attempts.some((attempt) => attempt.worker_id === worker_id);
}
