/**
 * What happens to a task from outside its leases, as pure steps: its delay is over, its deadline has passed, it is
 * cancelled or retried by hand.
 */
import { currentAttempt, LOSSES_MAX } from "./attempts.ts";
import type { AttemptRecord, Instant, TaskRecord } from "./records.ts";

/** The delay of a scheduled task is over. */
export function fallDue(task: TaskRecord): TaskRecord {
  return { ...task, status: "pending" };
}

export function cancel(task: TaskRecord, now: Instant): TaskRecord {
  return { ...task, status: "cancelled", completed_at: now, attempts: attemptsEnded(task, "cancelled", now) };
}

export function expire(task: TaskRecord, now: Instant): TaskRecord {
  if (task.deadline === undefined) throw new Error(`task ${task.task_id} has no deadline to pass`);
  return {
    ...task,
    status: "expired",
    completed_at: now,
    attempts: attemptsEnded(task, "expired", now),
    error: `expired: no proof before ${new Date(task.deadline).toISOString()}`,
  };
}

/**
 * A task that has ended without a proof waits again, and whatever had used up its attempts, it has one more. One that
 * waits for its time need not wait any longer. A deadline that has passed no longer counts.
 */
export function retry(task: TaskRecord, now: Instant): TaskRecord {
  const { not_before: _n, started_at: _s, worker_id: _w, completed_at: _c, deadline, ...rest } = task;
  const { attempts_spent, losses, losses_max = LOSSES_MAX } = task;
  return {
    ...rest,
    status: "pending",
    max_attempts: Math.max(task.max_attempts, attempts_spent + 1),
    ...(losses >= losses_max ? { losses_max: losses + LOSSES_MAX } : {}),
    ...(deadline === undefined || deadline <= now ? {} : { deadline }),
  };
}

function attemptsEnded(
  task: TaskRecord,
  outcome: "cancelled" | "expired",
  now: Instant,
): readonly AttemptRecord[] {
  const current = currentAttempt(task);
  if (current === undefined) return task.attempts;
  return [...task.attempts.slice(0, -1), { ...current, ended_at: now, outcome }];
}
