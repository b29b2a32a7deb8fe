/**
 * Workers: registered, suspected, declared dead, drained, removed. A worker that is dead or gone holds no lease.
 */

import { endLeasesOf } from "./apply-leases.ts";
import { leaseGrant } from "./attempts.ts";
import type { DrainWorker, RegisterWorker, RemoveWorker, SetWorkerState } from "./commands.ts";
import type { Outcome } from "./outcomes.ts";
import { workerUnknown } from "./outcomes.ts";
import type { State } from "./state.ts";

/** Beyond this many the dead ones are forgotten, those first that registered first. */
export const WORKERS_MAX = 10_000;

export function registerWorker(state: State, { worker }: RegisterWorker): Outcome {
  const { worker_id, boot_id } = worker;
  const before = state.worker(worker_id);
  const same_process = before?.boot_id === boot_id;
  if (before === undefined) forgetDead(state);
  // A crash of the prover shows only as a new process: its tasks lost their worker.
  else if (!same_process)
    endLeasesOf(state, worker_id, "worker-lost", `worker-lost: ${worker_id} was started anew`);
  state.registrations++;
  state.putWorker({
    v: 1,
    ...worker,
    state: "active",
    draining: same_process && before.draining,
    registered_at: state.now,
  });
  return {
    type: "registered",
    created: before === undefined,
    leases: state.leasesOf(worker_id).map((lease) => leaseGrant(lease, state.inputOf(lease.task))),
  };
}

export function setWorkerState(state: State, command: SetWorkerState): Outcome {
  const worker = state.worker(command.worker_id);
  // The dead come back by registering only.
  if (worker === undefined || worker.boot_id !== command.boot_id || worker.state === "dead")
    return { type: "done" };
  if (worker.state === command.state) return { type: "done" };
  if (command.state === "dead") {
    endLeasesOf(
      state,
      worker.worker_id,
      "worker-lost",
      `worker-lost: ${worker.worker_id} was not heard of any more`,
    );
  }
  state.putWorker({ ...worker, state: command.state });
  return { type: "done" };
}

export function drainWorker(state: State, { worker_id }: DrainWorker): Outcome {
  const worker = state.worker(worker_id);
  if (worker === undefined) return workerUnknown(worker_id);
  if (!worker.draining) state.putWorker({ ...worker, draining: true });
  return { type: "done" };
}

export function removeWorker(state: State, { worker_id }: RemoveWorker): Outcome {
  if (state.worker(worker_id) === undefined) return workerUnknown(worker_id);
  endLeasesOf(state, worker_id, "released", `released: worker ${worker_id} was removed`);
  state.deleteWorker(worker_id);
  return { type: "done" };
}

function forgetDead(state: State): void {
  if (state.workforce.workers.total < WORKERS_MAX) return;
  const dead = state.workers().filter((worker) => worker.state === "dead");
  dead.sort((a, b) => a.registered_at - b.registered_at || (a.worker_id < b.worker_id ? -1 : 1));
  // Some at once, so that not every registration has to look for one.
  for (const { worker_id } of dead.slice(0, WORKERS_MAX / 10)) state.deleteWorker(worker_id);
}
