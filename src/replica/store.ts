/**
 * What one replica holds durably, in SQLite.
 *
 * `log` has one row per batch of entries, keyed by the batch's first index: rows written are the bill. A truncation
 * inside a batch rewrites its row. `state` holds identity, founding, term and vote, and the fault in force. The commit
 * hint travels in the log rows, so that it costs no row of its own. Writes happen inside one `transactionSync`.
 */

import type { Command } from "../coordinator/commands.ts";
import type { HardState, LogIndex, LogReader, Persist, Term } from "../raft/index.ts";
import type { Founding } from "./birth.ts";
import {
  checkVersion,
  decodeBatch,
  encodeBatch,
  entryBytes,
  FORMAT_VERSION,
  type LogEntry,
} from "./codec.ts";

/** Rows are limited to 2 MB by the platform; a batch closes at half of it. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** Recent entries kept decoded in memory for followers; older ones are read from their rows. */
const CACHE_BYTES_MAX = 8 * 1024 * 1024;

/** Stored, so that a fault survives eviction and restart until it is lifted. */
export interface FaultState {
  readonly stopped: boolean;
  readonly isolated: boolean;
  readonly delay_ms: number;
  readonly drop_rate: number;
}
export const NO_FAULT: FaultState = { stopped: false, isolated: false, delay_ms: 0, drop_rate: 0 };

interface StateValues {
  identity: { readonly v: number; readonly name: string; readonly incarnation: string };
  founding: Founding;
  vote: { readonly v: number; readonly term: Term; readonly vote?: string; readonly leader?: string };
  fault: FaultState & { readonly v: number };
  /** Of a replica that was removed: it takes no part in any founding, until it is added again. */
  former: { readonly v: number; readonly founding_id: string; readonly incarnation: string };
}

