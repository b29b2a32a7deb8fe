/**
 * What is derived from tasks: which of them wait, in what order, what falls due when, who holds a lease, how many there
 * are of each status. Told of every change of a task; built from the same tasks it gives the same answers.
 */
import { currentAttempt, hasEnded, isWaiting } from "./attempts.ts";
import { Deadlines } from "./deadlines.ts";
import { OpenContents } from "./open-contents.ts";
import { WaitingQueue } from "./queue.ts";
import type { EndedEntry, EndedStatus, Instant, TaskRecord, TaskStatus } from "./records.ts";
import type { OpenTask } from "./tables.ts";
import type { Backlog } from "./views.ts";
import type { Workforce } from "./workforce.ts";

export class TaskIndex {
  readonly queue: WaitingQueue;
  /** Leases by the end of their `max_runtime_ms`. */
  readonly deadlines = new Deadlines();
  /** Scheduled tasks by the end of their delay. */
  readonly scheduled = new Deadlines();
  /** Open tasks by their deadline. */
  readonly expiries = new Deadlines();
  readonly by_status: Record<TaskStatus, number>;
  readonly contents = new OpenContents();
  readonly #workforce: Workforce;
  /** Told of a task that was open and has ended. */
  readonly #ended: (entry: EndedEntry) => void;
  #backlog: Backlog = { tasks: 0, bytes: 0 };

  constructor(options: {
    readonly rules: number;
    readonly workforce: Workforce;
    /** Tasks that have ended; the others are counted as they come. */
    readonly tasks_ended: Readonly<Record<EndedStatus, number>>;
    readonly ended: (entry: EndedEntry) => void;
  }) {
    this.queue = new WaitingQueue(options.rules);
    this.#workforce = options.workforce;
    this.#ended = options.ended;
    this.by_status = { scheduled: 0, pending: 0, assigned: 0, in_progress: 0, ...options.tasks_ended };
  }

  /** Tasks that have not ended, and what their inputs take. */
  get backlog(): Backlog {
    return this.#backlog;
  }

  /** A task has changed, or is new. */
  changed(before: TaskRecord | undefined, after: OpenTask, now: Instant): void {
    if (before !== undefined) this.by_status[before.status]--;
    this.by_status[after.status]++;
    this.#count(before, after, now);
    this.#schedule(before, after, now);
    this.#queue(before, after, now);
    this.#lease(before, after);
  }

  #count(before: TaskRecord | undefined, after: OpenTask, now: Instant): void {
    const was_open = before !== undefined && !hasEnded(before.status);
    if (was_open && hasEnded(after.status)) {
      const { task_id, status, completed_at: at = now } = after;
      this.#ended({ task_id, at, status });
    }
    const change = Number(!hasEnded(after.status)) - Number(was_open);
    if (change === 0) return;
    if (change > 0) this.contents.hold(after.content_hash, after.task_id);
    else this.contents.release(after.content_hash, after.task_id);
    const { tasks, bytes } = this.#backlog;
    this.#backlog = { tasks: tasks + change, bytes: bytes + change * (after.input_bytes ?? 0) };
  }

  #schedule(before: TaskRecord | undefined, after: OpenTask, now: Instant): void {
    if (after.status === "scheduled") this.scheduled.add(after.task_id, after.not_before ?? now);
    else if (before?.status === "scheduled") this.scheduled.remove(after.task_id);
    if (after.deadline !== undefined && !hasEnded(after.status))
      this.expiries.add(after.task_id, after.deadline);
    else if (before?.deadline !== undefined) this.expiries.remove(after.task_id);
  }

  #queue(before: TaskRecord | undefined, after: OpenTask, now: Instant): void {
    if (before !== undefined && isWaiting(before.status)) this.queue.remove(after.task_id);
    if (isWaiting(after.status)) this.queue.add(after, now);
  }

  #lease(before: TaskRecord | undefined, after: OpenTask): void {
    const held = before && currentAttempt(before);
    const holds = currentAttempt(after);
    if (held?.lease_id === holds?.lease_id) return;
    if (held !== undefined) {
      this.#workforce.removeLease(held.worker_id, held.lease_id);
      this.deadlines.remove(held.lease_id);
    }
    if (holds !== undefined) {
      this.#workforce.addLease(holds.worker_id, holds.lease_id);
      if (after.max_runtime_ms !== undefined)
        this.deadlines.add(holds.lease_id, holds.granted_at + after.max_runtime_ms);
    }
  }
}
