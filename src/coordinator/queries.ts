/**
 * Answers to what may be asked of the state, as far as whoever asks may see it. Nothing here changes the state. A page
 * is bounded in number, in tasks looked at and in bytes: it is made on the leader's thread.
 */
import { grantNumber, leaseName } from "./attempts.ts";
import type { TaskAction } from "./commands.ts";
import { PageBuilder } from "./page.ts";
import type { AttemptRecord, TaskRecord, TaskStatus, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";
import type {
  AttemptView,
  LeaseStanding,
  LeaseView,
  Page,
  Query,
  TaskFilter,
  TaskSummary,
  TaskView,
  WorkerView,
} from "./views.ts";

type TasksQuery = Omit<Extract<Query, { readonly type: "tasks" }>, "type">;
type ChangeableQuery = Omit<Extract<Query, { readonly type: "changeable" }>, "type">;
type WorkersQuery = Omit<Extract<Query, { readonly type: "workers" }>, "type">;

/** Tasks looked at for one page: a page may come back short, with a cursor to go on from. */
export const EXAMINED_MAX = 20_000;

const CHANGEABLE: Readonly<Record<TaskAction, ReadonlySet<TaskStatus>>> = {
  cancel: new Set(["scheduled", "pending", "assigned", "in_progress"]),
  retry: new Set(["scheduled", "failed", "cancelled", "expired"]),
};

/** Newest first. `worker_id` finds the tasks that this worker holds or ever held. */
export function tasksPage(state: State, query: TasksQuery): Page<TaskSummary> {
  return pageOf(state, query, (task) => matches(task, query), taskSummary);
}

export function changeablePage(state: State, query: ChangeableQuery): Page<string> {
  const statuses = CHANGEABLE[query.action];
  return pageOf(
    state,
    query,
    (task) => statuses.has(task.status) && matches(task, query),
    ({ task_id }) => task_id,
  );
}

function pageOf<Item>(
  state: State,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string },
  wanted: (task: TaskRecord) => boolean,
  item: (task: TaskRecord) => Item,
): Page<Item> {
  const page = new PageBuilder<Item>(limit);
  let examined = 0;
  let last = 0;
  for (const task of state.newestTasks(cursor === undefined ? undefined : Number(cursor))) {
    const ends = page.full || examined >= EXAMINED_MAX;
    if (ends || (wanted(task) && !page.add(item(task))))
      return { items: page.items, next_cursor: String(last) };
    examined++;
    last = task.sequence;
  }
  return { items: page.items };
}

function matches(task: TaskRecord, filter: TaskFilter): boolean {
  const { statuses, circuit, worker_id, tag, created_before } = filter;
  if (statuses !== undefined && !statuses.includes(task.status)) return false;
  if (circuit !== undefined && task.circuit !== circuit) return false;
  if (tag !== undefined && !task.tags?.includes(tag)) return false;
  if (created_before !== undefined && task.created_at >= created_before) return false;
  return worker_id === undefined || task.attempts.some((attempt) => attempt.worker_id === worker_id);
}

/** In order of their names; the cursor is the last one's. */
export function workersPage(state: State, { limit, cursor }: WorkersQuery): Page<WorkerView> {
  const page = new PageBuilder<WorkerView>(limit);
  for (const worker of state.workers()) {
    if (cursor !== undefined && worker.worker_id <= cursor) continue;
    if (!page.full && page.add(workerView(state, worker))) continue;
    const next_cursor = page.items.at(-1)?.worker_id;
    return { items: page.items, ...(next_cursor === undefined ? {} : { next_cursor }) };
  }
  return { items: page.items };
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

export function taskView(task: TaskRecord): TaskView {
  const { input: _, blinding: _b, content_hash: _c, proof_digest: _d, attempts, ...rest } = task;
  return { ...rest, history: attempts.map(attemptView) };
}

function attemptView(record: AttemptRecord): AttemptView {
  const { lease_id, boot_id: _, ...rest } = record;
  return { ...rest, attempt: grantNumber(lease_id) };
}

export function leaseStanding({ task, attempt }: LeaseView): LeaseStanding {
  const { task_id, circuit, public_inputs, status, proof_digest } = task;
  const { worker_id, outcome } = attempt;
  return {
    task_id,
    circuit,
    public_inputs,
    status,
    ...(proof_digest === undefined ? {} : { proof_digest }),
    worker_id,
    ...(outcome === undefined ? {} : { outcome }),
  };
}

export function workerView(state: State, worker: WorkerRecord): WorkerView {
  const { boot_id: _, ...rest } = worker;
  const leases = state.leasesOf(worker.worker_id);
  return { ...rest, leases: leases.map(({ task, attempt }) => leaseName(task.task_id, attempt.lease_id)) };
}
