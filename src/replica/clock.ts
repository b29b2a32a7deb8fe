/**
 * The engine's clock. A replica that was itself held up (a busy isolate, a long computation) cannot judge the others'
 * silence: their messages wait in its inbox. So the time by which its timer ran late does not count at once, it is
 * made up for at a tenth of the pace. Only elections depend on it; reads and commits never do.
 */
const CATCH_UP_PACE = 0.1;

export interface ClockOptions {
  /** Instants in milliseconds that never go backwards. */
  readonly now: () => number;
  /** For when the replica's timer is armed; undefined if it is not. */
  readonly due: () => number | undefined;
  /** A timer that is late by no more than this was not held up. */
  readonly patience_ms: number;
}

export class EngineClock {
  readonly #options: ClockOptions;
  #behind = 0;
  #readAt = 0;

  constructor(options: ClockOptions) {
    this.#options = options;
  }

  read(): number {
    const now = this.#options.now();
    const due = this.#options.due();
    if (due !== undefined) {
      const late = now - this.#behind - due;
      if (late > this.#options.patience_ms) this.#behind += late;
      else this.#behind = Math.max(0, this.#behind - (now - this.#readAt) * CATCH_UP_PACE);
    } else {
      // Nothing is waited for: there is nobody to be judged.
      this.#behind = 0;
    }
    this.#readAt = now;
    // Whole milliseconds: entries are stamped with it.
    return now - Math.ceil(this.#behind);
  }
}
