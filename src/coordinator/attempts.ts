/**
 * The life of one task, as pure steps from record to record: granted, started, given back, retried, ended. Nothing here
 * knows of other tasks or of workers.
 */
import type { LeaseGrant } from "./outcomes.ts";
import type {
  AttemptOutcome,
  AttemptRecord,
  EndedStatus,
  Instant,
  TaskRecord,
  TaskStatus,
} from "./records.ts";
import type { LeaseView } from "./views.ts";

/** A task that loses its worker this often is taken to be the cause. */
export const LOSSES_MAX = 10;
export const BACKOFF_FIRST_MS = 1_000;
export const BACKOFF_MAX_MS = 60_000;
const BACKOFF_JITTER = 0.2;
/** Attempts remembered by a record. Only released leases are without a limit, so only those are ever forgotten. */
export const ATTEMPTS_MAX = 64;
const ERROR_CHARACTERS_MAX = 1_000;

const SPENDING: ReadonlySet<AttemptOutcome> = new Set(["failed", "proof-invalid", "timed-out"]);
const LOSING: ReadonlySet<AttemptOutcome> = new Set(["worker-lost", "missing"]);

export function isWaiting(status: TaskStatus): boolean {
  return status === "pending" || status === "scheduled";
}

export function hasEnded(status: TaskStatus): status is EndedStatus {
  return status === "completed" || status === "failed" || status === "cancelled" || status === "expired";
}

/** Whether the attempt speaks against giving the task to the same worker again. */
export function spends(attempt: AttemptRecord): boolean {
  return attempt.outcome !== undefined && SPENDING.has(attempt.outcome);
}

/** Whether it took a prover's time until it ended, with a proof or without. */
export function wasWork(attempt: AttemptRecord): boolean {
  return attempt.outcome === "completed" || spends(attempt);
}

export function countsAsFailedAssignment(outcome: AttemptOutcome): boolean {
  return SPENDING.has(outcome) || LOSING.has(outcome);
}

/**
 * Task ids are never reused, so that task and number of the grant name a lease for ever. The name is public; the nonce
 * behind it is known to the holder alone, so that nobody else can end the lease. (Empty in logs from before there was
 * one, and in tests.)
 */
export function leaseId(task_id: string, grant: number, nonce: string): string {
  const name = `${task_id}.${grant}`;
  return nonce ? `${name}.${nonce}` : name;
}

/** What may be read out of a text that could be a lease id; undefined for what was never one. */
function parseLeaseId(lease_id: string): { readonly task_id: string; readonly grant: number } | undefined {
  const [, task_id, grant] = /^([^.]+)\.([1-9]\d{0,15})(?:\.[0-9a-f]{16})?$/.exec(lease_id) ?? [];
  return task_id === undefined ? undefined : { task_id, grant: Number(grant) };
}

/** The task that a lease would belong to, or undefined for what was never a lease id. */
export function taskOfLease(lease_id: string): string | undefined {
  return parseLeaseId(lease_id)?.task_id;
}

/** Which grant of its task a lease is, counted from 1. */
export function grantNumber(lease_id: string): number {
  const grant = parseLeaseId(lease_id)?.grant;
  if (grant === undefined) throw new Error(`a record holds ${lease_id}, which is no lease id`);
  return grant;
}

/** A lease as everybody may know it. */
export function leaseName(task_id: string, lease_id: string): string {
  return leaseId(task_id, grantNumber(lease_id), "");
}

export function currentAttempt(
  task: Pick<TaskRecord, "task_id" | "status" | "attempts">,
): AttemptRecord | undefined {
  if (task.status !== "assigned" && task.status !== "in_progress") return undefined;
  const last = task.attempts.at(-1);
  if (last === undefined || last.outcome !== undefined) {
    throw new Error(
      `task ${task.task_id} is ${task.status} without a current attempt (${task.attempts.length} attempts)`,
    );
  }
  return last;
}

export function findLease(task: TaskRecord, lease_id: string): LeaseView | undefined {
  const attempt = task.attempts.findLast((one) => one.lease_id === lease_id);
  return attempt && { task, attempt, current: currentAttempt(task) === attempt };
}

/** What its holder is told of a lease, the task's `input` among it. */
export function leaseGrant({ task, attempt }: LeaseView, input: unknown): LeaseGrant {
  return {
    lease_id: attempt.lease_id,
    task_id: task.task_id,
    attempt: grantNumber(attempt.lease_id),
    circuit: task.circuit,
    input,
    blinding: task.blinding,
    public_inputs: task.public_inputs,
    granted_at: attempt.granted_at,
    ...(task.max_runtime_ms === undefined ? {} : { max_runtime_ms: task.max_runtime_ms }),
  };
}

