/**
 * What leases are about, as far as this isolate handed them out: of a lease its task, circuit and holder never change,
 * nor does the statement of its task. Whether it is still current only the group knows, and it decides that on apply: so
 * a completion need not ask first. Whoever completes elsewhere costs a question, nothing more.
 */
import type { LeaseGrant } from "../coordinator/outcomes.ts";
import type { LeaseStanding } from "../replica/rpc.ts";

export type KnownLease = Pick<LeaseStanding, "task_id" | "circuit" | "public_inputs" | "worker_id">;

export class KnownLeases {
  readonly #max: number;
  /** The longest known first. */
  readonly #leases = new Map<string, KnownLease>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#leases.size;
  }

  granted(worker_id: string, { lease_id, task_id, circuit, public_inputs }: LeaseGrant): void {
    this.#leases.set(lease_id, { task_id, circuit, public_inputs, worker_id });
    if (this.#leases.size <= this.#max) return;
    const [longest] = this.#leases.keys();
    if (longest !== undefined) this.#leases.delete(longest);
  }

  /** Once: what is asked for again is asked of the group, which knows what became of it. */
  take(lease_id: string): KnownLease | undefined {
    const known = this.#leases.get(lease_id);
    this.#leases.delete(lease_id);
    return known;
  }
}

/** Of this isolate. An entry takes some hundred bytes. */
export const knownLeases = new KnownLeases(10_000);
