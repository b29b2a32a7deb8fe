/**
 * The records of the state machine at one replica: those that live in memory, the others in their table, read when they
 * are asked for. What changed since the last checkpoint is in memory in any case: the log is its durability.
 *
 * The tables carry a generation, so that another replica's can be taken in beside them and put in their place at once.
 */
import { hasEnded } from "../coordinator/attempts.ts";
import type { TaskRecord } from "../coordinator/records.ts";
import type {
  Arrival,
  ArrivalPlace,
  OpenTask,
  RecordKey,
  Records,
  RecordTypes,
  Table,
} from "../coordinator/tables.ts";
import { Arrivals } from "./arrivals.ts";
import { checkVersion } from "./codec.ts";
import { Generation } from "./generation.ts";
import { LiveRecords } from "./live-records.ts";
import { isStored, isTaskBehind, placeOf, type StoredTable } from "./places.ts";

/** Open tasks wait for whoever asks next; ended ones are history. Other records have rows unless their tables live. */
function hasRow(table: Table, record: unknown): table is StoredTable {
  return isStored(table) && (table !== "tasks" || hasEnded((record as TaskRecord).status));
}

/** Told of a record before it gets a row of its own, or loses it. */
export type Storing = (table: StoredTable, key: string, body: string | null) => void;

/** Fewer are read one by one in less time. */
const WORTH_FORESEEING = 3;

export class Tables implements Records {
  readonly generation: Generation;
  readonly #live: LiveRecords;
  readonly #arrivals: Arrivals;
  /** Changed since the last checkpoint and not live; null: in no table any more. */
  readonly #fresh = new Map<StoredTable, Map<string, unknown>>();
  /** No task in the table stands behind this: ids are in order of time, so that a new one need not be looked for. */
  #lastTask: string;
  /** Bodies as they stand in the table, of those that were to be asked for; undefined: not there. */
  readonly #foreseen = new Map<Table, Map<string, string | undefined>>();

  constructor(sql: SqlStorage, generation: number) {
    this.generation = new Generation(sql, generation);
    this.#live = new LiveRecords(sql, this.generation);
    this.#arrivals = new Arrivals(sql, this.generation);
    this.#lastTask = this.generation.lastPlace("tasks");
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    const kept = this.#kept(table, key);
    if (kept !== undefined || !isStored(table)) return kept ?? undefined;
    if (table === "tasks" && this.#isNewest(key)) return undefined;
    const foreseen = this.#foreseen.get(table);
    const body = foreseen?.has(key) ? foreseen.get(key) : this.generation.record(table, key);
    return this.#read(table, key, body);
  }

  foresee(table: Table, keys: readonly string[]): void {
    if (keys.length < WORTH_FORESEEING || !isStored(table)) return;
    if (table === "tasks" && keys.every((key) => this.#isNewest(key))) return;
    const bodies = new Map<string, string | undefined>(keys.map((key) => [key, undefined]));
    for (const { key, body } of this.generation.recordsOf(table, keys)) bodies.set(key, body);
    this.#foreseen.set(table, bodies);
  }

  #isNewest(task_id: string): boolean {
    return isTaskBehind(task_id, this.#lastTask);
  }

  /** Null if memory says that there is none; undefined if only the table knows, where there is one. */
  #kept<T extends Table>(table: T, key: string): RecordTypes[T] | null | undefined {
    const live = this.#live.get(table, key);
    if (live !== undefined || !isStored(table)) return live;
    return this.#fresh.get(table)?.get(key) as RecordTypes[T] | null | undefined;
  }

  put<T extends Table>(table: T, key: string, record: RecordTypes[T]): void {
    if (hasRow(table, record)) {
      this.#live.delete(table, key);
      this.#setFresh(table, key, record);
      return;
    }
    if (table === "tasks" && !this.#live.has(table, key)) {
      if (this.get("tasks", key) === undefined) this.#arrived(record as TaskRecord);
      else this.#setFresh(table, key, null);
    }
    this.#live.set(table, key, record);
  }

  add<T extends Table>(table: T, key: string, record: RecordTypes[T]): void {
    if (table === "tasks") this.#arrived(record as TaskRecord);
    if (hasRow(table, record)) this.#setFresh(table, key, record);
    else this.#live.set(table, key, record);
  }

  #arrived({ sequence, task_id }: TaskRecord): void {
    this.#arrivals.add({ sequence, task_id });
  }

  delete(table: Table, key: string): void {
    const task = table === "tasks" ? this.get("tasks", key) : undefined;
    if (task !== undefined) this.#arrivals.removed(task.sequence);
    this.#live.delete(table, key);
    if (isStored(table)) this.#setFresh(table, key, null);
  }

  live<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]> {
    return this.#live.entries(table);
  }

  openTasks(): Iterable<OpenTask> {
    return this.#live.openTasks();
  }

  arrivals(after: number, limit: number): readonly ArrivalPlace[] {
    return this.#arrivals.oldest(after, limit);
  }

  *newestTasks(before = Number.POSITIVE_INFINITY): Iterable<Arrival> {
    for (const { task_id, sequence } of this.#arrivals.newest(before)) {
      const task = this.#live.openTask(task_id) ?? this.get("tasks", task_id);
      yield { sequence, task: task?.sequence === sequence ? task : undefined };
    }
  }

  /**
   * Writes what changed since the last call, inside a transaction of the caller's. `changed` names all of it; `storing`
   * is told of each record before it gets a row of its own, or loses it. Returns the rows written.
   */
  write(changed: readonly RecordKey[], storing: Storing = () => {}): number {
    let rows = this.#live.write(changed);
    for (const [table, records] of this.#fresh) {
      const bodies: (readonly [key: string, body: string])[] = [];
      for (const [key, record] of records) {
        const body = record === null ? null : JSON.stringify(record);
        storing(table, key, body);
        if (body === null) rows += this.generation.put(["records", table, key, null]);
        else bodies.push([key, body]);
        if (table === "tasks") this.#stood(key);
      }
      rows += this.generation.putRecords(table, bodies);
    }
    this.#fresh.clear();
    this.#foreseen.clear();
    rows += this.#arrivals.write((task_id) => this.get("tasks", task_id) !== undefined);
    return rows;
  }

  #stood(task_id: string): void {
    if (isTaskBehind(task_id, this.#lastTask)) this.#lastTask = placeOf("tasks", task_id);
  }

  #setFresh(table: StoredTable, key: string, record: unknown): void {
    const records = this.#fresh.get(table);
    if (records === undefined) this.#fresh.set(table, new Map([[key, record]]));
    else records.set(key, record);
  }

  #read<T extends Table>(table: T, key: string, body: string | undefined): RecordTypes[T] | undefined {
    if (body === undefined) return undefined;
    const record = JSON.parse(body) as RecordTypes[T];
    checkVersion(`record ${key} of ${table}`, record);
    return record;
  }
}
