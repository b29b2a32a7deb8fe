/** Durations in buckets, as Prometheus counts them: each bucket holds what was not longer than its bound. */

/** Upper bounds in ms: for what a request waits for. */
const REQUEST_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const;

export class Histogram {
  readonly #bounds_ms: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum_ms = 0;

  constructor(bounds_ms: readonly number[] = REQUEST_BOUNDS_MS) {
    this.#bounds_ms = bounds_ms;
    this.#counts = bounds_ms.map(() => 0);
  }

  observe(ms: number): void {
    this.#count++;
    this.#sum_ms += ms;
    for (const [at, bound] of this.#bounds_ms.entries())
      if (ms <= bound) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** Buckets by their bound in seconds as text, the last one `+Inf`. */
  get buckets(): readonly (readonly [le: string, count: number])[] {
    const bounded = this.#bounds_ms.map(
      (bound, at) => [String(bound / 1_000), this.#counts[at] ?? 0] as const,
    );
    return [...bounded, ["+Inf", this.#count]];
  }

  get count(): number {
    return this.#count;
  }

  get sum_s(): number {
    return this.#sum_ms / 1_000;
  }
}
