/**
 * The records that a replica has at hand, and their copy on disk: open tasks, workers, the answers of the last minute,
 * counters. On disk they stand in segments (segments.ts). A segment holds what a checkpoint found changed; of two that hold the same
 * record the newer one counts. The oldest is cleaned away at a checkpoint when the segments hold more than twice what
 * lives: what still counts of it goes into the newest.
 *
 * Of a task that waits and was never handed out only what the state machine looks at is in memory, once a checkpoint has
 * written it: a backlog is long, and of most of it nobody asks for more than its place in the queue. Of answers nothing is
 * in memory by then but where they are.
 */
import type { TaskRecord } from "../coordinator/records.ts";
import type { OpenTask, RecordTypes, Table } from "../coordinator/tables.ts";
import type { Generation } from "./generation.ts";
import {
  type Content,
  contentOf,
  isReadWhenAsked,
  keysOf,
  readSegment,
  type SegmentEntry,
  SegmentWriter,
  textIn,
} from "./segments.ts";

interface Held {
  /** Undefined: it is in its segment, and no more than its head is here. */
  record: unknown;
  head: OpenTask | undefined;
  /** Where its newest copy is; segment 0 while there is none. */
  segment: number;
  at: number;
  characters: number;
}

interface Segment {
  readonly number: number;
  readonly entries: number;
  readonly characters: number;
}

/** Records on disk that may be outdated, beyond as many as live. */
const OUTDATED_MAX = 2_000;
/** The same in characters: some records are large, and change often. */
const OUTDATED_CHARACTERS_MAX = 4 * 1024 * 1024;
/** Segments kept at hand: tasks are asked for more or less in the order in which they came. */
const BODIES_MAX = 4;
/** Records of the oldest segments looked at in one checkpoint. */
const CLEANED_MAX = 2_000;

