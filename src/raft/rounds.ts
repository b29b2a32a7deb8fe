/**
 * The rounds of one reign, numbered, and when they began. Answers echo a round's number, so each
 * confirms leadership as of an instant that the leader chose, however late it arrives.
 */
import type { Millis, Round } from "./vocabulary.ts";

export class Rounds {
  #newest: Round;
  /** The first round of each instant, oldest first. */
  readonly #begun: { readonly round: Round; readonly at: Millis }[] = [];

  /** Numbers up to `used` may have been given before. */
  constructor(used: Round) {
    this.#newest = used;
  }

  get newest(): Round {
    return this.#newest;
  }

  get newestBegunAt(): Millis {
    return this.#begun.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Begins a round; when those before `forgotten` began will never be asked. */
  begin(now: Millis, forgotten: Millis): Round {
    this.#newest += 1;
    while ((this.#begun[0]?.at ?? now) < forgotten) this.#begun.shift();
    if (this.newestBegunAt < now) this.#begun.push({ round: this.#newest, at: now });
    return this.#newest;
  }

  /** Long ago, if it was not begun in this reign or is forgotten. */
  begunAt(round: Round): Millis {
    if (round > this.#newest) return Number.NEGATIVE_INFINITY;
    return this.#begun.findLast((begun) => begun.round <= round)?.at ?? Number.NEGATIVE_INFINITY;
  }
}
