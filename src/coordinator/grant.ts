/**
 * Which tasks a worker gets: never more than its free slots, and of its circuits in turn the first that it may have.
 */
import { assign, currentAttempt, leaseGrant } from "./attempts.ts";
import { Heads } from "./heads.ts";
import type { LeaseGrant } from "./outcomes.ts";
import type { Instant, TaskRecord, WorkerRecord } from "./records.ts";
import type { Turns } from "./shares.ts";
import type { State } from "./state.ts";
import type { LeaseView } from "./views.ts";

export const GRANT_MAX = 500;

interface Selection {
  readonly tasks: readonly TaskRecord[];
  readonly turns: Turns | undefined;
}

/**
 * Grants up to `max` leases. A worker that asks for more than we believe it has room for never learned of some of its
 * leases, because an answer was lost: of those that no heartbeat ever listed, the newest are handed out once more.
 */
export function grant(state: State, worker: WorkerRecord, max: number, nonce: string): readonly LeaseGrant[] {
  if (worker.draining || worker.state === "dead") return [];
  const free = state.workforce.free(worker);
  const again = unheardLeases(state, worker, max - free);
  const { tasks, turns } = select(state, worker, Math.min(max, free, GRANT_MAX), state.now);
  turns?.settle();
  const fresh = tasks.map((task): LeaseView => {
    const assigned = assign(task, worker, nonce, state.now);
    state.putTask(assigned, task);
    const attempt = currentAttempt(assigned);
    if (attempt === undefined) throw new Error(`task ${task.task_id} was assigned without an attempt`);
    return { task: assigned, attempt, current: true };
  });
  if (fresh.length > 0) state.countAssigned(worker.worker_id, fresh.length);
  return [...again, ...fresh].map((lease) => leaseGrant(lease, state.inputOf(lease.task)));
}

/** Whether `grant` would hand out anything at `now`. Changes nothing that shows. */
export function wouldGrant(state: State, worker: WorkerRecord, max: number, now: Instant): boolean {
  if (worker.draining || worker.state === "dead") return false;
  const free = state.workforce.free(worker);
  if (unheardLeases(state, worker, max - free).length > 0) return true;
  if (!(Math.min(max, free) > 0)) return false;
  return worker.circuits.some((circuit) => {
    const heads = new Heads(state, worker, now, [circuit]);
    heads.restore();
    return heads.first() !== undefined;
  });
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
  const turns = state.turns();
  if (!(most > 0)) return { tasks, turns };
  const heads = new Heads(state, worker, now);
  while (tasks.length < most) {
    const first = turns === undefined ? heads.first() : turns.next(heads.all(), heads.before);
    if (first === undefined) break;
    tasks.push(first.task);
    turns?.took(first.circuit);
    heads.take(first);
  }
  heads.restore();
  return { tasks, turns };
}