const GONE: Content = { text: "" };

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
  /** Of the records in all segments, and of the newest copies among them. */
  #characters = 0;
  #liveCharacters = 0;
  #next = 1;
  readonly #bodies = new Map<number, string>();
  /** Whoever asks for the first of a queue asks more than once. */
  #lastRead: { readonly held: Held; readonly segment: number; readonly record: unknown } | undefined;

  constructor(sql: SqlStorage, generation: Generation) {
    this.#sql = sql;
    this.#name = generation.live;
    const rows = sql.exec<{ number: number; body: string }>(
      `SELECT number, body FROM ${this.#name} ORDER BY number`,
    );
    for (const { number, body } of rows) {
      const entries = readSegment(number, body);
      for (const entry of entries) this.#load(entry);
      const characters = entries.reduce((sum, entry) => sum + entry.characters, 0);
      this.#appended({ number, entries: entries.length, characters });
    }
  }

  get size(): number {
    return this.#count;
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    const held = this.#tables.get(table)?.get(key);
    return held && (this.#read(held) as RecordTypes[T]);
  }

  #read(held: Held): unknown {
    const { record, segment } = held;
    if (record !== undefined) return record;
    if (this.#lastRead?.held !== held || this.#lastRead.segment !== segment)
      this.#lastRead = { held, segment, record: JSON.parse(this.#textOf(held)) };
    return this.#lastRead.record;
  }

  #textOf(held: Held): string {
    return textIn(this.#body(held.segment), held);
  }

  has(table: Table, key: string): boolean {
    return this.#tables.get(table)?.has(key) === true;
  }

  /** What is looked at of an open task; undefined for others. */
  openTask(task_id: string): OpenTask | undefined {
    const held = this.#tables.get("tasks")?.get(task_id);
    return held && (held.head ?? (held.record as TaskRecord));
  }

  set(table: Table, key: string, record: unknown): void {
    const records = this.#table(table);
    const held = records.get(key);
    if (held !== undefined) {
      held.record = record;
      held.head = undefined;
      return;
    }
    records.set(key, { record, head: undefined, segment: 0, at: 0, characters: 0 });
    this.#count++;
  }

  delete(table: Table, key: string): void {
    const records = this.#tables.get(table);
    const held = records?.get(key);
    if (records === undefined || held === undefined) return;
    records.delete(key);
    this.#count--;
    this.#liveCharacters -= held.characters;
    if (held.segment === 0) return;
    const gone = this.#gone.get(table);
    if (gone === undefined) this.#gone.set(table, new Set([key]));
    else gone.add(key);
  }

  *entries<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]> {
    for (const [key, held] of this.#tables.get(table) ?? []) yield [key, this.#read(held) as RecordTypes[T]];
  }

  *openTasks(): Iterable<OpenTask> {
    for (const { head, record } of this.#tables.get("tasks")?.values() ?? [])
      yield head ?? (record as TaskRecord);
  }

  /** Writes those of the changed records that live, and that others do not any more. Returns the rows written. */
  write(changed: Iterable<{ readonly table: Table; readonly key: string }>): number {
    const segments = new SegmentWriter(this.#next);
    for (const { table, key } of changed) {
      const held = this.#tables.get(table)?.get(key);
      if (held === undefined) continue;
      this.#add(segments, table, key, held, contentOf(table, key, this.#read(held)));
    }
    for (const [table, keys] of this.#gone) {
      // One that came back is held again, with a newer copy.
      for (const key of keys) if (!this.#tables.get(table)?.has(key)) segments.add(table, key, GONE);
    }
    this.#gone.clear();
    let rows = this.#clean(segments);
    for (const { number, entries, characters, body } of segments.finish()) {
      rows += this.#sql.exec(
        `INSERT INTO ${this.#name} (number, body) VALUES (?, ?)`,
        number,
        body,
      ).rowsWritten;
      this.#appended({ number, entries, characters });
    }
    return rows;
  }

  #clean(segments: SegmentWriter): number {
    let rows = 0;
    let looked = 0;
    while (this.#isOutdated && looked < CLEANED_MAX) {
      const oldest = this.#segments.shift();
      if (oldest === undefined) break;
      const body = this.#body(oldest.number);
      for (const [table, key] of keysOf(oldest.number, body)) {
        const held = this.#tables.get(table)?.get(key);
        if (held?.segment !== oldest.number) continue;
        const { head, record } = held;
        const content =
          record === undefined
            ? { text: textIn(body, held), ...(head && { head }) }
            : contentOf(table, key, record);
        this.#add(segments, table, key, held, content);
      }
      this.#bodies.delete(oldest.number);
      rows += this.#sql.exec(`DELETE FROM ${this.#name} WHERE number = ?`, oldest.number).rowsWritten;
      this.#entries -= oldest.entries;
      this.#characters -= oldest.characters;
      looked += oldest.entries;
    }
    return rows;
  }

  get #isOutdated(): boolean {
    return (
      this.#entries > 2 * this.#count + OUTDATED_MAX ||
      this.#characters > 2 * this.#liveCharacters + OUTDATED_CHARACTERS_MAX
    );
  }

  #add(segments: SegmentWriter, table: Table, key: string, held: Held, content: Content): void {
    const { segment, at, characters } = segments.add(table, key, content);
    this.#liveCharacters += characters - held.characters;
    held.segment = segment;
    held.at = at;
    held.characters = characters;
    held.head = content.head;
    if (content.head !== undefined || isReadWhenAsked(table)) held.record = undefined;
  }

  #appended(segment: Segment): void {
    this.#segments.push(segment);
    this.#entries += segment.entries;
    this.#characters += segment.characters;
    this.#next = segment.number + 1;
  }

  #body(number: number): string {
    const known = this.#bodies.get(number);
    if (known !== undefined) return known;
    const row = this.#sql
      .exec<{ body: string }>(`SELECT body FROM ${this.#name} WHERE number = ?`, number)
      .toArray()[0];
    if (row === undefined) throw new Error(`segment ${number} of ${this.#name} is gone`);
    this.#bodies.set(number, row.body);
    const [oldest] = this.#bodies.keys();
    if (oldest !== undefined && this.#bodies.size > BODIES_MAX) this.#bodies.delete(oldest);
    return row.body;
  }

  #load({ table, key, head, record, segment, at, characters }: SegmentEntry): void {
    const records = this.#table(table);
    const before = records.get(key);
    this.#liveCharacters -= before?.characters ?? 0;
    if (characters === 0) {
      if (records.delete(key)) this.#count--;
      return;
    }
    if (before === undefined) this.#count++;
    this.#liveCharacters += characters;
    records.set(key, { record, head, segment, at, characters });
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
