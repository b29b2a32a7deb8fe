/** Reads that a replica asked of the leader, and that are not answered yet. */
import type { ReadId } from "./requests.ts";
import type { Millis } from "./vocabulary.ts";

export class ForwardedReads {
  readonly #waiting = new Map<ReadId, { readonly id: ReadId; readonly askedAt: Millis }>();
  readonly #patience: Millis;
  readonly #random: () => number;
  #life: string | undefined;
  #count = 0;

  constructor(patience: Millis, random: () => number) {
    this.#patience = patience;
    this.#random = random;
  }

  /**
   * Under another name than the caller's, never used before or after a restart: no late answer to an
   * earlier attempt answers this one.
   */
  ask(id: ReadId, now: Millis): ReadId {
    this.#life ??= Math.floor(this.#random() * 2 ** 48).toString(36);
    this.#count += 1;
    const name = `${id}.${this.#life}.${this.#count}`;
    this.#waiting.set(name, { id, askedAt: now });
    return name;
  }

  answered(name: ReadId): ReadId | undefined {
    const asked = this.#waiting.get(name);
    this.#waiting.delete(name);
    return asked?.id;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** When the oldest is given up: the question or its answer is lost. */
  get expiresAt(): Millis {
    for (const { askedAt } of this.#waiting.values()) return askedAt + this.#patience;
    return Number.POSITIVE_INFINITY;
  }

  expired(now: Millis): readonly ReadId[] {
    const ids: ReadId[] = [];
    while (this.expiresAt <= now) {
      const [oldest] = this.#waiting;
      if (oldest === undefined) break;
      ids.push(oldest[1].id);
      this.#waiting.delete(oldest[0]);
    }
    return ids;
  }

  end(): readonly ReadId[] {
    const ids = Array.from(this.#waiting.values(), ({ id }) => id);
    this.#waiting.clear();
    return ids;
  }
}
