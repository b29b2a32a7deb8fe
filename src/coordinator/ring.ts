/**
 * A first-in, first-out list of entries in records of 64, so that remembering a command costs a sixty-fourth of a row
 * and forgetting it is a look at one record. Bounded in age and in number; whole buckets are dropped.
 */
import type { BucketRecord, Instant, RingPosition } from "./records.ts";

export const BUCKET_ENTRIES = 64;

export interface BucketStore<Entry> {
  get(key: string): BucketRecord<Entry> | undefined;
  put(key: string, bucket: BucketRecord<Entry>): void;
  delete(key: string): void;
}

export class Ring<Entry> {
  readonly #store: BucketStore<Entry>;
  readonly #entries_max: number;
  #oldest: number;
  #next: number;

  constructor(store: BucketStore<Entry>, entries_max: number, position: RingPosition) {
    this.#store = store;
    this.#entries_max = entries_max;
    this.#oldest = position.oldest;
    this.#next = position.next;
  }

  get position(): RingPosition {
    return { oldest: this.#oldest, next: this.#next };
  }

  append(entry: Entry, time: Instant): void {
    const key = String(Math.floor(this.#next / BUCKET_ENTRIES));
    const entries = this.#store.get(key)?.entries ?? [];
    this.#store.put(key, { v: 1, time, entries: [...entries, entry] });
    this.#next++;
  }

  /** Drops the buckets whose newest entry is older than `horizon`, and the oldest ones beyond the number allowed. */
  expire(horizon: Instant, dropped: (entry: Entry) => void): void {
    while (this.#oldest * BUCKET_ENTRIES < this.#next) {
      const key = String(this.#oldest);
      const bucket = this.#store.get(key);
      if (bucket === undefined)
        throw new Error(`ring: bucket ${key} is missing, next entry is ${this.#next}`);
      const kept = this.#next - this.#oldest * BUCKET_ENTRIES;
      if (bucket.time >= horizon && kept <= this.#entries_max) return;
      for (const entry of bucket.entries) dropped(entry);
      this.#store.delete(key);
      this.#oldest++;
      // An open bucket that is dropped is closed: its number is not used again.
      this.#next = Math.max(this.#next, this.#oldest * BUCKET_ENTRIES);
    }
  }
}
