/**
 * The configurations in this replica's log since its newest snapshot, oldest first. One takes effect
 * as soon as it is in the log and loses it when its entry is overwritten; and an image of the state
 * machine is labelled with the one in force where it ends, which may be an older one.
 */
import type { Configuration } from "./membership.ts";
import type { LogIndex } from "./vocabulary.ts";

export class Configurations {
  #known: { readonly index: LogIndex; readonly configuration: Configuration }[] = [];

  /** `initial` is the configuration at the start of the log; a replica waiting to be added has none. */
  constructor(initial: Configuration | undefined, index: LogIndex) {
    if (initial !== undefined) this.#known.push({ index, configuration: initial });
  }

  get current(): Configuration | undefined {
    return this.#known.at(-1)?.configuration;
  }

  /** Where the one in force stands in the log, or where the log starts. */
  get index(): LogIndex {
    return this.#known.at(-1)?.index ?? 0;
  }

  /** What was in force at `index`; `undefined` before the oldest that is known. */
  at(index: LogIndex): Configuration | undefined {
    return this.#known.findLast((known) => known.index <= index)?.configuration;
  }

  append(index: LogIndex, configuration: Configuration): void {
    this.#known.push({ index, configuration });
  }

  /** Entries from `index` on were overwritten. True if the configuration in force changed. */
  truncateFrom(index: LogIndex): boolean {
    const before = this.#known.length;
    while (this.index >= index) this.#known.pop();
    return this.#known.length < before;
  }

  /** A snapshot took the place of everything up to `index`. */
  restart(index: LogIndex, configuration: Configuration): void {
    this.#known = [{ index, configuration }];
  }

  /** Nobody will ask what was in force before `index`. */
  forgetBefore(index: LogIndex): void {
    while ((this.#known[1]?.index ?? Number.POSITIVE_INFINITY) <= index) this.#known.shift();
  }
}
