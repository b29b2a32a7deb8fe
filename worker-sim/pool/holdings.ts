/**
 * The leases that a pool holds, never more than its slots, and which of them are waiting, being proved or being
 * delivered. A lease that was finished is remembered for a while: an answer that was under way may bring it again.
 */
import type { LeaseOffer } from "../../src/api/workers.ts";

export interface Job {
  readonly lease: LeaseOffer;
  state: "waiting" | "proving" | "delivering";
  /** When the proving began, by `performance.now()`. */
  proving_since?: number;
  /** Ends the proving. */
  readonly abort: AbortController;
}

const FINISHED_KEPT = 1_000;

export class Holdings {
  readonly slots: number;
  readonly #jobs = new Map<string, Job>();
  readonly #finished = new Set<string>();
  #changed = Promise.withResolvers<void>();

  constructor(slots: number) {
    this.slots = slots;
  }

  get size(): number {
    return this.#jobs.size;
  }

  get free(): number {
    return this.slots - this.#jobs.size;
  }

  get jobs(): readonly Job[] {
    return [...this.#jobs.values()];
  }

  has(lease_id: string): boolean {
    return this.#jobs.has(lease_id);
  }

  get(lease_id: string): Job | undefined {
    return this.#jobs.get(lease_id);
  }

  knows(lease_id: string): boolean {
    return this.#jobs.has(lease_id) || this.#finished.has(lease_id);
  }

  /** Undefined when there is no free slot. */
  add(lease: LeaseOffer): Job | undefined {
    if (this.free <= 0) return undefined;
    const job: Job = { lease, state: "waiting", abort: new AbortController() };
    this.#jobs.set(lease.lease_id, job);
    this.wake();
    return job;
  }

  remove(job: Job): void {
    const { lease_id } = job.lease;
    if (!this.#jobs.delete(lease_id)) return;
    this.#finished.add(lease_id);
    const [oldest] = this.#finished;
    if (this.#finished.size > FINISHED_KEPT && oldest !== undefined) this.#finished.delete(oldest);
    this.wake();
  }

  /** Resolves when a lease comes or goes, or somebody calls `wake`. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
