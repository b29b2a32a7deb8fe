/**
 * The log of one replica in SQLite: one row per batch of entries of one term. A truncation inside a batch rewrites its row;
 * behind a checkpoint the log is cut by whole rows, and remembers the last entry that was cut away. What was cut away is not
 * deleted unless it is large: new rows take its places, because to delete costs as much as to write. The commit hint travels
 * in the rows, so that it costs no row of its own.
 */
import type { Command } from "../coordinator/commands.ts";
import type { LogIndex, LogPosition, LogReader, Term } from "../raft/index.ts";
import { decodeBatch, encodeBatch, entryBytes, type LogEntry } from "./codec.ts";

/** Rows are limited to 2 MB by the platform; a batch closes at half of it. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** Of entries that somebody is expected to ask for, so many stay decoded in memory; others are read from their rows. */
const CACHE_BYTES_MAX = 8 * 1024 * 1024;
/** What was cut away and takes no more stays until another row takes its place; and so many of them at most. */
const LEFT_BYTES_MAX = 8 * 1024;
const LEFT_ROWS_MAX = 4_000;

interface Row {
  /** Its key. */
  readonly place: number;
  readonly first: number;
  readonly last: number;
  readonly term: Term;
  readonly bytes: number;
}

export class StoredLog implements LogReader<Command> {
  readonly #sql: SqlStorage;
  /** Where each term begins in the log, oldest first. */
  #terms: { readonly first: LogIndex; readonly term: Term }[] = [];
  #rows: Row[] = [];
  /** Of rows that were cut away. */
  #free: number[] = [];
  #lastPlace = 0;
  /** The newest entries, from the first one of the row at `#cachedFrom` on. */
  #cache: LogEntry[] = [];
  #cachedFrom = 0;
  #cacheBytes = 0;
  /** The last entry that was cut away. */
  #start: LogPosition;
  #commitHint: LogIndex = 0;

