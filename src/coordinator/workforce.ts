/**
 * Who holds which leases and who could take more: derived from worker and task records. No answer takes longer with
 * more workers.
 */
import type { WorkerRecord, WorkerState } from "./records.ts";

interface Seat {
  worker: WorkerRecord | undefined;
  readonly leases: Set<string>;
  /** Circuits under which this worker stands as available. */
  offered: readonly string[];
  slots: number;
}

const NONE: ReadonlySet<string> = new Set();

export class Workforce {
  readonly #seats = new Map<string, Seat>();
  readonly #available = new Map<string, Set<string>>();
  readonly #by_state: Record<WorkerState, number> = { active: 0, suspect: 0, dead: 0 };
  #slots = 0;
  #leases = 0;

  setWorker(worker_id: string, worker: WorkerRecord | undefined): void {
    const seat = this.#seat(worker_id);
    if (seat.worker !== undefined) this.#by_state[seat.worker.state]--;
    if (worker !== undefined) this.#by_state[worker.state]++;
    seat.worker = worker;
    this.#refresh(worker_id, seat);
  }

  addLease(worker_id: string, lease_id: string): void {
    const seat = this.#seat(worker_id);
    seat.leases.add(lease_id);
    this.#leases++;
    this.#refresh(worker_id, seat);
  }

  removeLease(worker_id: string, lease_id: string): void {
    const seat = this.#seat(worker_id);
    if (seat.leases.delete(lease_id)) this.#leases--;
    this.#refresh(worker_id, seat);
  }

  leases(worker_id: string): ReadonlySet<string> {
    return this.#seats.get(worker_id)?.leases ?? NONE;
  }

  /** Slots without a lease: never negative, also when a worker came back with fewer slots. */
  free(worker: WorkerRecord): number {
    return Math.max(0, worker.max_concurrent_tasks - this.leases(worker.worker_id).size);
  }

  /** Active workers that do not drain and have a free slot for this circuit. */
  available(circuit: string): ReadonlySet<string> {
    return this.#available.get(circuit) ?? NONE;
  }

  get workers(): {
    readonly total: number;
    readonly active: number;
    readonly suspect: number;
    readonly dead: number;
  } {
    const { active, suspect, dead } = this.#by_state;
    return { total: active + suspect + dead, active, suspect, dead };
  }

  get capacity(): { readonly total: number; readonly used: number; readonly available: number } {
    return { total: this.#slots, used: this.#leases, available: this.#slots - this.#leases };
  }

  #seat(worker_id: string): Seat {
    let seat = this.#seats.get(worker_id);
    if (seat === undefined) {
      seat = { worker: undefined, leases: new Set(), offered: [], slots: 0 };
      this.#seats.set(worker_id, seat);
    }
    return seat;
  }

  #refresh(worker_id: string, seat: Seat): void {
    const { worker, leases } = seat;
    const held = leases.size;
    const takes_more = worker !== undefined && worker.state !== "dead" && !worker.draining;
    const slots = takes_more ? Math.max(worker.max_concurrent_tasks, held) : held;
    this.#slots += slots - seat.slots;
    seat.slots = slots;

    const open = takes_more && worker.state === "active" && held < worker.max_concurrent_tasks;
    const offered = open ? worker.circuits : [];
    if (offered !== seat.offered && (offered.length > 0 || seat.offered.length > 0)) {
      for (const circuit of seat.offered) this.#available.get(circuit)?.delete(worker_id);
      for (const circuit of offered) {
        const set = this.#available.get(circuit);
        if (set === undefined) this.#available.set(circuit, new Set([worker_id]));
        else set.add(worker_id);
      }
      seat.offered = offered;
    }
    if (worker === undefined && held === 0) this.#seats.delete(worker_id);
  }
}
