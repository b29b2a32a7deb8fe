/**
 * What the machine itself reports of a change, by the records before and after. Nothing here is private: neither inputs,
 * nor proofs, nor the ids of leases.
 */
import type { TaskRecord, WorkerRecord } from "./records.ts";

/** Short: what is longer is looked up under its id. */
export interface Happening {
  /** `task.completed`, `worker.dead`, … */
  readonly name: string;
  readonly body: Readonly<Record<string, string | number>>;
}

/** `task.created`, then `task.` and the status with every change of it. */
export function taskHappening(before: TaskRecord | undefined, task: TaskRecord): Happening | undefined {
  if (before?.status === task.status) return undefined;
  const { task_id, circuit, status, grants, worker_id } = task;
  return {
    name: `task.${before === undefined ? "created" : status}`,
    body: {
      task_id,
      circuit,
      status,
      ...(grants === 0 ? {} : { attempt: grants }),
      ...(worker_id === undefined ? {} : { worker_id }),
    },
  };
}

/** `worker.registered` for every new process, `worker.` and the state with every change of it, `worker.draining`. */
export function workerHappenings(
  before: WorkerRecord | undefined,
  worker: WorkerRecord,
): readonly Happening[] {
  const { worker_id, boot_id, state, draining } = worker;
  const of = (what: string): Happening => ({ name: `worker.${what}`, body: { worker_id } });
  if (before?.boot_id !== boot_id) return [of("registered")];
  return [
    ...(before.state === state ? [] : [of(state)]),
    ...(draining && !before.draining ? [of("draining")] : []),
  ];
}

export function workerRemoved(worker_id: string): Happening {
  return { name: "worker.removed", body: { worker_id } };
}
