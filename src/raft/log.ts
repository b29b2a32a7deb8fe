/**
 * The log as the protocol sees it: what storage holds durably, followed by a tail that is in memory
 * until the host has reported it persisted. Also remembers what was handed out, to be written and
 * to be applied, so that nothing is handed out twice.
 */
import type { Entry } from "./entries.ts";
import type { LogReader } from "./storage.ts";
import type { LogIndex, LogPosition, Millis, Term } from "./vocabulary.ts";

/** Consecutive entries and what their commands weigh together. */
export interface Run<Command> {
  readonly entries: readonly Entry<Command>[];
  readonly bytes: number;
}

/** What came of placing a leader's entries after `previous`. */
export type Placement<Command> =
  /** The logs agree up to `through`; `added` is new here, replacing everything from its first index. */
  | { readonly type: "matched"; readonly through: LogIndex; readonly added: readonly Entry<Command>[] }
  | { readonly type: "conflict"; readonly hint: LogPosition }
  /** The request denies an entry that is committed here. */
  | { readonly type: "impossible" };

export class RaftLog<Command> {
  readonly #stored: LogReader<Command>;
  readonly #sizeOf: (command: Command) => number;

  /** Entries not yet reported durable, and their sizes. */
  readonly #tail: Entry<Command>[] = [];
  readonly #sizes: number[] = [];
  /** Everything below is durable and readable from storage. */
  #tailStart: LogIndex;
  #last: LogPosition;
  #lastTime: Millis;

  /** Batches handed out but not reported durable, and how far each reaches into the present log. */
  #writing: { readonly sequence: number; through: LogIndex }[] = [];
  #handedOut: LogIndex;
  /**
   * The newest snapshot that replaced the log, which storage may not know of yet, and the batch that
   * holds it. Until that is written nothing before it can be read, and only memory knows the term at
   * its end; afterwards storage knows, and may since have been cut further on.
   */
  #installed: { readonly last: LogPosition; sequence?: number; written: boolean } | undefined;

  #commit: LogIndex;
  #delivered: LogIndex;

  constructor(
    stored: LogReader<Command>,
    sizeOf: (command: Command) => number,
    start: { readonly commit: LogIndex; readonly applied: LogIndex; readonly lastTime: Millis },
  ) {
    this.#stored = stored;
    this.#sizeOf = sizeOf;
    const index = stored.lastIndex;
    this.#tailStart = index + 1;
    this.#handedOut = index;
    this.#last = { index, term: this.#storedTerm(index) ?? 0 };
    this.#lastTime = start.lastTime;
    this.#commit = start.commit;
    this.#delivered = start.applied;
  }

  get last(): LogPosition {
    return this.#last;
  }

  /** The newest entry's time; no later entry may carry a smaller one. */
  get lastTime(): Millis {
    return this.#lastTime;
  }

  get commit(): LogIndex {
    return this.#commit;
  }

  /** Newest index reported durable; says nothing about entries that replaced durable ones since. */
  get durable(): LogIndex {
    return this.#installed?.written === false ? 0 : this.#tailStart - 1;
  }

  /** The last index of a snapshot installed and reported durable. */
  get installed(): LogIndex {
    return this.#installed?.written === true ? this.#installed.last.index : 0;
  }

  /** Newest index handed out to be applied. */
  get delivered(): LogIndex {
    return this.#delivered;
  }

  /** `undefined` beyond the end, and before the place where the log was cut. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.#last.index) return this.#last.term;
    if (index > this.#last.index) return undefined;
    if (index >= this.#tailStart) return this.#tail[index - this.#tailStart]?.term;
    return this.#storedTerm(index);
  }

  /** Of an entry that can be read. */
  timeAt(index: LogIndex): Millis {
    return this.#read(index, index + 1, 0).entries[0]?.time ?? 0;
  }

  /** Whether a log that ends at `other` may lead this one: term first, then length (§5.4.1). */
  isCoveredBy(other: LogPosition): boolean {
    return (
      other.term > this.#last.term || (other.term === this.#last.term && other.index >= this.#last.index)
    );
  }