  /**
   * @param start the last entry before the oldest row; index and term 0 if nothing was ever cut
   * @param covered entries up to here are in the tables: they are there for others, and not read before one asks
   */
  constructor(sql: SqlStorage, start: LogPosition, covered: LogIndex) {
    this.#sql = sql;
    this.#start = start;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS log (place INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, term INTEGER NOT NULL, bytes INTEGER NOT NULL, commit_hint INTEGER NOT NULL, body TEXT NOT NULL)",
    );
    const cursor = sql.exec<{
      place: number;
      first: number;
      last: number;
      term: number;
      bytes: number;
      commit_hint: number;
    }>("SELECT place, first, last, term, bytes, commit_hint FROM log ORDER BY first");
    for (const { commit_hint, ...row } of cursor) {
      this.#lastPlace = Math.max(this.#lastPlace, row.place);
      if (row.last <= start.index) {
        this.#free.push(row.place);
        continue;
      }
      if (row.first !== this.lastIndex + 1)
        throw new Error(`log row ${row.first} does not follow entry ${this.lastIndex}`);
      this.#commitHint = Math.max(this.#commitHint, commit_hint);
      if (row.last <= covered) {
        this.#add(row);
        this.#cachedFrom = this.#rows.length;
      } else this.#remember(row, this.#readRow(row));
    }
  }

  get firstIndex(): LogIndex {
    return this.#start.index + 1;
  }

  get lastIndex(): LogIndex {
    return this.#rows.at(-1)?.last ?? this.#start.index;
  }

  /** As high as is known to be committed and is in the log; it travels with the next row. */
  get commitHint(): LogIndex {
    return Math.min(this.#commitHint, this.lastIndex);
  }

  set commitHint(index: LogIndex) {
    this.#commitHint = index;
  }

  termAt(index: LogIndex): Term | undefined {
    if (index === this.#start.index) return this.#start.term;
    if (index < this.#start.index || index > this.lastIndex) return undefined;
    for (let at = this.#terms.length - 1; at >= 0; at--) {
      const run = this.#terms[at];
      if (run && run.first <= index) return run.term;
    }
    return undefined;
  }

  read(start: LogIndex, end: LogIndex, maxBytes: number): readonly LogEntry[] {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let at = this.#rowHolding(start); at < this.#rows.length; at++) {
      const row = this.#rows[at];
      if (!row || row.first >= end) break;
      // An entry's share of its row is near enough: limits are about memory, and measuring would encode it again.
      const share = Math.ceil(row.bytes / (row.last - row.first + 1));
      for (const entry of this.#entriesOf(at, row)) {
        if (entry.index < start) continue;
        bytes += share;
        if (entry.index >= end || (entries.length > 0 && bytes > maxBytes)) return entries;
        entries.push(entry);
      }
    }
    return entries;
  }

  /** Whether writing these is one statement: nothing is replaced, and they make one row. */
  extendedBy(entries: readonly LogEntry[]): boolean {
    const [first] = entries;
    if (first === undefined || first.index <= this.lastIndex) return false;
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    return bytes <= BATCH_BYTES_MAX && entries.every(({ term }) => term === first.term);
  }

  /** Replaces everything from the first entry's index on. Returns the rows written. */
  write(entries: readonly LogEntry[]): number {
    const first = entries[0];
    return first === undefined ? 0 : this.#truncate(first.index) + this.#append(entries);
  }

  /** Rows that hold nothing after `index`. */
  rowsThrough(index: LogIndex): number {
    return this.#rowHolding(index + 1);
  }

  /**
   * Gives up the oldest rows that hold nothing after `through`, at most so many; undefined if there is none. `start` is
   * what the log then starts after: it has to be stored in the same step.
   */
  cut(
    through: LogIndex,
    rowsMax: number,
  ): { readonly start: LogPosition; readonly rowsWritten: number } | undefined {
    let count = 0;
    while (count < rowsMax && (this.#rows[count]?.last ?? Number.POSITIVE_INFINITY) <= through) count++;
    const index = this.#rows[count - 1]?.last;
    const term = index === undefined ? undefined : this.termAt(index);
    if (index === undefined || term === undefined) return undefined;
    const start = { index, term };
    const rowsWritten = this.#giveUp(this.#rows.slice(0, count));
    const cached = Math.max(0, count - this.#cachedFrom);
    if (cached > 0) {
      this.#cacheBytes -= weight(this.#rows.slice(this.#cachedFrom, count));
      this.#cache.splice(0, index + 1 - (this.#cache[0]?.index ?? index + 1));
    }
    this.#rows.splice(0, count);
    this.#cachedFrom = Math.max(0, this.#cachedFrom - count);
    this.#start = start;
    const kept = this.#terms.findLastIndex((run) => run.first <= index + 1);
    this.#terms.splice(0, Math.max(0, kept));
    return { start, rowsWritten };
  }

  /** Returns the rows deleted. */
  #giveUp(rows: readonly Row[]): number {
    let deleted = 0;
    for (const { place, bytes } of rows) {
      if (bytes > LEFT_BYTES_MAX || this.#free.length >= LEFT_ROWS_MAX)
        deleted += this.#sql.exec("DELETE FROM log WHERE place = ?", place).rowsWritten;
      else this.#free.push(place);
    }
    return deleted;
  }

  /** Everything goes: a snapshot that ends at `start` takes its place. Returns the rows written. */
  restart(start: LogPosition): number {
    this.#start = start;
    this.#rows = [];
    this.#free = [];
    this.#terms = [];
    this.#cache = [];
    this.#cachedFrom = 0;
    this.#cacheBytes = 0;
    return this.#sql.exec("DELETE FROM log").rowsWritten;
  }

  #add(row: Row): void {
    const { first, term } = row;
    this.#rows.push(row);
    if (this.#terms.at(-1)?.term !== term) this.#terms.push({ first, term });
  }

  #remember(row: Row, entries: readonly LogEntry[]): void {
    this.#add(row);
    for (const entry of entries) this.#cache.push(entry);
    this.#cacheBytes += row.bytes;
    if (this.#cacheBytes > 2 * CACHE_BYTES_MAX) this.#shrinkCache();
  }

  /**
   * Nobody is expected to ask for entries before `index` any more: whoever does has them read from their rows. The entry
   * there is what a checkpoint is named after.
   */
  release(index: LogIndex): void {
    this.#uncacheWhile(({ last }) => last < index);
  }

  #shrinkCache(): void {
    this.#uncacheWhile(() => this.#cacheBytes > CACHE_BYTES_MAX);
  }

  /** Of the oldest rows; the newest one stays. */
  #uncacheWhile(droppable: (row: Row) => boolean): void {
    const from = this.#cachedFrom;
    for (;;) {
      const row = this.#rows[this.#cachedFrom];
      if (row === undefined || this.#cachedFrom === this.#rows.length - 1 || !droppable(row)) break;
      this.#cacheBytes -= row.bytes;
      this.#cachedFrom++;
    }
    if (this.#cachedFrom === from) return;
    const first = this.#rows[this.#cachedFrom]?.first ?? 0;
    this.#cache = this.#cache.slice(first - (this.#cache[0]?.index ?? first));
  }

  #append(entries: readonly LogEntry[]): number {
    let written = 0;
    let from = 0;
    while (from < entries.length) {
      let to = from;
      let bytes = 0;
      for (; to < entries.length; to++) {
        const entry = entries[to];
        if (!entry) break;
        const size = entryBytes(entry);
        if (to > from && (bytes + size > BATCH_BYTES_MAX || entry.term !== entries[from]?.term)) break;
        bytes += size;
      }
      const batch = entries.slice(from, to);
      const { index: first, term } = batch[0] ?? { index: 0, term: 0 };
      const place = this.#free.pop() ?? ++this.#lastPlace;
      const row = { place, first, last: first + batch.length - 1, term, bytes };
      written += this.#sql.exec(
        "INSERT OR REPLACE INTO log (place, first, last, term, bytes, commit_hint, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        place,
        row.first,
        row.last,
        term,
        bytes,
        this.#commitHint,
        encodeBatch(batch),
      ).rowsWritten;
      this.#remember(row, batch);
      from = to;
    }
    return written;
  }

  /** Deletes every entry from `index` onwards. */
  #truncate(index: LogIndex): number {
    if (index > this.lastIndex) return 0;
    const at = this.#rowHolding(index);
    const cut = this.#rows[at];
    if (!cut) throw new Error(`no row holds entry ${index}; the log ends at ${this.lastIndex}`);
    const kept = this.#entriesOf(at, cut).filter((entry) => entry.index < index);
    const { rowsWritten } = this.#sql.exec("DELETE FROM log WHERE first >= ?", cut.first);
    this.#rows.length = at;
    this.#terms = this.#terms.filter((run) => run.first < cut.first);
    this.#cachedFrom = Math.min(this.#cachedFrom, at);
    const cacheFirst = this.#rows[this.#cachedFrom]?.first ?? cut.first;
    this.#cache.length = Math.max(0, Math.min(this.#cache.length, cut.first - cacheFirst));
    this.#cacheBytes = weight(this.#rows.slice(this.#cachedFrom));
    return rowsWritten + this.#append(kept);
  }

  #entriesOf(at: number, row: Row): readonly LogEntry[] {
    if (at < this.#cachedFrom) return this.#readRow(row);
    const cacheFirst = this.#cache[0]?.index ?? row.first;
    return this.#cache.slice(row.first - cacheFirst, row.last - cacheFirst + 1);
  }

  #readRow({ place, first }: Row): readonly LogEntry[] {
    const row = this.#sql.exec<{ body: string }>("SELECT body FROM log WHERE place = ?", place).toArray()[0];
    if (!row) throw new Error(`log row ${first} is gone; rows ${this.#rows.length}, last ${this.lastIndex}`);
    return decodeBatch(row.body, `log row ${first}`);
  }

  /** Position in `#rows` of the row that holds `index`. */
  #rowHolding(index: LogIndex): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#rows[middle]?.last ?? 0) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function weight(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.bytes, 0);
}
