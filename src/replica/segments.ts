/**
 * Segments: rows that hold many records each, because rows written are the bill. A segment begins with a line that lists
 * what it holds, and of each task that waits and was never handed out what the state machine looks at; the JSON texts of
 * the records follow, so that a start need not read those that nobody asks for.
 */
import { isWaiting } from "../coordinator/attempts.ts";
import type { TaskRecord } from "../coordinator/records.ts";
import type { OpenTask, Table } from "../coordinator/tables.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";

/** A segment closes here; a single record may be longer. */
const SEGMENT_CHARACTERS = 256 * 1024;

/** A task that waits and was never handed out, in the form in which it costs least. */
export class UnreadTask {
  readonly head: OpenTask;
  /** The whole record. */
  readonly text: string;

  constructor(head: OpenTask, text: string) {
    this.head = head;
    this.text = text;
  }
}

export interface SegmentEntry {
  readonly table: Table;
  readonly key: string;
  /** The record; undefined where it does not live any more. */
  readonly record: unknown;
  /** That it takes. */
  readonly characters: number;
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

function listOf(number: number, line: string): readonly Listed[] {
  const segment = JSON.parse(line) as { readonly v: number; readonly entries: readonly Listed[] };
  checkVersion(`segment ${number}`, segment);
  return segment.entries;
}

/** Tasks that wait stay unread. */
export function readSegment(number: number, body: string): readonly SegmentEntry[] {
  const end = body.indexOf("\n");
  let at = end + 1;
  return listOf(number, body.slice(0, end)).map(([table, key, length, head]) => {
    if (length === 0) return { table, key, record: undefined, characters: 0 };
    const text = body.slice(at, at + length);
    at += length;
    return {
      table,
      key,
      characters: length,
      record: head === undefined ? JSON.parse(text) : new UnreadTask(headFrom(key, head), text),
    };
  });
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

/** Told of a task that waits, where its segment holds its text: that takes no memory beside the segment's. */
type Placed = (task: UnreadTask) => void;

interface Written {
  readonly text: string;
  readonly head?: OpenTask;
  readonly stored?: StoredHead;
}

function written(table: Table, key: string, record: unknown): Written {
  if (record === undefined) return { text: "" };
  if (record instanceof UnreadTask) {
    const { text, head } = record;
    return { text, head, stored: storedHead(head) };
  }
  const text = JSON.stringify(record);
  if (!isUntouched(table, record)) return { text };
  const stored = storedHead(record);
  return { text, head: headFrom(key, stored), stored };
}

export class SegmentWriter {
  readonly #done: WrittenSegment[] = [];
  #number: number;
  #listed: string[] = [];
  #texts: string[] = [];
  #waiting: { readonly nth: number; readonly head: OpenTask; readonly placed: Placed }[] = [];
  #characters = 0;

  constructor(first: number) {
    this.#number = first;
  }

  /** A record, as itself or unread; undefined: it does not live any more. Says where it will stand. */
  add(
    table: Table,
    key: string,
    record: unknown,
    placed?: Placed,
  ): { readonly segment: number; readonly characters: number } {
    const { text, stored, head } = written(table, key, record);
    const entry: Listed =
      stored === undefined ? [table, key, text.length] : [table, key, text.length, stored];
    const listed = JSON.stringify(entry);
    const characters = listed.length + text.length;
    if (this.#texts.length > 0 && this.#characters + characters > SEGMENT_CHARACTERS) this.#close();
    if (head !== undefined && placed !== undefined)
      this.#waiting.push({ nth: this.#texts.length, head, placed });
    this.#listed.push(listed);
    this.#texts.push(text);
    this.#characters += characters;
    return { segment: this.#number, characters: text.length };
  }

  finish(): readonly WrittenSegment[] {
    if (this.#texts.length > 0) this.#close();
    return this.#done;
  }

  #close(): void {
    const line = `{"v":${FORMAT_VERSION},"entries":[${this.#listed.join(",")}]}\n`;
    const texts = this.#texts;
    const body = [line, ...texts].join("");
    const characters = body.length - line.length;
    let at = line.length;
    let nth = 0;
    for (const { nth: own, head, placed } of this.#waiting) {
      for (; nth < own; nth++) at += texts[nth]?.length ?? 0;
      placed(new UnreadTask(head, body.slice(at, at + (texts[own]?.length ?? 0))));
    }
    this.#done.push({ number: this.#number, entries: texts.length, characters, body });
    this.#number++;
    this.#listed = [];
    this.#texts = [];
    this.#waiting = [];
    this.#characters = 0;
  }
}
