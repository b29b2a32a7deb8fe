/**
 * How provers' time is shared between circuits, so that a proof of a second does not wait behind hours of proofs of a
 * minute. Of the circuits that a worker can prove, that one goes next to which the least time has been given so far; a
 * lease counts as long as runs of its circuit have lately taken. (Fair queueing by start tags: Goyal, Vin and Cheng,
 * 1996.) Within a circuit the order is the queue's; between circuits the first tasks' priorities count too.
 */
import type { CircuitShare, Instant } from "./records.ts";

/** Between circuits a point of priority is worth so much time of one prover. */
export const PRIORITY_RUN_MS = 1_000;
/** How much less time than another a circuit may have been given and still be owed it: more than priorities can defer. */
export const OWED_MS_MAX = 300_000;
/** Until a run has ended. */
const RUN_MS_FIRST = 1_000;
/** What the last run counts in the average. */
const RUN_WEIGHT = 1 / 8;

/** The first waiting task of a circuit. */
interface Head {
  readonly circuit: string;
  readonly priority: number;
}

export class Shares {
  readonly #shares: Map<string, CircuitShare>;

  constructor(stored: Readonly<Record<string, CircuitShare>>) {
    this.#shares = new Map(Object.entries(stored));
  }

  get stored(): Readonly<Record<string, CircuitShare>> {
    return Object.fromEntries(this.#shares);
  }

  served(circuit: string): number {
    return this.#shares.get(circuit)?.served_ms ?? 0;
  }

  /** What a lease of it counts for. */
  run(circuit: string): number {
    return this.#shares.get(circuit)?.run_ms ?? RUN_MS_FIRST;
  }

  /** Tasks of a circuit begin to wait. It is owed nothing from when it had none: those that wait are its equals. */
  arrive(circuit: string, waiting: readonly string[]): void {
    const served = waiting.map((other) => this.served(other));
    const equal = served.length > 0 ? Math.min(...served) : this.#most();
    this.set(circuit, Math.max(this.served(circuit), equal));
  }

  /** A lease of this circuit was at work for so long. */
  ran(circuit: string, ms: Instant): void {
    const run_ms = this.#shares.get(circuit)?.run_ms ?? ms;
    const average = Math.max(1, Math.round(run_ms + (ms - run_ms) * RUN_WEIGHT));
    this.#shares.set(circuit, { served_ms: this.served(circuit), run_ms: average });
  }

  turns(): Turns {
    return new Turns(this);
  }

  set(circuit: string, served_ms: number): void {
    this.#shares.set(circuit, { ...this.#shares.get(circuit), served_ms });
  }

  #most(): number {
    let most = 0;
    for (const { served_ms } of this.#shares.values()) most = Math.max(most, served_ms);
    return most;
  }
}

/** Whose turn it is in one grant. Nothing of it counts unless it is settled: asking changes nothing. */
export class Turns {
  readonly #shares: Shares;
  readonly #taken = new Map<string, number>();

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  /** Of equals the shorter one goes first. @param before decides between those that are equal in that, too */
  next<Each extends Head>(heads: readonly Each[], before: (a: Each, b: Each) => boolean): Each | undefined {
    // From where the last lease of each was counted: what that one took is not yet anybody's due.
    const latest = Math.max(...heads.map(({ circuit }) => this.#served(circuit) - this.#shares.run(circuit)));
    let first: { readonly head: Each; readonly tag: number; readonly run_ms: number } | undefined;
    for (const head of heads) {
      const { circuit, priority } = head;
      const served = Math.max(this.#served(circuit), latest - OWED_MS_MAX);
      this.#taken.set(circuit, served);
      const tag = served - priority * PRIORITY_RUN_MS;
      const run_ms = this.#shares.run(circuit);
      const order = first === undefined ? -1 : tag - first.tag || run_ms - first.run_ms;
      if (first === undefined || order < 0 || (order === 0 && before(head, first.head)))
        first = { head, tag, run_ms };
    }
    return first?.head;
  }

  took(circuit: string): void {
    this.#taken.set(circuit, this.#served(circuit) + this.#shares.run(circuit));
  }

  settle(): void {
    for (const [circuit, served_ms] of this.#taken) this.#shares.set(circuit, served_ms);
  }

  #served(circuit: string): number {
    return this.#taken.get(circuit) ?? this.#shares.served(circuit);
  }
}
