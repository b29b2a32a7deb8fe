/**
 * What becomes of a command: the answer of the state machine to whoever proposed it. Refusals are in the words of the HTTP
 * contract.
 */
import type { AttemptRecord, Instant, OperationRecord, TaskRecord } from "./records.ts";

/** What a worker receives with a lease. */
export interface LeaseGrant {
  readonly lease_id: string;
  readonly task_id: string;
  /** Counts grants of the task from 1. */
  readonly attempt: number;
  readonly circuit: string;
  readonly input: unknown;
  readonly blinding: string;
  readonly public_inputs: readonly string[];
  readonly granted_at: Instant;
  /** Known to the leader alone, which adds it when it answers. */
  readonly expires_at?: Instant;
  readonly max_runtime_ms?: number;
}

/** Why a command was refused by the state machine. The codes are those of the HTTP contract. */
export type RefusalCode =
  | "task-not-found"
  | "task-conflict"
  | "worker-unknown"
  | "boot-superseded"
  | "lease-unknown"
  | "lease-superseded"
  | "proof-mismatch"
  | "idempotency-key-reused"
  | "operation-id-reused"
  | "group-not-empty"
  | "import-gap"
  | "import-invalid"
  | "import-in-progress";

export interface Refused {
  readonly type: "refused";
  readonly code: RefusalCode;
  readonly detail: string;
}

export interface BatchOutcome {
  readonly type: "batch-submitted";
  readonly items: readonly {
    readonly index: number;
    readonly task_id: string;
    readonly cached: boolean;
    readonly status: TaskRecord["status"];
  }[];
}

export type Outcome =
  | {
      readonly type: "submitted";
      readonly task_id: string;
      readonly cached: boolean;
      readonly status: TaskRecord["status"];
    }
  | BatchOutcome
  | { readonly type: "tasks-changed"; readonly changed: number; readonly skipped: number }
  /** Cancelled or retried by hand; `status` is what it is now. */
  | { readonly type: "task-changed"; readonly task_id: string; readonly status: TaskRecord["status"] }
  | { readonly type: "registered"; readonly created: boolean; readonly leases: readonly LeaseGrant[] }
  /** Empty when there is no work, no free slot, or the worker drains. */
  | { readonly type: "granted"; readonly leases: readonly LeaseGrant[] }
  | {
      readonly type: "completed";
      readonly task_id: string;
      readonly duplicate: boolean;
      readonly accepted_late: boolean;
      readonly leases: readonly LeaseGrant[];
    }
  /** An attempt ended without a result; `status` is the task's afterwards. */
  | {
      readonly type: "attempt-ended";
      readonly task_id: string;
      readonly status: TaskRecord["status"];
      readonly attempt: AttemptRecord;
    }
  | { readonly type: "event-appended"; readonly seq: number; readonly log_index: number }
  /** What became of an operation under its id: now, or when it was first put. */
  | {
      readonly type: "operation-applied";
      readonly operation_id: string;
      readonly state: OperationRecord["state"];
      readonly log_index: number;
      readonly term: number;
      /** Why it failed. */
      readonly error?: string;
    }
  /** So many lines of the export are here; `done`: all. */
  | { readonly type: "imported"; readonly lines: number; readonly done: boolean }
  | { readonly type: "done" }
  | Refused;

export function refused(code: RefusalCode, detail: string): Refused {
  return { type: "refused", code, detail };
}

export function workerUnknown(worker_id: string): Refused {
  return refused("worker-unknown", `worker ${worker_id} is not registered: register it (again)`);
}

export function bootSuperseded(worker_id: string): Refused {
  return refused(
    "boot-superseded",
    `worker ${worker_id} was registered again by a newer process with another boot_id`,
  );
}
