/**
 * Segments: rows that hold many records each, because rows written are the bill. A segment begins with a line that lists
 * what it holds, and of each task that waits what the state machine looks at; the JSON texts of the records follow, so
 * that a start need not read those that nobody asks for.
 */
import { isWaiting } from "../coordinator/attempts.ts";
import type { TaskRecord } from "../coordinator/records.ts";
import type { OpenTask, Table } from "../coordinator/tables.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";

/** A segment closes here; a single record may be longer. */
const SEGMENT_CHARACTERS = 256 * 1024;

/** A task that waits, in the form in which it costs least. */
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

/** Of an open task, in the order of {@link headFrom}; null for what it does not have. */
type StoredHead = readonly unknown[];
type Listed = readonly [table: Table, key: string, length: number, head?: StoredHead];

/** What is looked at in a task that was never handed out; of others there is more to look at. */
export function headOf(table: Table, record: unknown): OpenTask | undefined {
  if (table !== "tasks" || record === undefined) return undefined;
  const task = record as TaskRecord;
  return isWaiting(task.status) && task.attempts.length === 0
    ? headFrom(task.task_id, storedHead(task))
    : undefined;
}

function storedHead(task: OpenTask): StoredHead {
  return [
    task.sequence,
    task.circuit,
    task.status,
    task.content_hash,
    task.input_bytes ?? null,
    task.priority,
    task.created_at,
    task.not_before ?? null,
    task.deadline ?? null,
    task.max_runtime_ms ?? null,
    task.tags ?? null,
  ];
}

const NO_ATTEMPTS: OpenTask["attempts"] = [];

function headFrom(task_id: string, head: StoredHead): OpenTask {
  return {
    task_id,
    sequence: head[0],
    circuit: head[1],
    status: head[2],
    content_hash: head[3],
    input_bytes: head[4] ?? undefined,
    priority: head[5],
    created_at: head[6],
    not_before: head[7] ?? undefined,
    deadline: head[8] ?? undefined,
    max_runtime_ms: head[9] ?? undefined,
    tags: head[10] ?? undefined,
    attempts: NO_ATTEMPTS,
  } as OpenTask;
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
  readonly body: string;
}

/** Told of a task that waits, where its segment holds its text: that takes no memory beside the segment's. */
type Placed = (task: UnreadTask) => void;

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
    const [head, text] =
      record instanceof UnreadTask
        ? [record.head, record.text]
        : [headOf(table, record), record === undefined ? "" : JSON.stringify(record)];
    const entry: Listed =
      head === undefined ? [table, key, text.length] : [table, key, text.length, storedHead(head)];
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
    let at = line.length;
    let nth = 0;
    for (const { nth: own, head, placed } of this.#waiting) {
      for (; nth < own; nth++) at += texts[nth]?.length ?? 0;
      placed(new UnreadTask(head, body.slice(at, at + (texts[own]?.length ?? 0))));
    }
    this.#done.push({ number: this.#number, entries: texts.length, body });
    this.#number++;
    this.#listed = [];
    this.#texts = [];
    this.#waiting = [];
    this.#characters = 0;
  }
}
