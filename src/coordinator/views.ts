/**
 * What can be asked of the state machine, and the shapes of its answers.
 */
import type { ClientKey, TaskAction } from "./commands.ts";
import type { BatchOutcome, Refused } from "./outcomes.ts";
import type {
  AttemptOutcome,
  AttemptRecord,
  Instant,
  OperationRecord,
  TaskRecord,
  TaskStatus,
  WorkerRecord,
} from "./records.ts";

export interface HeartbeatResult {
  readonly leases: readonly {
    readonly lease_id: string;
    readonly directive: "continue" | "cancel" | "lost";
    /** RFC 3339; absent for `cancel` and `lost`. */
    readonly expires_at?: string;
  }[];
  /** Leases granted to this worker that it did not list. */
  readonly missing: readonly string[];
}

/** Tasks to which all of it applies. */
export interface TaskFilter {
  /** One of these. */
  readonly statuses?: readonly string[];
  readonly circuit?: string;
  /** Holds the task or ever held it. */
  readonly worker_id?: string;
  readonly tag?: string;
  readonly created_before?: Instant;
}

export type Query =
  | { readonly type: "task"; readonly task_id: string }
  /** Newest first. */
  | (TaskFilter & { readonly type: "tasks"; readonly limit: number; readonly cursor?: string })
  /** Ids of the tasks to which the action can be done; one that changes meanwhile may come twice. */
  | (TaskFilter & {
      readonly type: "changeable";
      readonly action: TaskAction;
      readonly limit: number;
      readonly cursor?: string;
    })
  | { readonly type: "lease"; readonly lease_id: string }
  /** Whether a batch was submitted under this key, before it is computed anew. */
  | { readonly type: "batch"; readonly client_key: ClientKey }
  /** In order of their names. */
  | { readonly type: "workers"; readonly limit: number; readonly cursor?: string }
  | { readonly type: "worker"; readonly worker_id: string }
  | { readonly type: "operation"; readonly operation_id: string }
  /** In the order of their entries, those behind log index `after`. */
  | {
      readonly type: "operations";
      readonly state?: OperationState;
      readonly after: number;
      readonly limit: number;
    };

/** Answers by the type of the query; null for what is unknown. All that leaves the state machine by being asked for. */
export interface QueryAnswers {
  readonly task: TaskView | null;
  readonly tasks: Page<TaskSummary>;
  readonly changeable: Page<string>;
  readonly batch: BatchOutcome | Refused | null;
  readonly lease: LeaseStanding | null;
  readonly workers: Page<WorkerView>;
  readonly worker: WorkerView | null;
  readonly operation: OperationView | null;
  readonly operations: OperationsPage;
}

/** `Record` without `Secrets`: a value that has them is not of this type, so the compiler stops whoever shows it whole. */
type Without<Record, Secrets extends keyof Record> = Omit<Record, Secrets> & {
  readonly [Secret in Secrets]?: never;
};

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor?: string;
}

/** In lists: nothing whose size is the client's or the prover's choice but `tags` and a short `error`. */
export type TaskSummary = Without<
  TaskRecord,
  "input" | "blinding" | "content_hash" | "proof" | "proof_digest" | "attempts"
>;

/** A task as anybody may see it. */
export type TaskView = Without<
  TaskRecord,
  "input" | "blinding" | "content_hash" | "proof_digest" | "attempts"
> & {
  readonly history: readonly AttemptView[];
  /** Share of the current attempt that is done. Known to the leader alone, which adds it when it answers. */
  readonly progress?: number;
};

export type AttemptView = Without<AttemptRecord, "lease_id" | "boot_id"> & {
  /** Counts grants from 1. */
  readonly attempt: number;
};

/** What has to be known of a lease to judge a proof that comes in under it. */
export interface LeaseStanding {
  readonly task_id: string;
  readonly circuit: string;
  readonly public_inputs: readonly string[];
  readonly status: TaskStatus;
  /** Of the proof that was accepted, through this lease or another. */
  readonly proof_digest?: string;
  readonly worker_id: string;
  readonly outcome?: AttemptOutcome;
}

/** For use within the state machine alone: it holds the whole record. */
export interface LeaseView {
  readonly task: TaskRecord;
  readonly attempt: AttemptRecord;
  /** True while the lease is the task's current one. */
  readonly current: boolean;
}

/** `leases`: names of the current ones, without what only their holder knows. */
export type WorkerView = Without<WorkerRecord, "boot_id"> & { readonly leases: readonly string[] };

/** `PENDING`: appended. `REPLICATED`: held by a majority. Both are known to replicas alone, not to the state machine. */
export type OperationState = "PENDING" | "REPLICATED" | OperationRecord["state"];

/** `payload` as JSON text; `log_index`, `term` and times are those of the attempt that is shown. */
export type OperationView = Pick<
  OperationRecord,
  | "operation_id"
  | "type"
  | "payload"
  | "schema_version"
  | "daemon_id"
  | "timestamp"
  | "log_index"
  | "term"
  | "error"
> & {
  readonly state: OperationState;
  /** When it was committed or failed. */
  readonly time?: number;
  readonly expires_at?: number;
};
export type OperationsPage = Page<OperationView>;

export interface Backlog {
  readonly tasks: number;
  readonly bytes: number;
}

export interface Counts {
  /** Tasks by status; those that have ended are counted for ever. */
  readonly tasks: Readonly<Record<TaskStatus, number>>;
  readonly workers: {
    readonly total: number;
    readonly active: number;
    readonly suspect: number;
    readonly dead: number;
  };
  /**
   * `total`: slots of all workers that are not dead; a draining one counts only with the leases that it still holds.
   * `used`: leases held. `available` = `total` − `used`.
   */
  readonly capacity: { readonly total: number; readonly used: number; readonly available: number };
  /** Tasks that have not ended, and the bytes of their inputs. */
  readonly backlog: Backlog;
  /** Leases granted, by worker. */
  readonly tasks_assigned: Readonly<Record<string, number>>;
  /** Leases granted to workers that are gone, so that the sum never falls. */
  readonly tasks_assigned_before: number;
  readonly commands_refused: number;
  readonly assignments_failed: number;
}
