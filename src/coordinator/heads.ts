/**
 * The first task of each circuit that a worker may have now. A retry is kept for others for a while: a worker that has
 * failed a task is likely to fail it again.
 */
import { spends } from "./attempts.ts";
import type { Waiting } from "./queue.ts";
import type { Instant, TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";

/** How long a retry is kept for others before the worker that failed it may have it again. */
export const ELSEWHERE_MS = 10_000;
/** Retries of a circuit passed over in one grant. Those that wait for them have free slots: there will soon be fewer. */
const PASSED_OVER_MAX = 64;

export interface Head {
  readonly circuit: string;
  readonly priority: number;
  readonly entry: Waiting;
  readonly task: TaskRecord;
}

/** Taken out of the queue until `restore`. */
export class Heads {
  readonly #state: State;
  readonly #worker: WorkerRecord;
  readonly #now: Instant;
  readonly #heads = new Map<string, Head>();
  readonly #passed_over: Waiting[] = [];

  constructor(state: State, worker: WorkerRecord, now: Instant, circuits = worker.circuits) {
    this.#state = state;
    this.#worker = worker;
    this.#now = now;
    for (const circuit of circuits) if (!this.#heads.has(circuit)) this.#fill(circuit);
  }

  all(): readonly Head[] {
    return [...this.#heads.values()];
  }

  /** As if all tasks were of one circuit. */
  first(): Head | undefined {
    return this.all().reduce<Head | undefined>(
      (first, head) => (first === undefined || this.before(head, first) ? head : first),
      undefined,
    );
  }

  readonly before = (a: Head, b: Head): boolean => this.#state.tasks.queue.before(a.entry, b.entry);

  /** It is granted: the next one of its circuit is the first. */
  take({ circuit }: Head): void {
    this.#heads.delete(circuit);
    this.#fill(circuit);
  }

  /** What was not taken waits as before. */
  restore(): void {
    const { queue } = this.#state.tasks;
    for (const { entry } of this.#heads.values()) queue.restore(entry, this.#now);
    for (const entry of this.#passed_over) queue.restore(entry, this.#now);
  }

  #fill(circuit: string): void {
    for (let looked = 0; looked <= PASSED_OVER_MAX; looked++) {
      const entry = this.#state.tasks.queue.pop(circuit, this.#now);
      if (entry === undefined) return;
      const task = this.#state.task(entry.task_id);
      if (task === undefined) throw new Error(`queue holds task ${entry.task_id}, which has no record`);
      if (!hasPassed(task.deadline, this.#now) && !this.#isKeptForOthers(task)) {
        this.#heads.set(circuit, { circuit, priority: entry.priority, entry, task });
        return;
      }
      this.#passed_over.push(entry);
    }
  }

  #isKeptForOthers(task: TaskRecord): boolean {
    if (task.attempts_spent === 0) return false;
    const failed = new Set(task.attempts.filter(spends).map(({ worker_id }) => worker_id));
    if (!failed.has(this.#worker.worker_id)) return false;
    const waiting_since = Math.max(task.not_before ?? 0, task.attempts.at(-1)?.ended_at ?? 0);
    if (this.#now >= waiting_since + ELSEWHERE_MS) return false;
    // Looks at no more workers than have failed the task, and one.
    for (const other of this.#state.workforce.available(task.circuit)) if (!failed.has(other)) return true;
    return false;
  }
}

/** It will be expired presently; until then nobody need work on it. */
function hasPassed(deadline: Instant | undefined, now: Instant): boolean {
  return deadline !== undefined && deadline <= now;
}
