/**
 * From grant to result. The order of the checks is the contract's: unknown lease, wrong owner, task already over, and
 * only then whether the lease is current.
 */
import { complete, countsAsFailedAssignment, endAttempt, hasEnded, start } from "./attempts.ts";
import type {
  CompleteLease,
  ExpireLease,
  FailLease,
  GrantLeases,
  RejectProof,
  ReleaseLease,
  StartLeases,
} from "./commands.ts";
import { grant } from "./grant.ts";
import type { LeaseGrant, Outcome, Refused } from "./outcomes.ts";
import { bootSuperseded, refused, workerUnknown } from "./outcomes.ts";
import type { AttemptOutcome } from "./records.ts";
import type { State } from "./state.ts";
import type { LeaseView } from "./views.ts";

export function grantLeases(state: State, { worker_id, boot_id, max, nonce }: GrantLeases): Outcome {
  const worker = state.worker(worker_id);
  if (worker === undefined || worker.state === "dead") return workerUnknown(worker_id);
  if (worker.boot_id !== boot_id) return bootSuperseded(worker_id);
  return { type: "granted", leases: grantTo(state, worker_id, max, nonce) };
}

export function startLeases(state: State, { lease_ids }: StartLeases): Outcome {
  for (const lease_id of lease_ids) {
    const lease = state.lease(lease_id);
    if (lease?.current && lease.task.status === "assigned") state.putTask(start(lease.task, state.now));
  }
  return { type: "done" };
}

export function completeLease(state: State, command: CompleteLease): Outcome {
  const lease = ownLease(state, command);
  if ("type" in lease) return lease;
  const { task, attempt, current } = lease;
  const { task_id } = task;
  const accepted = { type: "completed", task_id } as const;
  const next = (): readonly LeaseGrant[] => {
    const { next: asked, worker_id } = command;
    if (asked === undefined || state.worker(worker_id)?.boot_id !== asked.boot_id) return [];
    return grantTo(state, worker_id, asked.max, asked.nonce);
  };
  if (attempt.outcome === "completed") {
    if (task.proof_digest !== command.proof_digest) return proofMismatch(command.lease_id);
    const accepted_late = attempt.earlier_outcome !== undefined;
    return { ...accepted, duplicate: true, accepted_late, leases: next() };
  }
  if (hasEnded(task.status)) return superseded(lease);
  state.putTask(complete(task, command.lease_id, command, state.now));
  return { ...accepted, duplicate: false, accepted_late: !current, leases: next() };
}

export function rejectProof(state: State, command: RejectProof): Outcome {
  const lease = ownLease(state, command);
  if ("type" in lease) return lease;
  // An invalid proof is not the one that was accepted.
  if (lease.attempt.outcome === "completed") return proofMismatch(command.lease_id);
  if (!lease.current) return superseded(lease);
  return endLease(state, lease, { outcome: "proof-invalid", error: `proof-invalid: ${command.reason}` });
}

export function failLease(state: State, command: FailLease): Outcome {
  const lease = ownLease(state, command);
  if ("type" in lease) return lease;
  if (!lease.current) return endedAs(lease, "failed");
  const { error_code, message, retryable } = command;
  return endLease(state, lease, { outcome: "failed", error: `${error_code}: ${message}`, final: !retryable });
}

export function releaseLease(state: State, command: ReleaseLease): Outcome {
  const lease = ownLease(state, command);
  if ("type" in lease) return lease;
  if (!lease.current) return endedAs(lease, "released");
  return endLease(state, lease, { outcome: "released" });
}

export function expireLease(state: State, { lease_id, reason }: ExpireLease): Outcome {
  const lease = state.lease(lease_id);
  if (!lease?.current) return { type: "done" };
  const error =
    reason === "timed-out"
      ? `timed-out: not finished within ${lease.task.max_runtime_ms} ms`
      : `missing: worker ${lease.attempt.worker_id} no longer listed the lease`;
  return endLease(state, lease, { outcome: reason, error });
}

/** Gives back every lease of a worker. */
export function endLeasesOf(
  state: State,
  worker_id: string,
  outcome: "worker-lost" | "released",
  error: string,
): void {
  for (const lease of state.leasesOf(worker_id)) endLease(state, lease, { outcome, error });
}

function grantTo(state: State, worker_id: string, max: number, nonce: string): readonly LeaseGrant[] {
  const worker = state.worker(worker_id);
  if (worker === undefined || worker.state === "dead") return [];
  if (worker.state === "active") return grant(state, worker, max, nonce);
  // To ask for work is a sign of life.
  const revived = { ...worker, state: "active" } as const;
  state.putWorker(revived);
  return grant(state, revived, max, nonce);
}

function endLease(
  state: State,
  { task }: LeaseView,
  end: { readonly outcome: AttemptOutcome; readonly error?: string; readonly final?: boolean },
): Outcome {
  const next = endAttempt(task, end, state.now);
  state.putTask(next);
  if (countsAsFailedAssignment(end.outcome)) state.assignments_failed++;
  const attempt = next.attempts.at(-1);
  if (attempt === undefined) throw new Error(`task ${task.task_id} has no attempts after one ended`);
  return { type: "attempt-ended", task_id: task.task_id, status: next.status, attempt };
}

/** A worker that missed the answer repeats itself: what it asked for has happened. */
function endedAs(lease: LeaseView, outcome: AttemptOutcome): Outcome {
  const { task, attempt } = lease;
  if (attempt.outcome !== outcome) return superseded(lease);
  return { type: "attempt-ended", task_id: task.task_id, status: task.status, attempt };
}

function ownLease(state: State, asked: { lease_id: string; worker_id: string }): LeaseView | Refused {
  const { lease_id, worker_id } = asked;
  const lease = state.lease(lease_id);
  if (lease === undefined) return refused("lease-unknown", `lease ${lease_id} was never granted`);
  if (lease.attempt.worker_id === worker_id) return lease;
  return refused("lease-superseded", `lease ${lease_id} does not belong to worker ${worker_id}`);
}

function superseded({ task, attempt }: LeaseView): Refused {
  const over = hasEnded(task.status) ? `its task is ${task.status}` : `it ended as ${attempt.outcome}`;
  return refused("lease-superseded", `lease ${attempt.lease_id} is no longer current: ${over}`);
}

function proofMismatch(lease_id: string): Refused {
  return refused("proof-mismatch", `lease ${lease_id} was completed with another proof`);
}
