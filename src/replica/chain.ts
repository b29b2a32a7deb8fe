/**
 * One chained timer, and the invocation that it lives in.
 *
 * A timer belongs to the invocation that created it, and so do the subrequests of whatever it runs. A heartbeat chain
 * that lives for ever in one invocation exhausts that invocation's subrequests. So the chain is started anew from
 * incoming events, and a leader that gets none asks a follower to answer with a request of its own (`exhausted`).
 */
export interface ChainLimits {
  /** Age in milliseconds beyond which a chain without incoming events wants a new invocation. */
  readonly age_ms: number;
  readonly subrequests: number;
}

/** Incoming events start the chain anew at most this often: clearing and setting a timer per request would cost more. */
const RENEW_AFTER_MS_MAX = 1000;
const RENEW_AFTER_SUBREQUESTS_MAX = 250;
/** How long to wait for the event that was asked for before asking again. */
const ASK_AGAIN_MS = 1000;

export class Chain {
  readonly #limits: ChainLimits;
  readonly #run: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Number.POSITIVE_INFINITY;
  #born: number;
  #subrequests = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** The most subrequests that one invocation has had to carry; shown in the metrics. */
  longest = 0;

  constructor(limits: ChainLimits, now: number, run: () => void) {
    this.#born = now;
    this.#limits = limits;
    this.#run = run;
  }

  /** An event has come in: what happens from here on may belong to its invocation. */
  entered(now: number): void {
    const { age_ms, subrequests } = this.#limits;
    const young =
      now - this.#born < Math.min(RENEW_AFTER_MS_MAX, age_ms / 2) &&
      this.#subrequests < Math.min(RENEW_AFTER_SUBREQUESTS_MAX, subrequests / 2);
    if (young) return;
    this.#born = now;
    this.#subrequests = 0;
    this.#askedAt = Number.NEGATIVE_INFINITY;
    const due = this.#due;
    this.stop();
    if (due !== Number.POSITIVE_INFINITY) this.arm(due, now);
  }

  countSubrequest(): void {
    this.#subrequests++;
    if (this.#subrequests > this.longest) this.longest = this.#subrequests;
  }

  /** Whether the next message to a follower should ask it for a request of its own. True once per asking. */
  exhausted(now: number): boolean {
    if (now - this.#askedAt < ASK_AGAIN_MS) return false;
    const due = now - this.#born >= this.#limits.age_ms || this.#subrequests >= this.#limits.subrequests;
    if (due) this.#askedAt = now;
    return due;
  }

  /** For when the timer is armed, also while it is its turn, so that it can tell how late it runs; undefined if it is not. */
  get due(): number | undefined {
    return this.#due === Number.POSITIVE_INFINITY ? undefined : this.#due;
  }

  /**
   * Run at `due` at the latest. An earlier timer stays: running early does no harm. One that is overdue does not: whatever
   * arms it has just done its work, and who is busy with events is not held up, however long its timers take to fire.
   */
  arm(due: number | undefined, now: number): void {
    if (due === undefined) {
      this.stop();
      return;
    }
    if (this.#timer !== undefined && this.#due <= due + 1 && this.#due >= now) return;
    this.stop();
    this.#due = due;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.max(1, due - now),
    );
  }

  stop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
  }
}
