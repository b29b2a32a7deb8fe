/**
 * Long computations beside everything else that this isolate does: at most so many at once, and the thread is given
 * back after every step. Locally the replicas live on the same thread, and wherever they do, a thread that is kept for
 * longer than their patience is an election.
 *
 * Nobody waits for another request's promise: one that is cut off (its client is gone) would never keep it. A waiter
 * looks by itself whether there is room, and a slot whose owner has not moved for a while is free.
 */
import { type Problem, problem } from "../api/problem.ts";
import type { Steps } from "../proofs/index.ts";

/** Between looks: the longer somebody has waited, the sooner he looks again, so that he is passed by fewer. */
const LOOK_MS_MAX = 20;
const LOOK_MS_MIN = 4;
const LOOK_SOONER = 0.8;
const ABANDONED_MS = 2_000;

export type Computed<Result> =
  | { readonly type: "result"; readonly value: Result }
  /** The deadline came first, while others were before it or while it was under way. */
  | { readonly type: "too-busy" };

export function tooBusy(what: string): Problem {
  return problem(
    "overloaded",
    `too many ${what} are under way here; nothing was accepted, try again shortly`,
  );
}

interface Slot {
  moved_at: number;
}

export class Gate {
  readonly #max: number;
  #slots: readonly Slot[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async run<Result>(steps: Steps<Result>, deadline: number): Promise<Computed<Result>> {
    const slot = await this.#enter(deadline);
    if (slot === undefined) return { type: "too-busy" };
    try {
      for (let step = steps.next(); ; step = steps.next()) {
        if (step.done) return { type: "result", value: step.value };
        await pause(0);
        slot.moved_at = Date.now();
        if (slot.moved_at >= deadline) return { type: "too-busy" };
      }
    } finally {
      this.#slots = this.#slots.filter((other) => other !== slot);
    }
  }

  async #enter(deadline: number): Promise<Slot | undefined> {
    for (let look_ms = LOOK_MS_MAX; ; look_ms = Math.max(look_ms * LOOK_SOONER, LOOK_MS_MIN)) {
      const now = Date.now();
      if (this.#slots.length >= this.#max) {
        this.#slots = this.#slots.filter(({ moved_at }) => now - moved_at < ABANDONED_MS);
      }
      if (this.#slots.length < this.#max) {
        const slot = { moved_at: now };
        this.#slots = [...this.#slots, slot];
        return slot;
      }
      const pause_ms = look_ms * (0.5 + Math.random());
      if (now + pause_ms >= deadline) return undefined;
      await pause(pause_ms);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Those of this isolate, one for each kind, so that neither waits for the other. */
export const statements = new Gate(2);
export const verifications = new Gate(2);
