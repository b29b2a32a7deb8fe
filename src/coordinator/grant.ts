/**
 * Which tasks a worker gets: never more than its free slots, the first that are due, and a retry rather elsewhere.
 */
import { assign, currentAttempt, leaseGrant, spends } from "./attempts.ts";
import type { LeaseGrant } from "./commands.ts";
import type { Waiting } from "./queue.ts";
import type { Instant, TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";
import type { LeaseView } from "./views.ts";

/** How long a retry is kept for others before the worker that failed it may have it again. */
export const ELSEWHERE_MS = 10_000;
/** Retries passed over in one grant. Those that wait for them have free slots, so there will soon be fewer. */
const PASSED_OVER_MAX = 64;
export const GRANT_MAX = 500;

interface Selection {
  readonly tasks: readonly TaskRecord[];
  readonly taken: readonly Waiting[];
}

/**
 * Grants up to `max` leases. A worker that asks for more than we believe it has room for never learned of some of its
 * leases, because an answer was lost: of those that no heartbeat ever listed, the newest are handed out once more.
 */
export function grant(state: State, worker: WorkerRecord, max: number, nonce: string): readonly LeaseGrant[] {
  if (worker.draining || worker.state === "dead") return [];
  const free = state.workforce.free(worker);
  const again = unheardLeases(state, worker, max - free);
  const { tasks } = select(state, worker, Math.min(max, free, GRANT_MAX), state.now);
  const fresh = tasks.map((task): LeaseView => {
    const assigned = assign(task, worker, nonce, state.now);
    state.putTask(assigned);
    const attempt = currentAttempt(assigned);
    if (attempt === undefined) throw new Error(`task ${task.task_id} was assigned without an attempt`);
    return { task: assigned, attempt, current: true };
  });
  if (fresh.length > 0) state.countAssigned(worker.worker_id, fresh.length);
  return [...again, ...fresh].map(leaseGrant);
}

/** Whether `grant` would hand out anything at `now`. Changes nothing that shows. */
export function wouldGrant(state: State, worker: WorkerRecord, max: number, now: Instant): boolean {
  if (worker.draining || worker.state === "dead") return false;
  const free = state.workforce.free(worker);
  if (unheardLeases(state, worker, max - free).length > 0) return true;
  const { taken } = select(state, worker, Math.min(max, free, 1), now);
  for (const entry of taken) state.queue.restore(entry, now);
  return taken.length > 0;
}

function unheardLeases(state: State, worker: WorkerRecord, most: number): readonly LeaseView[] {
  if (!(most > 0)) return [];
  return state
    .leasesOf(worker.worker_id)
    .filter(({ task }) => task.status === "assigned")
    .slice(-Math.min(most, GRANT_MAX));
}

function select(state: State, worker: WorkerRecord, most: number, now: Instant): Selection {
  const tasks: TaskRecord[] = [];
  const taken: Waiting[] = [];
  const passed_over: Waiting[] = [];
  while (tasks.length < most && passed_over.length < PASSED_OVER_MAX) {
    const entry = state.queue.pop(worker.circuits, now);
    if (entry === undefined) break;
    const task = state.task(entry.task_id);
    if (task === undefined) throw new Error(`queue holds task ${entry.task_id}, which has no record`);
    if (hasPassed(task.deadline, now) || isKeptForOthers(state, task, worker, now)) {
      passed_over.push(entry);
    } else {
      tasks.push(task);
      taken.push(entry);
    }
  }
  for (const entry of passed_over) state.queue.restore(entry, now);
  return { tasks, taken };
}

/** It will be expired presently; until then nobody need work on it. */
function hasPassed(deadline: Instant | undefined, now: Instant): boolean {
  return deadline !== undefined && deadline <= now;
}

function isKeptForOthers(state: State, task: TaskRecord, worker: WorkerRecord, now: Instant): boolean {
  if (task.attempts_spent === 0) return false;
  const failed = new Set(task.attempts.filter(spends).map(({ worker_id }) => worker_id));
  if (!failed.has(worker.worker_id)) return false;
  const waiting_since = Math.max(task.not_before ?? 0, task.attempts.at(-1)?.ended_at ?? 0);
  if (now >= waiting_since + ELSEWHERE_MS) return false;
  // Looks at no more workers than have failed the task, and one.
  for (const other of state.workforce.available(task.circuit)) if (!failed.has(other)) return true;
  return false;
}