export function assign(
  task: TaskRecord,
  worker: { worker_id: string; boot_id: string },
  nonce: string,
  now: Instant,
): TaskRecord {
  const { worker_id, boot_id } = worker;
  const grants = task.grants + 1;
  const attempt: AttemptRecord = {
    lease_id: leaseId(task.task_id, grants, nonce),
    worker_id,
    boot_id,
    granted_at: now,
  };
  const attempts = [...task.attempts, attempt];
  if (attempts.length > ATTEMPTS_MAX) {
    const released = attempts.findIndex(({ outcome }) => outcome === "released");
    if (released >= 0) attempts.splice(released, 1);
  }
  return { ...task, status: "assigned", started_at: now, worker_id, grants, attempts };
}

export function start(task: TaskRecord, now: Instant): TaskRecord {
  const current = currentAttempt(task);
  if (current === undefined || task.status === "in_progress") return task;
  return {
    ...task,
    status: "in_progress",
    attempts: [...task.attempts.slice(0, -1), { ...current, started_at: now }],
  };
}

/**
 * Ends the current attempt without a proof. By its outcome it spends an attempt, counts as a loss, or costs nothing;
 * `final` ends the task at once.
 */
export function endAttempt(
  task: TaskRecord,
  end: { readonly outcome: AttemptOutcome; readonly error?: string; readonly final?: boolean },
  now: Instant,
): TaskRecord {
  const current = currentAttempt(task);
  if (current === undefined)
    throw new Error(`task ${task.task_id} is ${task.status}: no attempt to end as ${end.outcome}`);
  const error = end.error?.slice(0, ERROR_CHARACTERS_MAX);
  const attempts = [
    ...task.attempts.slice(0, -1),
    { ...current, ended_at: now, outcome: end.outcome, ...(error === undefined ? {} : { error }) },
  ];
  const attempts_spent = task.attempts_spent + (SPENDING.has(end.outcome) ? 1 : 0);
  const losses = task.losses + (LOSING.has(end.outcome) ? 1 : 0);
  const next = { ...task, attempts, attempts_spent, losses, ...(error === undefined ? {} : { error }) };
  if (end.final || attempts_spent >= task.max_attempts)
    return { ...next, status: "failed", completed_at: now };
  if (losses >= (task.losses_max ?? LOSSES_MAX)) {
    const lost = `given up after ${losses} workers were lost with it; the last one: ${current.worker_id}`;
    return { ...next, status: "failed", completed_at: now, error: lost };
  }
  const { started_at: _started, worker_id: _worker, ...waiting } = next;
  if (attempts_spent === task.attempts_spent) return { ...waiting, status: "pending" };
  return { ...waiting, status: "pending", not_before: now + backoff(task.task_id, attempts_spent) };
}

/** A valid proof came in under this lease, be it current or not. Whoever else holds the task is superseded. */
export function complete(
  task: TaskRecord,
  lease_id: string,
  accepted: { readonly proof: unknown; readonly proof_digest: string },
  now: Instant,
): TaskRecord {
  const holder = currentAttempt(task);
  const attempts = task.attempts.map((attempt): AttemptRecord => {
    if (attempt.lease_id === lease_id) {
      const earlier = attempt.outcome === undefined ? {} : { earlier_outcome: attempt.outcome };
      return { ...withoutError(attempt), ...earlier, ended_at: now, outcome: "completed" };
    }
    return attempt === holder ? { ...attempt, ended_at: now, outcome: "superseded" } : attempt;
  });
  const winner = attempts.findLast((attempt) => attempt.lease_id === lease_id);
  if (winner === undefined) throw new Error(`task ${task.task_id} has no lease ${lease_id} to complete`);
  const { proof, proof_digest } = accepted;
  const { worker_id, granted_at } = winner;
  return {
    ...withoutError(task),
    status: "completed",
    started_at: granted_at,
    completed_at: now,
    attempts,
    proof,
    proof_digest,
    worker_id,
  };
}

/** To leave a field out of a copy takes several times as long as to copy all of them. */
function withoutError<Value extends { readonly error?: string }>(value: Value): Omit<Value, "error"> {
  if (value.error === undefined) return value;
  const { error: _, ...rest } = value;
  return rest;
}

/** Pause in ms before attempt `spent + 1`: the same on every replica, different from task to task. */
export function backoff(task_id: string, spent: number): number {
  const base = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (spent - 1));
  const fraction = hash(`${task_id}.${spent}`) / 2 ** 32;
  return Math.round(base * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * fraction));
}

/** FNV-1a with the last mixing step of MurmurHash3, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