interface Row {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

export class Store implements LogReader<Command> {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  /** Where each term begins in the log, oldest first. */
  #terms: { readonly first: LogIndex; readonly term: Term }[] = [];
  #rows: Row[] = [];
  /** The newest entries, from the first one of the row at `#cachedFrom` on. */
  #cache: LogEntry[] = [];
  #cachedFrom = 0;
  #cacheBytes = 0;
  #commitHint: LogIndex = 0;
  #durable: { readonly term: Term; readonly vote: string | undefined } = { term: 0, vote: undefined };
  rowsWritten = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    );
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS log (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, commit_hint INTEGER NOT NULL, body TEXT NOT NULL)",
    );
    this.#load();
  }

  get firstIndex(): LogIndex {
    return 1;
  }

  get lastIndex(): LogIndex {
    return this.#rows.at(-1)?.last ?? 0;
  }

  get databaseBytes(): number {
    return this.#sql.databaseSize;
  }

  termAt(index: LogIndex): Term | undefined {
    if (index === 0) return 0;
    if (index < 0 || index > this.lastIndex) return undefined;
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

  /** Currency is enforced when storage is touched: whatever promises something does it first. */
  touch(): void {
    this.#sql.exec("SELECT 1 FROM state LIMIT 1").toArray();
  }

  state<Key extends keyof StateValues>(key: Key): StateValues[Key] | undefined {
    const row = this.#sql.exec<{ body: string }>("SELECT body FROM state WHERE key = ?", key).toArray()[0];
    if (!row) return undefined;
    const value = JSON.parse(row.body) as StateValues[Key];
    checkVersion(`stored ${key}`, value);
    return value;
  }

  setState<Key extends keyof StateValues>(key: Key, value: Omit<StateValues[Key], "v">): void {
    this.rowsWritten += this.#sql.exec(
      "INSERT OR REPLACE INTO state (key, body) VALUES (?, ?)",
      key,
      JSON.stringify({ v: FORMAT_VERSION, ...value }),
    ).rowsWritten;
  }

  /**
   * Forgets identity, log, votes and founding in one step: what comes back is another replica. This object must not be
   * used any more.
   */
  leave(former: Omit<StateValues["former"], "v">): void {
    this.#storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM log");
      this.#sql.exec("DELETE FROM state WHERE key IN ('identity', 'founding', 'vote')");
      this.setState("former", former);
    });
  }

  hardState(): HardState {
    const stored = this.state("vote");
    return {
      term: stored?.term ?? 0,
      commit: Math.min(this.#commitHint, this.lastIndex),
      ...(stored?.vote === undefined ? {} : { vote: stored.vote }),
      ...(stored?.leader === undefined ? {} : { leader: stored.leader }),
    };
  }

  /** The commit index travels with the next log row: it is a hint and costs no write of its own. */
  hint(hardState: HardState): void {
    this.#commitHint = hardState.commit;
  }

  /** Writes one batch of the core's work, atomically. */
  write(persist: Persist<Command>): void {
    if (persist.snapshot) throw new Error("a snapshot cannot be installed: snapshots are not offered");
    if (persist.hardState?.rounds !== undefined) {
      throw new Error(
        `reserved rounds (${persist.hardState.rounds}) are not stored: resumeLeadership must stay off`,
      );
    }
    const before = this.#durable;
    this.#storage.transactionSync(() => {
      const { entries, hardState } = persist;
      if (hardState && (hardState.term !== before.term || hardState.vote !== before.vote)) {
        this.setState("vote", {
          term: hardState.term,
          ...(hardState.vote === undefined ? {} : { vote: hardState.vote }),
          ...(hardState.leader === undefined ? {} : { leader: hardState.leader }),
        });
        this.#durable = { term: hardState.term, vote: hardState.vote };
      }
      if (hardState) this.hint(hardState);
      const first = entries[0];
      if (first) {
        this.#truncate(first.index);
        this.#append(entries);
      }
    });
  }

  #load(): void {
    const stored = this.state("vote");
    this.#durable = { term: stored?.term ?? 0, vote: stored?.vote };
    const cursor = this.#sql.exec<{ first: number; last: number; commit_hint: number; body: string }>(
      "SELECT first, last, commit_hint, body FROM log ORDER BY first",
    );
    for (const row of cursor) {
      if (row.first !== this.lastIndex + 1) {
        throw new Error(`log row ${row.first} does not follow entry ${this.lastIndex}`);
      }
      this.#commitHint = Math.max(this.#commitHint, row.commit_hint);
      const { first, last } = row;
      this.#remember({ first, last, bytes: row.body.length }, decodeBatch(row.body, `log row ${first}`));
    }
  }

  #remember(row: Row, entries: readonly LogEntry[]): void {
    this.#rows.push(row);
    for (const entry of entries) {
      if (this.#terms.at(-1)?.term !== entry.term) this.#terms.push({ first: entry.index, term: entry.term });
      this.#cache.push(entry);
    }
    this.#cacheBytes += row.bytes;
    if (this.#cacheBytes > 2 * CACHE_BYTES_MAX) this.#shrinkCache();
  }

  #shrinkCache(): void {
    while (this.#cacheBytes > CACHE_BYTES_MAX && this.#cachedFrom < this.#rows.length - 1) {
      this.#cacheBytes -= this.#rows[this.#cachedFrom]?.bytes ?? 0;
      this.#cachedFrom++;
    }
    const first = this.#rows[this.#cachedFrom]?.first ?? 0;
    this.#cache = this.#cache.slice(first - (this.#cache[0]?.index ?? first));
  }

  #append(entries: readonly LogEntry[]): void {
    let from = 0;
    while (from < entries.length) {
      let to = from;
      let bytes = 0;
      for (; to < entries.length; to++) {
        const entry = entries[to];
        if (!entry) break;
        const size = entryBytes(entry);
        if (to > from && bytes + size > BATCH_BYTES_MAX) break;
        bytes += size;
      }
      const batch = entries.slice(from, to);
      const first = batch[0]?.index ?? 0;
      const row = { first, last: first + batch.length - 1, bytes };
      this.rowsWritten += this.#sql.exec(
        "INSERT INTO log (first, last, commit_hint, body) VALUES (?, ?, ?, ?)",
        row.first,
        row.last,
        this.#commitHint,
        encodeBatch(batch),
      ).rowsWritten;
      this.#remember(row, batch);
      from = to;
    }
  }

  /** Deletes every entry from `index` onwards. */
  #truncate(index: LogIndex): void {
    if (index > this.lastIndex) return;
    const at = this.#rowHolding(index);
    const cut = this.#rows[at];
    if (!cut) throw new Error(`no row holds entry ${index}; the log ends at ${this.lastIndex}`);
    const kept = this.#entriesOf(at, cut).filter((entry) => entry.index < index);
    this.rowsWritten += this.#sql.exec("DELETE FROM log WHERE first >= ?", cut.first).rowsWritten;
    this.#rows.length = at;
    this.#terms = this.#terms.filter((run) => run.first < cut.first);
    this.#cachedFrom = Math.min(this.#cachedFrom, at);
    const cacheFirst = this.#rows[this.#cachedFrom]?.first ?? cut.first;
    this.#cache.length = Math.max(0, Math.min(this.#cache.length, cut.first - cacheFirst));
    this.#cacheBytes = this.#rows.slice(this.#cachedFrom).reduce((sum, row) => sum + row.bytes, 0);
    if (kept.length > 0) this.#append(kept);
  }

  #entriesOf(at: number, row: Row): readonly LogEntry[] {
    if (at < this.#cachedFrom) return this.#readRow(row.first);
    const cacheFirst = this.#cache[0]?.index ?? row.first;
    return this.#cache.slice(row.first - cacheFirst, row.last - cacheFirst + 1);
  }

  #readRow(first: LogIndex): readonly LogEntry[] {
    const row = this.#sql.exec<{ body: string }>("SELECT body FROM log WHERE first = ?", first).toArray()[0];
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
