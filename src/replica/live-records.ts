/**
 * The records that stay in memory, and their copy on disk: open tasks, workers, the answers of the last minute, counters.
 * On disk they stand in segments, many records to a row, because rows written are the bill. A segment holds what a
 * checkpoint found changed; of two that hold the same record the newer one counts. The oldest is cleaned away at a
 * checkpoint when the segments hold more than twice what lives: what still counts of it goes into the newest.
 */
import type { RecordTypes, Table } from "../coordinator/tables.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";
import type { Generation } from "./generation.ts";

/** A segment closes here; a single record may be longer. */
const SEGMENT_CHARACTERS = 256 * 1024;
/** Records on disk that may be outdated, beyond as many as live. */
const OUTDATED_MAX = 2_000;
/** Records of the oldest segments looked at in one checkpoint. */
const CLEANED_MAX = 2_000;

interface Held {
  record: unknown;
  /** Segment that holds its newest copy; 0 while none does. */
  segment: number;
}

/** A record, or null where it does not live any more. */
type SegmentEntry = readonly [table: Table, key: string, record: unknown];

interface Segment {
  readonly number: number;
  readonly entries: number;
}

export class LiveRecords {
  readonly #sql: SqlStorage;
  readonly #name: string;
  readonly #tables = new Map<Table, Map<string, Held>>();
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  /** No longer live, but a segment still says so. */
  readonly #gone = new Map<Table, Set<string>>();
  #count = 0;
  #entries = 0;
  #next = 1;

  constructor(sql: SqlStorage, generation: Generation) {
    this.#sql = sql;
    this.#name = generation.live;
    const rows = sql.exec<{ number: number; body: string }>(
      `SELECT number, body FROM ${this.#name} ORDER BY number`,
    );
    for (const { number, body } of rows) this.#load(number, entriesOf(number, body));
  }

  get size(): number {
    return this.#count;
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    return this.#tables.get(table)?.get(key)?.record as RecordTypes[T] | undefined;
  }

  set(table: Table, key: string, record: unknown): void {
    const records = this.#table(table);
    const held = records.get(key);
    if (held !== undefined) {
      held.record = record;
      return;
    }
    records.set(key, { record, segment: 0 });
    this.#count++;
  }

  delete(table: Table, key: string): void {
    const records = this.#tables.get(table);
    const held = records?.get(key);
    if (records === undefined || held === undefined) return;
    records.delete(key);
    this.#count--;
    if (held.segment === 0) return;
    const gone = this.#gone.get(table);
    if (gone === undefined) this.#gone.set(table, new Set([key]));
    else gone.add(key);
  }

  *entries<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]> {
    for (const [key, held] of this.#tables.get(table) ?? []) yield [key, held.record as RecordTypes[T]];
  }

  /** Writes those of the changed records that live, and that others do not any more. Returns the rows written. */
  write(changed: Iterable<{ readonly table: Table; readonly key: string }>): number {
    const segments = new SegmentWriter(this.#next);
    for (const { table, key } of changed) {
      const held = this.#tables.get(table)?.get(key);
      if (held !== undefined) held.segment = segments.add([table, key, held.record]);
    }
    for (const [table, keys] of this.#gone) {
      // One that came back is held again, with a newer copy.
      for (const key of keys) if (!this.#tables.get(table)?.has(key)) segments.add([table, key, null]);
    }
    this.#gone.clear();
    let rows = this.#clean(segments);
    for (const { number, entries, body } of segments.finish()) {
      rows += this.#sql.exec(
        `INSERT INTO ${this.#name} (number, body) VALUES (?, ?)`,
        number,
        body,
      ).rowsWritten;
      this.#segments.push({ number, entries });
      this.#entries += entries;
      this.#next = number + 1;
    }
    return rows;
  }

  #clean(segments: SegmentWriter): number {
    let rows = 0;
    let looked = 0;
    while (this.#entries > 2 * this.#count + OUTDATED_MAX && looked < CLEANED_MAX) {
      const oldest = this.#segments.shift();
      if (oldest === undefined) break;
      for (const [table, key] of this.#read(oldest.number)) {
        const held = this.#tables.get(table)?.get(key);
        if (held?.segment === oldest.number) held.segment = segments.add([table, key, held.record]);
      }
      rows += this.#sql.exec(`DELETE FROM ${this.#name} WHERE number = ?`, oldest.number).rowsWritten;
      this.#entries -= oldest.entries;
      looked += oldest.entries;
    }
    return rows;
  }

  #read(number: number): readonly SegmentEntry[] {
    const row = this.#sql
      .exec<{ body: string }>(`SELECT body FROM ${this.#name} WHERE number = ?`, number)
      .toArray()[0];
    if (row === undefined) throw new Error(`segment ${number} of ${this.#name} is gone`);
    return entriesOf(number, row.body);
  }

  #load(number: number, entries: readonly SegmentEntry[]): void {
    for (const [table, key, record] of entries) {
      const records = this.#table(table);
      if (record === null) {
        if (records.delete(key)) this.#count--;
        continue;
      }
      if (!records.has(key)) this.#count++;
      records.set(key, { record, segment: number });
    }
    this.#segments.push({ number, entries: entries.length });
    this.#entries += entries.length;
    this.#next = number + 1;
  }

  #table(table: Table): Map<string, Held> {
    let records = this.#tables.get(table);
    if (records === undefined) {
      records = new Map();
      this.#tables.set(table, records);
    }
    return records;
  }
}

function entriesOf(number: number, body: string): readonly SegmentEntry[] {
  const segment = JSON.parse(body) as { readonly v: number; readonly entries: readonly SegmentEntry[] };
  checkVersion(`segment ${number}`, segment);
  return segment.entries;
}

class SegmentWriter {
  readonly #done: { number: number; entries: number; body: string }[] = [];
  #texts: string[] = [];
  #characters = 0;
  #number: number;

  constructor(first: number) {
    this.#number = first;
  }

  /** The number of the segment that it will stand in. */
  add(entry: SegmentEntry): number {
    const text = JSON.stringify(entry);
    if (this.#texts.length > 0 && this.#characters + text.length > SEGMENT_CHARACTERS) this.#close();
    this.#texts.push(text);
    this.#characters += text.length;
    return this.#number;
  }

  finish(): readonly { readonly number: number; readonly entries: number; readonly body: string }[] {
    if (this.#texts.length > 0) this.#close();
    return this.#done;
  }

  #close(): void {
    this.#done.push({
      number: this.#number,
      entries: this.#texts.length,
      body: `{"v":${FORMAT_VERSION},"entries":[${this.#texts.join(",")}]}`,
    });
    this.#number++;
    this.#texts = [];
    this.#characters = 0;
  }
}
