/**
 * What can be asked of the state machine, and the shapes of its answers.
 */
import type { AttemptRecord, TaskRecord, TaskStatus, WorkerRecord } from "./records.ts";

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

export type Query =
  /** Result: {@link TaskRecord} or null. */
  | { readonly type: "task"; readonly task_id: string }
  /** Newest first. Result: {@link Page} of {@link TaskRecord}. */
  | {
      readonly type: "tasks";
      readonly status?: string;
      readonly circuit?: string;
      readonly worker_id?: string;
      readonly limit: number;
      readonly cursor?: string;
    }
  /** Result: {@link LeaseView} or null. */
  | { readonly type: "lease"; readonly lease_id: string }
  /** Result: {@link WorkerView}[]. */
  | { readonly type: "workers" }
  /** Result: {@link WorkerView} or null. */
  | { readonly type: "worker"; readonly worker_id: string };

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor?: string;
}

export interface LeaseView {
  readonly task: TaskRecord;
  readonly attempt: AttemptRecord;
  /** True while the lease is the task's current one. */
  readonly current: boolean;
}

/** `leases`: names of the current ones, without what only their holder knows. */
export type WorkerView = WorkerRecord & { readonly leases: readonly string[] };

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
  /** Leases granted, by worker. */
  readonly tasks_assigned: Readonly<Record<string, number>>;
  readonly assignments_failed: number;
}
