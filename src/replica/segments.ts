/**
 * Segments: rows that hold many records each, because rows written are the bill. A segment begins with a line that lists
 * what it holds, and of each task that waits and was never handed out what the state machine looks at; the JSON texts of
 * the records follow, so that a start need not read those that nobody asks for.
 */
import { isWaiting } from "../coordinator/attempts.ts";
import type { TaskRecord } from "../coordinator/records.ts";
import type { OpenTask, Table } from "../coordinator/tables.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";

/** A segment closes here; a single record may be longer. Whoever asks for a task that waits has a whole segment read. */
const SEGMENT_CHARACTERS = 128 * 1024;

/** A record as it stands in a segment. */
export interface Content {
  /** Empty: it does not live any more. */
  readonly text: string;
  /** Of a task that waits and was never handed out. */
  readonly head?: OpenTask;
}

/** Where its text stands: counted from the end of the segment's first line. */
export interface Place {
  readonly segment: number;
  readonly at: number;
  readonly characters: number;
}

export interface SegmentEntry extends Place {
  readonly table: Table;
  readonly key: string;
  readonly head?: OpenTask;
  /** Undefined where it is not read, and where it does not live any more. */
  readonly record: unknown;
}

/** {@link OpenTask} without its id; null for what the task does not have. */
type StoredHead = readonly [
  sequence: number,
  circuit: string,
  status: OpenTask["status"],
  content_hash: string,
  input_bytes: number | null,
  priority: number,
  created_at: number,
  not_before: number | null,
  deadline: number | null,
  tags: readonly string[] | null,
];
type Listed = readonly [table: Table, key: string, length: number, head?: StoredHead];

const NO_ATTEMPTS: OpenTask["attempts"] = [];

function storedHead(task: OpenTask): StoredHead {
  const { sequence, circuit, status, content_hash, priority, created_at } = task;
  const { input_bytes = null, not_before = null, deadline = null, tags = null } = task;
  return [
    sequence,
    circuit,
    status,
    content_hash,
    input_bytes,
    priority,
    created_at,
    not_before,
    deadline,
    tags,
  ];
}

function headFrom(task_id: string, stored: StoredHead): OpenTask {
  const [sequence, circuit, status, content_hash, input_bytes, priority, created_at] = stored;
  const [, , , , , , , not_before, deadline, tags] = stored;
  const head: { -readonly [Name in keyof OpenTask]: OpenTask[Name] } = {
    task_id,
    sequence,
    circuit,
    status,
    content_hash,
    priority,
    created_at,
    attempts: NO_ATTEMPTS,
  };
  if (input_bytes !== null) head.input_bytes = input_bytes;
  if (not_before !== null) head.not_before = not_before;
  if (deadline !== null) head.deadline = deadline;
  if (tags !== null) head.tags = tags;
  return head;
}

/** It waits and was never handed out: in others there is more to look at. */
function isUntouched(table: Table, record: unknown): record is TaskRecord {
  if (table !== "tasks" || record === undefined) return false;
  const { status, attempts } = record as TaskRecord;
  return isWaiting(status) && attempts.length === 0;
}

/** What a record is written as. */
export function contentOf(table: Table, key: string, record: unknown): Content {
  const text = JSON.stringify(record);
  return isUntouched(table, record) ? { text, head: headFrom(key, storedHead(record)) } : { text };
}

function listOf(number: number, line: string): readonly Listed[] {
  const segment = JSON.parse(line) as { readonly v: number; readonly entries: readonly Listed[] };
  checkVersion(`segment ${number}`, segment);
  return segment.entries;
}

/** Answers of the last minute: hardly ever asked for, and many. */
export function isReadWhenAsked(table: Table): boolean {
  return table === "commands";
}

/** What has a head is not read, nor what is read only when somebody asks for it. */
export function readSegment(number: number, body: string): readonly SegmentEntry[] {
  let at = 0;
  return listOf(number, body.slice(0, body.indexOf("\n"))).map(([table, key, characters, stored]) => {
    const place = { segment: number, at, characters };
    at += characters;
    if (stored !== undefined) return { table, key, ...place, head: headFrom(key, stored), record: undefined };
    const unread = characters === 0 || isReadWhenAsked(table);
    const record = unread ? undefined : JSON.parse(textIn(body, place));
    return { table, key, ...place, record };
  });
}

export function textIn(body: string, { at, characters }: Pick<Place, "at" | "characters">): string {
  const start = body.indexOf("\n") + 1 + at;
  return body.slice(start, start + characters);
}

/** What a segment lists, without its records. */
export function keysOf(number: number, body: string): readonly (readonly [table: Table, key: string])[] {
  return listOf(number, body.slice(0, body.indexOf("\n"))).map(([table, key]) => [table, key]);
}

export interface WrittenSegment {
  readonly number: number;
  readonly entries: number;
  /** Of the records in it. */
  readonly characters: number;
  readonly body: string;
}

export class SegmentWriter {
  readonly #done: WrittenSegment[] = [];
  #number: number;
  #listed: string[] = [];
  #texts: string[] = [];
  #listedCharacters = 0;
  #characters = 0;

  constructor(first: number) {
    this.#number = first;
  }

  add(table: Table, key: string, { text, head }: Content): Place {
    const characters = text.length;
    const entry: Listed =
      head === undefined ? [table, key, characters] : [table, key, characters, storedHead(head)];
    const listed = JSON.stringify(entry);
    const size = this.#listedCharacters + this.#characters;
    if (size > 0 && size + listed.length + characters > SEGMENT_CHARACTERS) this.#close();
    const place = { segment: this.#number, at: this.#characters, characters };
    this.#listed.push(listed);
    this.#texts.push(text);
    this.#listedCharacters += listed.length;
    this.#characters += characters;
    return place;
  }

  finish(): readonly WrittenSegment[] {
    if (this.#texts.length > 0) this.#close();
    return this.#done;
  }

  #close(): void {
    const texts = this.#texts;
    const line = `{"v":${FORMAT_VERSION},"entries":[${this.#listed.join(",")}]}\n`;
    const body = [line, ...texts].join("");
    this.#done.push({ number: this.#number, entries: texts.length, characters: this.#characters, body });
    this.#number++;
    this.#listed = [];
    this.#texts = [];
    this.#listedCharacters = 0;
    this.#characters = 0;
  }
}
