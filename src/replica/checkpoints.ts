/**
 * Checkpoints: from time to time the records that have changed go to their tables, with their place in the log, in one
 * transaction. Frequent and therefore short. Then the log up to there may go, less a tail for followers that napped.
 */
import type { Configuration } from "../api/configuration.ts";
import type { Command } from "../coordinator/commands.ts";
import type { Raft } from "../raft/index.ts";
import type { Application } from "./application.ts";
import type { Store } from "./store.ts";

/** Changed records at which a checkpoint is due, whatever the number of entries. */
const CHANGES_MAX = 500;
/** Rows of the log deleted in one event. */
const CUT_ROWS_MAX = 32;

export interface CheckpointsOptions {
  readonly store: Store;
  readonly raft: Raft<Command>;
  readonly application: Application;
  readonly configuration: Configuration;
  readonly log: (text: string) => void;
}

export class Checkpoints {
  /** Written since this instance started. */
  count = 0;
  readonly #options: CheckpointsOptions;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** Of the newest checkpoint; 0 before the first. */
  get index(): number {
    return this.#options.store.checkpoint?.last.index ?? 0;
  }

  /** Whether anything was written. */
  attend(): boolean {
    const { application, configuration } = this.#options;
    const entries = application.index - this.index;
    const due = application.coordinator.changes >= CHANGES_MAX || entries >= configuration.checkpoint_entries;
    return (due && this.take()) || this.#cut();
  }

  /** Writes one now, unless nothing has happened since the last. */
  take(): boolean {
    const { store, raft, application } = this.#options;
    const { index } = application;
    if (index === this.index) return false;
    const snapshot = raft.describeSnapshot(index, store.handle(index));
    store.writeCheckpoint(snapshot, application.coordinator.takeChanges());
    raft.snapshotTaken(snapshot);
    this.count++;
    return true;
  }

  #cut(): boolean {
    const { store, configuration } = this.#options;
    const through = this.index - configuration.log_tail_entries;
    // Deleting is a row for a row: not before it is worth a write of its own.
    if (store.log.rowsThrough(through) < CUT_ROWS_MAX) return false;
    store.cutLog(through, CUT_ROWS_MAX);
    return true;
  }
}
