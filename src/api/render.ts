/** From the views of the state machine, which hold nothing that is secret, to what the contract shows. */
import type * as shown from "../coordinator/views.ts";
import type { OperationStanding } from "./operations.ts";
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

export function renderTask(task: shown.TaskView | shown.TaskSummary): TaskView {
  return {
    task_id: task.task_id,
    status: task.status,
    circuit_type: task.circuit_type,
    ...given("proof", task.proof),
    ...given("merkle_root", task.merkle_root),
    public_inputs: [...task.public_inputs],
    ...given("error", task.error),
    ...given("attempt", task.grants === 0 ? undefined : task.grants),
    ...given("worker_id", task.worker_id),
    created_at: renderTime(task.created_at),
    ...when("started_at", task.started_at),
    ...when("completed_at", task.completed_at),
    circuit: task.circuit,
    priority: task.priority,
    max_attempts: task.max_attempts,
    attempts_spent: task.attempts_spent,
    losses: task.losses,
    ...given("progress", "progress" in task ? task.progress : undefined),
    ...given("max_runtime_ms", task.max_runtime_ms),
    ...when("not_before", task.not_before),
    ...when("deadline", task.deadline),
    ...given("tags", task.tags === undefined ? undefined : [...task.tags]),
  };
}

export function renderAttempt(attempt: shown.AttemptView): AttemptView {
  return {
    attempt: attempt.attempt,
    worker_id: attempt.worker_id,
    granted_at: renderTime(attempt.granted_at),
    ...when("started_at", attempt.started_at),
    ...when("ended_at", attempt.ended_at),
    ...given("outcome", attempt.outcome),
    ...given("error", attempt.error),
  };
}

export function renderWorker(worker: shown.WorkerView): WorkerView {
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

export function renderStanding(operation: {
  readonly operation_id: string;
  readonly state: shown.OperationState;
  readonly log_index: number;
  readonly term: number;
}): OperationStanding {
  const { operation_id, state, log_index, term } = operation;
  const committed = state === "COMMITTED";
  return { operation_id, state, replicated: state !== "PENDING", committed, log_index, term };
}

/** JSON text: the payload stands in it as it was written. */
export function renderOperation(operation: shown.OperationView): string {
  const { state, time, payload } = operation;
  const text = JSON.stringify({
    ...renderStanding(operation),
    type: operation.type,
    schema_version: operation.schema_version,
    ...given("daemon_id", operation.daemon_id),
    ...given("timestamp", operation.timestamp),
    ...when(state === "FAILED" ? "failed_at" : "committed_at", time),
    ...when("expires_at", operation.expires_at),
    ...given("error", operation.error),
  });
  return payload === undefined ? text : `${text.slice(0, -1)},"payload":${payload}}`;
}
