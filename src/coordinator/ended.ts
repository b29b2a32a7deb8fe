/**
 * Tasks in the order in which they ended, so that those that ended first can be forgotten first: in records of 64, none
 * of which is written again to take out an entry.
 */
import type { BucketRecord, EndedEntry, RingPosition } from "./records.ts";
import { BUCKET_ENTRIES, type BucketStore } from "./ring.ts";

export class EndedTasks {
  readonly #store: BucketStore<EndedEntry>;
  /** Both count entries. */
  #oldest: number;
  #next: number;
  /** Asked for with every event, so it is not read each time. */
  #first: EndedEntry | undefined;

  constructor(store: BucketStore<EndedEntry>, position: RingPosition) {
    this.#store = store;
    this.#oldest = position.oldest;
    this.#next = position.next;
  }

  get position(): RingPosition {
    return { oldest: this.#oldest, next: this.#next };
  }

  append(entry: EndedEntry): void {
    const key = bucketOf(this.#next);
    const entries = this.#store.get(key)?.entries ?? [];
    this.#store.put(key, { v: 1, time: entry.at, entries: [...entries, entry] });
    this.#next++;
  }

  get first(): EndedEntry | undefined {
    if (this.#oldest === this.#next) return undefined;
    if (this.#first !== undefined) return this.#first;
    const entry = this.#bucket(this.#oldest).entries[this.#oldest % BUCKET_ENTRIES];
    if (entry === undefined)
      throw new Error(`ended tasks: entry ${this.#oldest} is missing, next is ${this.#next}`);
    this.#first = entry;
    return entry;
  }

  /** Those before the ordinal `before` (default: all), the last first, read as the caller goes on. */
  *newest(before = this.#next): Iterable<{ readonly ordinal: number; readonly entry: EndedEntry }> {
    let bucket: BucketRecord<EndedEntry> | undefined;
    for (let ordinal = Math.min(before, this.#next) - 1; ordinal >= this.#oldest; ordinal--) {
      const nth = ordinal % BUCKET_ENTRIES;
      if (bucket === undefined || nth === BUCKET_ENTRIES - 1) bucket = this.#bucket(ordinal);
      const entry = bucket.entries[nth];
      if (entry === undefined)
        throw new Error(`ended tasks: entry ${ordinal} is missing, next is ${this.#next}`);
      yield { ordinal, entry };
    }
  }

  dropFirst(): void {
    const key = bucketOf(this.#oldest);
    this.#oldest++;
    this.#first = undefined;
    if (bucketOf(this.#oldest) !== key) this.#store.delete(key);
  }

  #bucket(ordinal: number): BucketRecord<EndedEntry> {
    const bucket = this.#store.get(bucketOf(ordinal));
    if (bucket === undefined)
      throw new Error(`ended tasks: bucket ${bucketOf(ordinal)} is missing, next entry is ${this.#next}`);
    return bucket;
  }
}

function bucketOf(ordinal: number): string {
  return String(Math.floor(ordinal / BUCKET_ENTRIES));
}
