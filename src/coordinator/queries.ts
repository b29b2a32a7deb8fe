/** Answers to what may be asked of the state, as far as whoever asks may see it. Nothing here changes the state. */
import { grantNumber, leaseName } from "./attempts.ts";
import { PageBuilder } from "./page.ts";
import type { AttemptRecord, TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";
import type { AttemptView, LeaseStanding, LeaseView, Page, Query, TaskView, WorkerView } from "./views.ts";

type WorkersQuery = Omit<Extract<Query, { readonly type: "workers" }>, "type">;

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
