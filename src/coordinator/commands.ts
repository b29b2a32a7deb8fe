/**
 * The commands of the replicated state machine. Everything that chance, a clock or a secret decides is decided before a
 * command is proposed and stands in it: applying is a function of state, command and entry alone. Commands carry a
 * version, so that an old log replays under new code to the same state. What becomes of them is in `outcomes.ts`.
 */
import type { ExportLine } from "./export.ts";
import type { Instant, OperationRecord, TaskRecord, WorkerRecord } from "./records.ts";

interface CommandBase {
  /** Which meaning its type has: `versions.ts` knows them. */
  readonly v: 1 | 2 | 3;
  /** Repeating a command under the same id within 60 s of entry time changes nothing and gives the first answer. */
  readonly id: string;
}

/** 16 random hex digits: the part of the ids of the leases granted that only their holder learns. */
export type Nonce = string;

/** A client's idempotency key: the same key and digest give the first answer, another digest is refused. */
export interface ClientKey {
  /** Token and route. */
  readonly scope: string;
  readonly key: string;
  /** Hash of the request body. */
  readonly digest: string;
}

export interface SubmitTask extends CommandBase {
  readonly type: "submit-task";
  readonly task: Pick<
    TaskRecord,
    | "task_id"
    | "circuit"
    | "circuit_type"
    | "input"
    | "input_bytes"
    | "blinding"
    | "content_hash"
    | "public_inputs"
    | "merkle_root"
    | "priority"
    | "max_attempts"
    | "max_runtime_ms"
    | "tags"
    | "deadline"
  > & {
    /** Not handed out for so long after it was accepted. */
    readonly delay_ms?: number;
  };
  readonly client_key?: ClientKey;
}
/** Several submissions in one entry, each as if it came alone. */
export interface SubmitBatch extends CommandBase {
  readonly type: "submit-batch";
  /** `index`: its place in the client's list, repeated in the outcome. */
  readonly items: readonly { readonly index: number; readonly task: SubmitTask["task"] }[];
  readonly client_key?: ClientKey;
}
/** Ends a task that is still open, whoever works on it. */
export interface CancelTask extends CommandBase {
  readonly type: "cancel-task";
  readonly task_id: string;
}
/** By hand: a task that ended without a proof waits again, and one that waits need not wait for its time any more. */
export interface RetryTask extends CommandBase {
  readonly type: "retry-task";
  readonly task_id: string;
}
/** The same to several tasks; one to which it cannot be done any more is passed over. */
export interface ChangeTasks extends CommandBase {
  readonly type: "change-tasks";
  readonly action: TaskAction;
  readonly task_ids: readonly string[];
}
export type TaskAction = "cancel" | "retry";
/** Proposed by the leader: so many of the tasks that had ended before are forgotten, and their contents with them. */
export interface ForgetTasks extends CommandBase {
  readonly type: "forget-tasks";
  readonly ended_before: Instant;
  readonly limit: number;
}
/** Proposed by the leader: of the tasks whose delay or whose time is over, so many become pending or expire. */
export interface AdvanceTasks extends CommandBase {
  readonly type: "advance-tasks";
  readonly limit: number;
}
export interface RegisterWorker extends CommandBase {
  readonly type: "register-worker";
  readonly worker: Pick<
    WorkerRecord,
    "worker_id" | "boot_id" | "max_concurrent_tasks" | "circuits" | "labels"
  >;
}
export interface GrantLeases extends CommandBase {
  readonly type: "grant-leases";
  readonly worker_id: string;
  readonly boot_id: string;
  readonly max: number;
  readonly nonce: Nonce;
}
/** Leases listed by a heartbeat for the first time. */
export interface StartLeases extends CommandBase {
  readonly type: "start-leases";
  readonly lease_ids: readonly string[];
}
/** The proof was verified against the task's own statement before this was proposed. */
export interface CompleteLease extends CommandBase {
  readonly type: "complete-lease";
  readonly lease_id: string;
  readonly worker_id: string;
  readonly proof: unknown;
  readonly proof_digest: string;
  /**
   * Also grant up to `max` tasks to the same worker, if it is this process of it that asks: whoever completes shows no
   * more than what everybody may know, and what is granted carries inputs.
   */
  readonly next?: { readonly max: number; readonly boot_id: string; readonly nonce: Nonce };
}
/** The proof was found invalid: spends the attempt if the lease is current. */
export interface RejectProof extends CommandBase {
  readonly type: "reject-proof";
  readonly lease_id: string;
  readonly worker_id: string;
  readonly reason: string;
}
export interface FailLease extends CommandBase {
  readonly type: "fail-lease";
  readonly lease_id: string;
  readonly worker_id: string;
  readonly error_code: string;
  readonly message: string;
  readonly retryable: boolean;
}
export interface ReleaseLease extends CommandBase {
  readonly type: "release-lease";
  readonly lease_id: string;
  readonly worker_id: string;
}
/** Proposed by the leader. `missing`: not listed by its worker for a period; `timed-out`: `max_runtime_ms` exceeded. */
export interface ExpireLease extends CommandBase {
  readonly type: "expire-lease";
  readonly lease_id: string;
  readonly reason: "missing" | "timed-out";
}
/** Proposed by the leader; `boot_id` tells whether it still speaks of the same process. `dead` returns all leases. */
export interface SetWorkerState extends CommandBase {
  readonly type: "set-worker-state";
  readonly worker_id: string;
  readonly boot_id: string;
  readonly state: WorkerRecord["state"];
}
export interface DrainWorker extends CommandBase {
  readonly type: "drain-worker";
  readonly worker_id: string;
}
export interface RemoveWorker extends CommandBase {
  readonly type: "remove-worker";
  readonly worker_id: string;
}
export interface AppendEvent extends CommandBase {
  readonly type: "append-event";
  readonly kind: string;
  /** Compact JSON text of the event as submitted. */
  readonly body: string;
  /** Only so many events are kept from now on, the newest; absent: all. */
  readonly retain?: number;
  readonly client_key?: ClientKey;
}
/** One line of an export of another group. Of a line that was taken in before nothing is taken in again. */
export interface ImportLine extends CommandBase {
  readonly type: "import-line";
  readonly export_id: string;
  /** Counted from 1. */
  readonly line: number;
  readonly item: ExportLine;
}
/** Where the platform was asked to run a replica. */
export interface DescribeMember extends CommandBase {
  readonly type: "describe-member";
  readonly node_id: string;
  readonly location_hint: string;
}