  /**
   * The last position from `floor` up to `index` whose term does not exceed `term`; `floor` if there
   * is none. Terms never decrease along a log, so bisecting finds it. Where the log was cut, terms
   * are unknown and count as low.
   */
  lastWithin(floor: LogIndex, index: LogIndex, term: Term): LogPosition {
    let low = Math.min(floor, index);
    let high = Math.min(index, this.#last.index);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.termAt(middle) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: low, term: this.termAt(low) ?? 0 };
  }

  /** Adds entries, first dropping whatever stands at or after the first one's index. */
  append(entries: readonly Entry<Command>[]): void {
    const [first] = entries;
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return;
    if (first.index > this.#last.index + 1 || first.index <= this.#commit) {
      throw new Error(
        `cannot append from index ${first.index} to a log that ends at ${this.#last.index}, committed up to ${this.#commit}`,
      );
    }
    if (first.index <= this.#last.index) this.#truncateFrom(first.index);
    for (const entry of entries) {
      this.#tail.push(entry);
      this.#sizes.push(this.#weigh(entry));
    }
    this.#last = { index: last.index, term: last.term };
    this.#lastTime = last.time;
  }

  /**
   * The follower's half of log matching (§5.3): keep what agrees, however old the request, and
   * replace from the first entry that does not.
   */
  place(previous: LogPosition, entries: readonly Entry<Command>[]): Placement<Command> {
    const end = previous.index + entries.length;
    // Up to the commit index both logs hold the same by leader completeness, also where it was cut.
    let agreed = previous.index;
    if (previous.index < this.#commit) {
      const witness = entries[this.#commit - previous.index - 1];
      if (witness !== undefined && witness.term !== this.termAt(this.#commit)) return { type: "impossible" };
      agreed = this.#commit;
    } else if (this.termAt(previous.index) !== previous.term) {
      if (previous.index === this.#commit) return { type: "impossible" };
      return { type: "conflict", hint: this.lastWithin(this.#commit, previous.index, previous.term) };
    }
    const through = Math.max(agreed, end);
    while (agreed < end && this.termAt(agreed + 1) === entries[agreed - previous.index]?.term) agreed += 1;
    const added = agreed < end ? entries.slice(agreed - previous.index) : [];
    this.append(added);
    return { type: "matched", through, added };
  }

  /** A snapshot takes the place of everything here, also of what it does not reach: that conflicts. */
  install(last: LogPosition & { readonly time: Millis }): void {
    const { term, index, time } = last;
    if (index <= this.#commit) {
      throw new Error(`a snapshot at ${index} cannot replace a log committed up to ${this.#commit}`);
    }
    this.#truncateFrom(0);
    this.#tailStart = index + 1;
    this.#handedOut = index;
    this.#last = { term, index };
    this.#lastTime = time;
    this.#commit = index;
    this.#delivered = index;
    this.#installed = { last: this.#last, written: false };
  }

  /** Entries from `start` to the end of the log; at least one, and no more than fit. */
  read(start: LogIndex, maxBytes: number): Run<Command> {
    return this.#read(start, this.#last.index + 1, maxBytes);
  }

  /** Moves the commit index forward; true if it moved. */
  commitTo(index: LogIndex): boolean {
    if (index <= this.#commit) return false;
    if (index > this.#last.index) {
      throw new Error(`cannot commit index ${index} of a log that ends at ${this.#last.index}`);
    }
    this.#commit = index;
    return true;
  }

  /** Hands out what has not been handed out for writing yet, as part of batch `sequence`. */
  takeUnwritten(sequence: number): readonly Entry<Command>[] {
    if (this.#installed !== undefined) this.#installed.sequence ??= sequence;
    if (this.#handedOut === this.#last.index) return [];
    const entries = this.#tail.slice(this.#handedOut + 1 - this.#tailStart);
    this.#handedOut = this.#last.index;
    this.#writing.push({ sequence, through: this.#last.index });
    return entries;
  }

  /** Hands out committed entries to apply, in order and once. */
  takeCommitted(maxBytes: number): readonly Entry<Command>[] {
    if (this.#delivered === this.#commit) return [];
    const { entries } = this.#read(this.#delivered + 1, this.#commit + 1, maxBytes);
    this.#delivered += entries.length;
    return entries;
  }

  /** Every batch up to `sequence` is durable: storage answers for its entries from now on. */
  written(sequence: number): void {
    const { sequence: batch = Number.POSITIVE_INFINITY } = this.#installed ?? {};
    if (this.#installed !== undefined && batch <= sequence) this.#installed.written = true;
    let durable = this.#tailStart - 1;
    while ((this.#writing[0]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) {
      durable = Math.max(durable, this.#writing.shift()?.through ?? 0);
    }
    const count = durable + 1 - this.#tailStart;
    this.#tail.splice(0, count);
    this.#sizes.splice(0, count);
    this.#tailStart += count;
  }

  /**
   * A batch under way that holds an overwritten entry no longer vouches for that index, not even if
   * a later leader puts the very same entry back: the batch that removes it is still to be written.
   */
  #truncateFrom(index: LogIndex): void {
    for (const batch of this.#writing) batch.through = Math.min(batch.through, index - 1);
    this.#handedOut = Math.min(this.#handedOut, index - 1);
    this.#tailStart = Math.min(this.#tailStart, index);
    this.#tail.length = Math.min(this.#tail.length, index - this.#tailStart);
    this.#sizes.length = this.#tail.length;
  }

  #read(start: LogIndex, end: LogIndex, maxBytes: number): Run<Command> {
    if (start >= this.#tailStart) return this.#readTail(start, end, maxBytes);
    const storedEnd = Math.min(end, this.#tailStart);
    const entries = this.#stored.read(start, storedEnd, maxBytes);
    if (entries[0]?.index !== start || start + entries.length > storedEnd) {
      throw new Error(
        `asked storage for entries ${start} to ${storedEnd - 1}, got ${entries.length} from ${entries[0]?.index}`,
      );
    }
    return { entries, bytes: entries.reduce((bytes, entry) => bytes + this.#weigh(entry), 0) };
  }

  #readTail(start: LogIndex, end: LogIndex, maxBytes: number): Run<Command> {
    const from = start - this.#tailStart;
    let to = from;
    let bytes = 0;
    while (to < end - this.#tailStart) {
      const size = this.#sizes[to] ?? 0;
      if (to > from && bytes + size > maxBytes) break;
      bytes += size;
      to += 1;
    }
    return { entries: this.#tail.slice(from, to), bytes };
  }

  #storedTerm(index: LogIndex): Term | undefined {
    if (this.#installed?.written === false) {
      const start = this.#installed.last;
      if (index <= start.index) return index === start.index ? start.term : undefined;
    }
    if (index < this.#stored.firstIndex - 1) return undefined;
    return index === 0 ? 0 : this.#stored.termAt(index);
  }

  #weigh(entry: Entry<Command>): number {
    return entry.type === "command" ? this.#sizeOf(entry.command) : 0;
  }
}
