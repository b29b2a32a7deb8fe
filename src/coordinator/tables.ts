/**
 * The tables of records, and the injected synchronous reader through which the state machine reaches them: it neither
 * knows nor cares which of them are in memory and which are only in their tables.
 */
import type {
  AnswerRecord,
  BucketRecord,
  CommandAnswer,
  ContentRecord,
  EndedEntry,
  EventRecord,
  InputRecord,
  KeyEntry,
  LocationRecord,
  MemberRecord,
  MetaRecord,
  OperationEntry,
  OperationRecord,
  SystemEventEntry,
  TaskRecord,
  WorkerRecord,
} from "./records.ts";

export interface RecordTypes {
  tasks: TaskRecord;
  /** By task id: those that are not in their task's record. */
  inputs: InputRecord;
  workers: WorkerRecord;
  events: EventRecord;
  content: ContentRecord;
  /** Idempotency keys: `scope + "\n" + key`, kept 24 h. */
  keys: AnswerRecord;
  /** Buckets of {@link KeyEntry} in order of arrival, by number. */
  key_order: BucketRecord<KeyEntry>;
  /** Buckets of tasks in the order in which they ended, by number. */
  ended: BucketRecord<EndedEntry>;
  operations: OperationRecord;
  /** Buckets of {@link OperationEntry} in order of their entries, by number. */
  operation_order: BucketRecord<OperationEntry>;
  /** Buckets of {@link SystemEventEntry}, by number. */
  system_events: BucketRecord<SystemEventEntry>;
  /** Buckets of command ids with their answers, kept 60 s, by number. */
  commands: BucketRecord<CommandAnswer>;
  /** By replica id. */
  members: MemberRecord;
  /** By node id. */
  locations: LocationRecord;
  /** One record, `meta`. Brought up to date by `takeChanges`, not by every command. */
  meta: MetaRecord;
}
export type Table = keyof RecordTypes;

export interface RecordKey {
  readonly table: Table;
  readonly key: string;
}

export interface ArrivalPlace {
  readonly sequence: number;
  readonly task_id: string;
}

/** A task in the order of arrival; without it where it has been forgotten. Of an open one there may be no more than is looked at. */
export interface Arrival {
  readonly sequence: number;
  readonly task: TaskRecord | OpenTask | undefined;
}

/** What the state machine looks at in an open task that was never handed out, and may be less than all of it. */
export type OpenTask = Pick<
  TaskRecord,
  | "task_id"
  | "sequence"
  | "circuit"
  | "status"
  | "content_hash"
  | "input_bytes"
  | "priority"
  | "created_at"
  | "not_before"
  | "deadline"
  | "max_runtime_ms"
  | "completed_at"
  | "tags"
  | "attempts"
>;

/** Synchronous access to every record, wherever it lives. */
export interface Records {
  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined;
  /** These will be asked for soon, whether they are there or not: one look into the table is cheaper than many. */
  foresee(table: Table, keys: readonly string[]): void;
  put<T extends Table>(table: T, key: string, record: RecordTypes[T]): void;
  /** The same where there is no record under this key, and none was looked for: looking may cost more than putting. */
  add<T extends Table>(table: T, key: string, record: RecordTypes[T]): void;
  delete(table: Table, key: string): void;
  /**
   * All records that the state machine begins with, in any order: of `tasks` (at least those that have not ended),
   * `workers`, `members` and `commands`.
   */
  live<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]>;
  /** Tasks that have not ended, as `live`, without the parts that only their provers need: that may be much cheaper. */
  openTasks(): Iterable<OpenTask>;
  /**
   * Arrivals with a smaller `sequence` than `before` (default: all), newest first, read as the caller goes on. Tasks that
   * are gone may be among them, so that whoever goes on can count what has been looked at.
   */
  newestTasks(before?: number): Iterable<Arrival>;
  /** Up to `limit` arrivals with a larger `sequence` than `after`, oldest first; tasks that are gone may be among them. */
  arrivals(after: number, limit: number): readonly ArrivalPlace[];
}
