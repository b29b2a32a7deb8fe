/**
 * Number and digest of a set of rows, whatever order they came in: two replicas that hold the same rows hold the same
 * digest, and a row that changes is taken out and put in again without looking at the others. It finds what was lost,
 * doubled, outdated or garbled on the way; it is no defence against somebody who chooses rows to deceive.
 */
import type { TableRow } from "./generation.ts";

/** As it travels. */
export interface RowsCheck {
  readonly count: number;
  readonly digest: string;
}

export class RowsDigest {
  #count = 0;
  /** Sums of the rows' hashes, modulo 2^32 each. */
  #high = 0;
  #low = 0;

  static of(rows: readonly TableRow[]): RowsDigest {
    const digest = new RowsDigest();
    for (const row of rows) digest.add(row);
    return digest;
  }

  add(row: TableRow): void {
    const [high, low] = hash(row);
    this.#count++;
    this.#high = (this.#high + high) >>> 0;
    this.#low = (this.#low + low) >>> 0;
  }

  remove(row: TableRow): void {
    const [high, low] = hash(row);
    this.#count--;
    this.#high = (this.#high - high) >>> 0;
    this.#low = (this.#low - low) >>> 0;
  }

  join(other: RowsDigest): void {
    this.#count += other.#count;
    this.#high = (this.#high + other.#high) >>> 0;
    this.#low = (this.#low + other.#low) >>> 0;
  }

  get check(): RowsCheck {
    const hex = (lane: number) => lane.toString(16).padStart(8, "0");
    return { count: this.#count, digest: hex(this.#high) + hex(this.#low) };
  }

  equals({ count, digest }: RowsCheck): boolean {
    const own = this.check;
    return own.count === count && own.digest === digest;
  }
}

/** Two lanes of multiply and shift over all columns, each mixed with the other at the end (as in MurmurHash3). */
function hash(row: TableRow): readonly [high: number, low: number] {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (const column of row) {
    const text = String(column);
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      high = Math.imul(high ^ unit, 0x9e3779b1);
      high ^= high >>> 15;
      low = Math.imul(low ^ unit, 0x5f356495);
      low ^= low >>> 13;
    }
    // Where a column ends counts too.
    high = Math.imul(high ^ text.length, 0x85ebca77);
    low = Math.imul(low ^ text.length, 0xc2b2ae3d);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return [high >>> 0, low >>> 0];
}
