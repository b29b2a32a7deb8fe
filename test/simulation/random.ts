/**
 * Seeded chance (mulberry32): the same seed replays the same run.
 *
 * With a clock it begins anew every millisecond, drawn from the seed and the instant: what happens
 * then is the same whatever was drawn before, so that leaving something out of a run leaves the luck
 * of everything later alone.
 */
export class Random {
  #state: number;
  readonly #seed: number;
  readonly #clock: Clock | undefined;
  #instant = -1;

  constructor(seed: number, clock?: Clock) {
    this.#seed = seed | 0;
    this.#state = this.#seed;
    this.#clock = clock;
  }

  /** In `[0, 1)`. */
  readonly next = (): number => {
    if (this.#clock !== undefined) this.#restart(Math.floor(this.#clock.now));
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  };

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** An integer from `low` up to and including `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly [T, ...T[]]): T;
  pick<T>(items: readonly T[]): T | undefined;
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.between(0, items.length - 1)];
  }

  #restart(instant: number): void {
    if (instant === this.#instant) return;
    this.#instant = instant;
    this.#state = streamOf(this.#seed, instant);
  }
}

export interface Clock {
  /** In milliseconds. */
  readonly now: number;
}

/** The seed of a stream of its own, so that what one part of a run draws does not shift another's. */
export function streamOf(seed: number, stream: number | string): number {
  const number = typeof stream === "number" ? stream : hashOf(stream);
  let bits = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35);
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  return bits ^ (bits >>> 15);
}

function hashOf(text: string): number {
  let bits = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) {
    bits = Math.imul(bits ^ text.charCodeAt(place), 0x01000193);
  }
  return bits;
}
