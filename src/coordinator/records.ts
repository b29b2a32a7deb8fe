/**
 * What the replicated state machine remembers, one plain JSON value per record. A record is immutable: a change
 * replaces it. Records are read through an injected synchronous reader, so that the state machine neither knows nor
 * cares which of them are in memory and which are only in their tables.
 */

/** Milliseconds since 1970, UTC, taken from a log entry: never from a clock. */
export type Instant = number;

export type TaskStatus =
  | "scheduled"
  | "pending"
  | "assigned"
  | "in_progress"
  | "completed"
  | "failed"
  | "cancelled"
  | "expired";

/** How a grant of a task to a worker ended; absent while it is current. */
export type AttemptOutcome =
  | "completed"
  | "failed"
  | "proof-invalid"
  | "timed-out"
  | "worker-lost"
  | "missing"
  | "released"
  | "superseded"
  | "cancelled";

/** One grant of a task to a worker. `lease_id` is unique per grant and is the fence. */
export interface AttemptRecord {
  readonly lease_id: string;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly granted_at: Instant;
  /** When the first heartbeat listed the lease. */
  readonly started_at?: Instant;
  readonly ended_at?: Instant;
  readonly outcome?: AttemptOutcome;
  readonly error?: string;
}

export interface TaskRecord {
  readonly v: 1;
  readonly task_id: string;
  /** Log index of the submission: the order of arrival. */
  readonly sequence: number;
  readonly circuit: string;
  readonly circuit_type: string;
  readonly status: TaskStatus;
  /** Canonical input. Given to the lease holder only. */
  readonly input: unknown;
  /** Given to the lease holder only. */
  readonly blinding: string;
  readonly content_hash: string;
  /** What a proof of this task must state, as computed at submission. */
  readonly public_inputs: readonly string[];
  readonly merkle_root?: string;
  readonly priority: number;
  readonly max_attempts: number;
  readonly max_runtime_ms?: number;
  readonly tags?: readonly string[];
  readonly created_at: Instant;
  /** Not handed out before this instant: a delay or a retry's backoff. */
  readonly not_before?: Instant;
  readonly started_at?: Instant;
  readonly completed_at?: Instant;
  /** Attempts spent: by failure, invalid proof or exceeded run time; never by a lost worker. */
  readonly attempts_spent: number;
  /** Grants lost with their worker: counted apart. */
  readonly losses: number;
  /** Every grant, oldest first. The last one is current if it has no `outcome`. */
  readonly attempts: readonly AttemptRecord[];
  readonly proof?: unknown;
  /** Hash of the accepted proof as submitted: tells a repeated `complete` from a different one. */
  readonly proof_digest?: string;
  readonly worker_id?: string;
  readonly error?: string;
}

export type WorkerState = "active" | "suspect" | "dead";

export interface WorkerRecord {
  readonly v: 1;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly state: WorkerState;
  readonly draining: boolean;
  readonly max_concurrent_tasks: number;
  /** Circuits whose verifying key this worker shares with us. Others give it no work. */
  readonly circuits: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly registered_at: Instant;
}

/** A Critical event as submitted; `body` is its compact JSON text, so that every number survives as written. */
export interface EventRecord {
  readonly v: 1;
  /** Counts Critical events from 1. */
  readonly seq: number;
  readonly log_index: number;
  readonly time: Instant;
  readonly kind: string;
  readonly body: string;
}

/** The task that holds this content (circuit and canonical input) as long as it is not failed, cancelled or expired. */
export interface ContentRecord {
  readonly v: 1;
  readonly task_id: string;
}

/** The first answer given under a command id or an idempotency key. */
export interface AnswerRecord {
  readonly v: 1;
  readonly time: Instant;
  /** Hash of what was asked; absent for command ids, which are never reused for something else. */
  readonly digest?: string;
  readonly index: number;
  readonly outcome: unknown;
}

/** Counters and the time of the last entry. */
export interface MetaRecord {
  readonly v: 1;
  readonly applied_time: Instant;
  readonly event_count: number;
  readonly tasks_assigned: Readonly<Record<string, number>>;
  readonly assignments_failed: number;
  readonly tasks_completed: number;
  readonly tasks_failed: number;
}

export interface RecordTypes {
  tasks: TaskRecord;
  workers: WorkerRecord;
  events: EventRecord;
  content: ContentRecord;
  /** Idempotency keys: `scope + "\n" + key`, kept 24 h. */
  keys: AnswerRecord;
  /** Command ids, kept 60 s. */
  commands: AnswerRecord;
  meta: MetaRecord;
}
export type Table = keyof RecordTypes;

export interface RecordKey {
  readonly table: Table;
  readonly key: string;
}

/** Synchronous access to every record, wherever it lives. */
export interface Records {
  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined;
  put<T extends Table>(table: T, key: string, record: RecordTypes[T]): void;
  delete(table: Table, key: string): void;
  /** All records that must be in memory for the state machine to work: at start-up only. */
  live<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]>;
}
