/**
 * The configurations in this replica's log, newest last. One takes effect as soon as it is in the
 * log and loses it when its entry is overwritten, so those after the commit index are kept beside
 * the one they would fall back to.
 */
import type { Configuration } from "./membership.ts";
import type { LogIndex } from "./vocabulary.ts";

export class Configurations {
  readonly #known: { readonly index: LogIndex; readonly configuration: Configuration }[] = [];

  /** `initial` is the configuration at the start of the log; a replica waiting to be added has none. */
  constructor(initial: Configuration | undefined, index: LogIndex) {
    if (initial !== undefined) this.#known.push({ index, configuration: initial });
  }

  get current(): Configuration | undefined {
    return this.#known.at(-1)?.configuration;
  }

  append(index: LogIndex, configuration: Configuration): void {
    this.#known.push({ index, configuration });
  }

  /** Entries from `index` on were overwritten. True if the configuration in force changed. */
  truncateFrom(index: LogIndex): boolean {
    const before = this.#known.length;
    while ((this.#known.at(-1)?.index ?? 0) >= index) this.#known.pop();
    return this.#known.length < before;
  }

  /** What is committed stays: only the newest committed configuration can be fallen back to. */
  committed(index: LogIndex): void {
    while (this.#known.length > 1 && (this.#known[1]?.index ?? 0) <= index) this.#known.shift();
  }
}
