/** From records to what the contract shows. Inputs and blindings have no way out through here. */
import { grantNumber } from "../coordinator/attempts.ts";
import type { AttemptRecord, TaskRecord, WorkerRecord } from "../coordinator/records.ts";
import type { AttemptView, TaskView } from "./tasks.ts";
import type { WorkerView } from "./workers.ts";

/** RFC 3339, UTC, with milliseconds. */
export function renderTime(instant: number): string {
  return new Date(instant).toISOString();
}

function when<Name extends string>(
  name: Name,
  instant: number | undefined,
): { readonly [K in Name]?: string } {
  return (instant === undefined ? {} : { [name]: renderTime(instant) }) as { readonly [K in Name]?: string };
}

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [K in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [K in Name]?: Value };
}

export function renderTask(task: TaskRecord): TaskView {
  const current = task.attempts.at(-1);
  const holder = current !== undefined && current.outcome === undefined ? current.worker_id : undefined;
  return {
    task_id: task.task_id,
    status: task.status,
    circuit_type: task.circuit_type,
    ...given("proof", task.proof),
    ...given("merkle_root", task.merkle_root),
    public_inputs: [...task.public_inputs],
    ...given("error", task.error),
    ...given("attempt", task.grants === 0 ? undefined : task.grants),
    ...given("worker_id", task.worker_id ?? holder),
    created_at: renderTime(task.created_at),
    ...when("started_at", task.started_at),
    ...when("completed_at", task.completed_at),
    circuit: task.circuit,
    priority: task.priority,
    max_attempts: task.max_attempts,
    attempts_spent: task.attempts_spent,
    losses: task.losses,
    ...given("max_runtime_ms", task.max_runtime_ms),
    ...when("not_before", task.not_before),
    ...given("tags", task.tags === undefined ? undefined : [...task.tags]),
  };
}

export function renderAttempt(attempt: AttemptRecord): AttemptView {
  return {
    // Not its place in the list: of very many grants the oldest are forgotten.
    attempt: grantNumber(attempt.lease_id),
    worker_id: attempt.worker_id,
    granted_at: renderTime(attempt.granted_at),
    ...when("started_at", attempt.started_at),
    ...when("ended_at", attempt.ended_at),
    ...given("outcome", attempt.outcome),
    ...given("error", attempt.error),
  };
}

export function renderWorker(worker: WorkerRecord & { readonly leases: readonly string[] }): WorkerView {
  return {
    worker_id: worker.worker_id,
    state: worker.state,
    draining: worker.draining,
    max_concurrent_tasks: worker.max_concurrent_tasks,
    circuits: [...worker.circuits],
    labels: { ...worker.labels },
    registered_at: renderTime(worker.registered_at),
    leases: [...worker.leases],
  };
}
