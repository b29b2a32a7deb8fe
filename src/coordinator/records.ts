/**
 * What the replicated state machine remembers, one plain JSON value per record. A record is immutable: a change
 * replaces it. How records are reached is in `tables.ts`.
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

export type EndedStatus = "completed" | "failed" | "cancelled" | "expired";

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
  | "cancelled"
  | "expired";

/** One grant of a task to a worker. `lease_id` is unique per grant, is the fence, and is known to its holder alone. */
export interface AttemptRecord {
  readonly lease_id: string;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly granted_at: Instant;
  /** When the first heartbeat listed the lease. */
  readonly started_at?: Instant;
  readonly ended_at?: Instant;
  readonly outcome?: AttemptOutcome;
  /** How this grant had ended before its late but valid proof completed the task after all. */
  readonly earlier_outcome?: AttemptOutcome;
  readonly error?: string;
}

export interface TaskRecord {
  readonly v: 1;
  readonly task_id: string;
  /** The order of arrival: at least the log index of the submission, and more for the later ones of a batch. */
  readonly sequence: number;
  readonly circuit: string;
  readonly circuit_type: string;
  readonly status: TaskStatus;
  /** Canonical input. Given to the lease holder only. Absent: it is large, and has a record of its own. */
  readonly input?: unknown;
  /** Of `input` as canonical JSON; absent in logs from before it was counted. */
  readonly input_bytes?: number;
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
  /** What has no proof by then is not wanted any more. */
  readonly deadline?: Instant;
  /** When the current lease, or the one that ended the task, was granted. */
  readonly started_at?: Instant;
  /** When the task ended, completed or not. */
  readonly completed_at?: Instant;
  /** Attempts spent: by failure, invalid proof or exceeded run time; never by a lost worker. */
  readonly attempts_spent: number;
  /** Grants lost with their worker (`worker-lost`, `missing`): counted apart. */
  readonly losses: number;
  /** With how many losses it is given up; absent: with the usual number. */
  readonly losses_max?: number;
  /** Grants so far: the next lease is number `grants + 1`. */
  readonly grants: number;
  /** Grants, oldest first; of very many the oldest released ones are forgotten. The last is current if it has no `outcome`. */
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
  /** Last registration, by whichever process. */
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

/** A place in the log, and within its entry. */
export interface FeedPosition {
  readonly index: number;
  readonly nth: number;
}

/** What the machine reports of itself. Of an operation only what names it: its payload is in its record. */
export interface SystemEventEntry extends FeedPosition {
  readonly name: string;
  readonly body: Readonly<Record<string, string | number>>;
}

/**
 * What became of an operation: the first result under its id, for as long as it is kept. Of a FAILED attempt no
 * payload is kept, and the id is free to be used again.
 */
export interface OperationRecord {
  readonly v: 1;
  readonly operation_id: string;
  /** What a handler does with it. */
  readonly type: string;
  readonly state: "COMMITTED" | "FAILED";
  /** Compact JSON text, so that every number survives as written. */
  readonly payload?: string;
  /** Of `payload`, in UTF-8. */
  readonly payload_bytes: number;
  /** Hash of type and payload: tells a repeat from another operation under the same id. */
  readonly digest: string;
  readonly schema_version: number;
  readonly daemon_id?: string;
  /** As its sender gave it. */
  readonly timestamp?: number | string;
  readonly log_index: number;
  readonly term: number;
  readonly time: Instant;
  /** From then on the id is new. */
  readonly expires_at: Instant;
  /** Why it failed. */
  readonly error?: string;
}

/** An operation in order of its entry; `log_index` tells whether its record is still the one meant here. */
export interface OperationEntry {
  readonly operation_id: string;
  readonly log_index: number;
}

/** The canonical input of a task, where it is so large that it should not stay in memory until the task ends. */
export interface InputRecord {
  readonly v: 1;
  readonly input: unknown;
}

/** The completed task with this content (circuit and canonical input). Of open ones the index of tasks knows. */
export interface ContentRecord {
  readonly v: 1;
  readonly task_id: string;
}

/** A replica that takes part, or did: its id is never used again. */
export interface MemberRecord {
  readonly v: 1;
  readonly replica_id: string;
  readonly node_id: string;
  readonly role: "voter" | "learner" | "removed";
  /** The configuration that gave it this role; 0 for the founding. */
  readonly log_index: number;
}

export interface LocationRecord {
  readonly v: 1;
  readonly node_id: string;
  readonly location_hint: string;
}

/** The first answer given under an idempotency key. */
export interface AnswerRecord {
  readonly v: 1;
  readonly time: Instant;
  /** Hash of what was asked. */
  readonly digest: string;
  readonly index: number;
  /** As {@link CommandAnswer.outcome}. */
  readonly outcome: unknown;
}

/** The first answer given under a command id. */
export interface CommandAnswer {
  readonly id: string;
  /** Leases stand in it by id alone: their inputs are in the tasks. */
  readonly outcome: unknown;
  /** The answer repeated that of an idempotency key. */
  readonly replayed?: true;
}

/** An idempotency key in order of arrival; `index` tells whether its record is still the one meant here. */
export interface KeyEntry {
  readonly key: string;
  readonly index: number;
}

/** A task that ended then and so; it may have been retried by hand since. */
export interface EndedEntry {
  readonly task_id: string;
  readonly at: Instant;
  readonly status: EndedStatus;
}

/** Some consecutive entries of a ring in one record, so that remembering a command does not cost a row. */
export interface BucketRecord<Entry> {
  readonly v: 1;
  /** Of the newest entry, or until when the entries are kept: what the ring forgets by. */
  readonly time: Instant;
  readonly entries: readonly Entry[];
}

/** What is kept of a ring: from bucket `oldest` to the entry before ordinal `next`. */
export interface RingPosition {
  readonly oldest: number;
  readonly next: number;
  /** Ordinals between them without an entry; absent: none. */
  readonly unused?: number;
}

/** What provers have given to a circuit so far, of whatever each lease of it was expected to take. */
export interface CircuitShare {
  readonly served_ms: number;
  /** What a run lately took on average; absent until one has ended. */
  readonly run_ms?: number;
}

/** An export of another group that is, or was, taken in here. */
export interface ImportRecord {
  readonly export_id: string;
  /** Taken in so far. */
  readonly lines: number;
  /** Of the last one. */
  readonly time: Instant;
  /** `given-up`: others have written since, so it cannot go on. */
  readonly state: "begun" | "done" | "given-up";
}

/** Counters and the time of the last entry. */
export interface MetaRecord {
  readonly v: 1;
  readonly applied_time: Instant;
  readonly event_count: number;
  /** Leases granted, by worker. */
  readonly tasks_assigned: Readonly<Record<string, number>>;
  /** Leases granted to workers that are gone. */
  readonly tasks_assigned_before: number;
  /** Commands that were committed and refused when they were applied. */
  readonly commands_refused: number;
  /** Leases that ended without a proof through a failure, an invalid proof, a timeout or a loss. */
  readonly assignments_failed: number;
  /** Live tasks are counted from their records. */
  readonly tasks_ended: Readonly<Record<EndedStatus, number>>;
  /** The highest version of a command applied so far; absent: 1. */
  readonly rules?: number;
  /** The highest `sequence` of a task; absent: no more than the index of the last entry. */
  readonly last_sequence?: number;
  /** By circuit; absent before version 3. */
  readonly shares?: Readonly<Record<string, CircuitShare>>;
  /** Counts entries, not buckets. */
  readonly ended?: RingPosition;
  readonly command_answers: RingPosition;
  readonly key_order: RingPosition;
  readonly operation_order: RingPosition;
  readonly system_events: RingPosition;
  /** Of the newest report that was forgotten. */
  readonly system_forgotten?: FeedPosition;
  /** The newest Critical event that was forgotten; 0 before the first. */
  readonly events_forgotten: { readonly seq: number; readonly log_index: number };
  /** Of the payloads kept. */
  readonly operation_bytes: number;
  readonly imported?: ImportRecord;
}