/** The id makes it idempotent: the first result is given again to whoever repeats type and payload under it. */
export interface PutOperation extends CommandBase {
  readonly type: "put-operation";
  readonly operation: Pick<
    OperationRecord,
    "operation_id" | "type" | "payload_bytes" | "digest" | "schema_version" | "daemon_id" | "timestamp"
  > & { readonly payload: string };
  /** How long its result is kept. */
  readonly ttl_ms: number;
  /** It fails if its entry is later than this: its sender no longer wants it then. */
  readonly not_after?: Instant;
}

export type Command =
  | SubmitTask
  | SubmitBatch
  | ChangeTasks
  | ForgetTasks
  | CancelTask
  | RetryTask
  | AdvanceTasks
  | RegisterWorker
  | GrantLeases
  | StartLeases
  | CompleteLease
  | RejectProof
  | FailLease
  | ReleaseLease
  | ExpireLease
  | SetWorkerState
  | DrainWorker
  | RemoveWorker
  | AppendEvent
  | PutOperation
  | DescribeMember
  | ImportLine;

type Body<C> = C extends Command ? Omit<C, "v" | "id"> : never;
/** What is to be done, before whoever proposes it gives it an id. */
export type CommandBody = Body<Command>;

/** Where in the log a command stands. */
export interface EntryPlace {
  readonly index: number;
  readonly term: number;
  readonly time: Instant;
}
