/**
 * A first-in, first-out list of entries in records of 64, so that remembering a command costs a sixty-fourth of a row
 * and forgetting it is a look at one record. Bounded in age and in number; whole buckets are dropped. A large entry has a
 * record to itself: a record is limited in size, and is written again whenever something is added to it.
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
  /** Ordinals between the two that were never used. */
  #unused: number;
  /** Read last, and the oldest: a record may have to come from its table. */
  readonly #read = new Map<
    "any" | "oldest",
    { readonly number: number; readonly bucket: BucketRecord<Entry> }
  >();

  constructor(store: BucketStore<Entry>, entries_max: number, position: RingPosition) {
    this.#store = store;
    this.#entries_max = entries_max;
    this.#oldest = position.oldest;
    this.#next = position.next;
    this.#unused = position.unused ?? 0;
  }

  get position(): RingPosition {
    const position = { oldest: this.#oldest, next: this.#next };
    return this.#unused === 0 ? position : { ...position, unused: this.#unused };
  }

  /**
   * @param time of the entry, or until when it is kept: a bucket has the latest of its entries
   * @param alone in a bucket of its own
   * @returns the ordinal under which it is found
   */
  append(entry: Entry, time: Instant, alone = false): number {
    if (alone) this.#closeBucket();
    const ordinal = this.#next;
    const number = Math.floor(this.#next / BUCKET_ENTRIES);
    const key = String(number);
    // The first entry of a bucket finds none.
    const open = this.#next % BUCKET_ENTRIES === 0 ? undefined : this.#store.get(key);
    for (const [role, known] of this.#read) if (known.number === number) this.#read.delete(role);
    this.#store.put(key, {
      v: 1,
      time: Math.max(time, open?.time ?? time),
      entries: [...(open?.entries ?? []), entry],
    });
    this.#next++;
    if (alone) this.#closeBucket();
    return ordinal;
  }

  #closeBucket(): void {
    const closed = Math.ceil(this.#next / BUCKET_ENTRIES) * BUCKET_ENTRIES;
    this.#unused += closed - this.#next;
    this.#next = closed;
  }

  /** Of the entry that stands in place `nth` of the bucket with this key. */
  static ordinal(bucket: string, nth: number): number {
    return Number(bucket) * BUCKET_ENTRIES + nth;
  }

  /** Ordinals kept: from the first up to and excluding the second. Only where no entry stands alone has each an entry. */
  get kept(): readonly [from: number, to: number] {
    return [Math.min(this.#oldest * BUCKET_ENTRIES, this.#next), this.#next];
  }

  entry(ordinal: number): Entry {
    const entry = this.#bucket(Math.floor(ordinal / BUCKET_ENTRIES), "any").entries[ordinal % BUCKET_ENTRIES];
    if (entry === undefined)
      throw new Error(`ring: entry ${ordinal} is missing, next entry is ${this.#next}`);
    return entry;
  }

  /** The first ordinal whose entry is `behind` what is looked for, if entries are in that order; else the next one. */
  search(behind: (entry: Entry) => boolean): number {
    let [low, high] = this.kept;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (behind(this.entry(middle))) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Drops the buckets whose newest entry is older than `horizon`, and the oldest ones beyond the number allowed. */
  expire(horizon: Instant, dropped: (entry: Entry) => void): void {
    while (this.#oldest * BUCKET_ENTRIES < this.#next) {
      const bucket = this.#bucket(this.#oldest, "oldest");
      const kept = this.#next - this.#oldest * BUCKET_ENTRIES - this.#unused;
      if (bucket.time >= horizon && kept <= this.#entries_max) return;
      for (const entry of bucket.entries) dropped(entry);
      this.#store.delete(String(this.#oldest));
      this.#oldest++;
      if (this.#oldest * BUCKET_ENTRIES <= this.#next) this.#unused -= BUCKET_ENTRIES - bucket.entries.length;
      // An open bucket that is dropped is closed: its number is not used again.
      this.#next = Math.max(this.#next, this.#oldest * BUCKET_ENTRIES);
    }
  }

  #bucket(number: number, role: "any" | "oldest"): BucketRecord<Entry> {
    const known = this.#read.get(role);
    if (known?.number === number) return known.bucket;
    const bucket = this.#store.get(String(number));
    if (bucket === undefined)
      throw new Error(`ring: bucket ${number} is missing, next entry is ${this.#next}`);
    this.#read.set(role, { number, bucket });
    return bucket;
  }
}
