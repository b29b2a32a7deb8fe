/**
 * Tasks by filter, page by page. A page is bounded in number, in bytes and in what is read for it, because it is made
 * on the leader's thread: it may come back short or even empty, with a cursor to go on from. What is looked at of open tasks
 * is in memory; those that have ended are read from their tables, one by one, and some of them are large.
 */
import { hasEnded } from "./attempts.ts";
import type { TaskAction } from "./commands.ts";
import { PageBuilder } from "./page.ts";
import type { TaskRecord, TaskStatus } from "./records.ts";
import type { State } from "./state.ts";
import type { Arrival, OpenTask } from "./tables.ts";
import type { Page, Query, TaskFilter, TaskSummary } from "./views.ts";

type TasksQuery = Omit<Extract<Query, { readonly type: "tasks" }>, "type">;
type ChangeableQuery = Omit<Extract<Query, { readonly type: "changeable" }>, "type">;

/** Looked at for one page, by estimate: a thousand ended tasks with small inputs, some 40 ms. */
export const READ_BYTES_MAX = 2 * 1024 * 1024;
/** A look at what is in memory, or in a row with many others. */
const LOOK_BYTES = 64;
/** What an ended task has beside its input. */
const RECORD_BYTES = 2_048;

const OPEN: ReadonlySet<string> = new Set(["scheduled", "pending", "assigned", "in_progress"]);
const CHANGEABLE: Readonly<Record<TaskAction, ReadonlySet<TaskStatus>>> = {
  cancel: new Set(["scheduled", "pending", "assigned", "in_progress"]),
  retry: new Set(["scheduled", "failed", "cancelled", "expired"]),
};

/** Newest first. The cursor is the sequence of the last task looked at. */
export function tasksPage(state: State, query: TasksQuery): Page<TaskSummary> {
  const { limit, cursor, statuses } = query;
  const before = cursor === undefined ? undefined : Number(cursor);
  const wanted = (task: OpenTask): boolean => matches(task, query);
  const arrivals: Iterable<Arrival> =
    statuses?.every((status) => OPEN.has(status)) === true
      ? newestOpen(state, before, limit, wanted).map((task) => ({ sequence: task.sequence, task }))
      : state.newestTasks(before);
  const page = new PageBuilder<TaskSummary>(limit);
  let last = 0;
  let read = 0;
  for (const { sequence, task } of arrivals) {
    const ends =
      task !== undefined && (page.full || (wanted(task) && !page.add(taskSummary(wholeOf(state, task)))));
    if (ends) return { items: page.items, next_cursor: String(last) };
    if (task !== undefined) last = sequence;
    read += costOf(task);
    if (read >= READ_BYTES_MAX) return { items: page.items, next_cursor: String(sequence) };
  }
  return { items: page.items };
}

/**
 * Ids of the tasks to which an action can be done: first the open ones, newest first, then those that have ended, the
 * last first. The cursor is a sequence, or `e` and the place among those that have ended.
 */
export function changeablePage(state: State, query: ChangeableQuery): Page<string> {
  const { action, cursor } = query;
  const wanted = (task: OpenTask): boolean => CHANGEABLE[action].has(task.status) && matches(task, query);
  if (cursor?.startsWith("e")) return endedPage(state, query, Number(cursor.slice(1)), wanted);
  const page = openPage(state, query, wanted);
  if (page.next_cursor !== undefined || action === "cancel") return page;
  return { items: page.items, next_cursor: `e${state.ended.position.next}` };
}

function openPage(
  state: State,
  { limit, cursor }: ChangeableQuery,
  wanted: (task: OpenTask) => boolean,
): Page<string> {
  const items: string[] = [];
  let last = 0;
  const before = cursor === undefined ? undefined : Number(cursor);
  for (const { sequence, task_id } of newestOpen(state, before, limit, wanted)) {
    if (items.length === limit) return { items, next_cursor: String(last) };
    items.push(task_id);
    last = sequence;
  }
  return { items };
}

function endedPage(
  state: State,
  { action, limit }: ChangeableQuery,
  before: number,
  wanted: (task: OpenTask) => boolean,
): Page<string> {
  const items: string[] = [];
  let last = before;
  let read = 0;
  for (const { ordinal, entry } of state.ended.newest(before)) {
    if (items.length === limit || read >= READ_BYTES_MAX) return { items, next_cursor: `e${last}` };
    read += LOOK_BYTES;
    last = ordinal;
    if (!CHANGEABLE[action].has(entry.status)) continue;
    const task = state.task(entry.task_id);
    read += costOf(task);
    // Another entry stands for a task that has ended again.
    if (task?.status === entry.status && task.completed_at === entry.at && wanted(task))
      items.push(task.task_id);
  }
  return { items };
}

/** One more than `limit`, so that it shows whether there are more. */
function newestOpen(
  state: State,
  before = Number.POSITIVE_INFINITY,
  limit: number,
  wanted: (task: OpenTask) => boolean,
): readonly OpenTask[] {
  let found: OpenTask[] = [];
  const keepNewest = (): void => {
    found.sort((a, b) => b.sequence - a.sequence);
    found = found.slice(0, limit + 1);
  };
  for (const task of state.openTasks()) {
    if (task.sequence >= before || !wanted(task)) continue;
    found.push(task);
    if (found.length > 2 * limit + 2) keepNewest();
  }
  keepNewest();
  return found;
}

function costOf(task: OpenTask | undefined): number {
  if (task === undefined || !hasEnded(task.status)) return LOOK_BYTES;
  return RECORD_BYTES + (task.input_bytes ?? 0);
}

/** `worker_id` finds the tasks that this worker holds or ever held. */
function matches(task: OpenTask, filter: TaskFilter): boolean {
  const { statuses, circuit, worker_id, tag, created_before } = filter;
  if (statuses !== undefined && !statuses.includes(task.status)) return false;
  if (circuit !== undefined && task.circuit !== circuit) return false;
  if (tag !== undefined && !task.tags?.includes(tag)) return false;
  if (created_before !== undefined && task.created_at >= created_before) return false;
  return worker_id === undefined || task.attempts.some((attempt) => attempt.worker_id === worker_id);
}

function wholeOf(state: State, task: TaskRecord | OpenTask): TaskRecord {
  if ("blinding" in task) return task;
  const whole = state.task(task.task_id);
  if (whole === undefined) throw new Error(`task ${task.task_id} is open, but has no record`);
  return whole;
}

function taskSummary(task: TaskRecord): TaskSummary {
  const {
    input: _,
    blinding: _b,
    content_hash: _c,
    proof: _p,
    proof_digest: _d,
    attempts: _a,
    ...rest
  } = task;
  return rest;
}
