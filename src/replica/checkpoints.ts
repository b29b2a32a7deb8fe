/**
 * Checkpoints: from time to time the records that have changed go to their tables, with their place in the log, in one
 * transaction. Frequent and therefore short. Then the log up to there may go, less a tail for followers that napped.
 */
import type { Configuration } from "../api/configuration.ts";
import type { Command } from "../coordinator/commands.ts";
import type { Raft } from "../raft/index.ts";
import type { Application } from "./application.ts";
import type { Observation } from "./observations.ts";
import { Sending } from "./sending.ts";
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
  readonly now: () => number;
  readonly observe: (observation: Observation) => void;
  /** How the transfer of a snapshot to this peer has ended. */
  readonly sent: (peer: string, result: "delivered" | "failed") => void;
}

export class Checkpoints {
  /** Written since this instance started. */
  count = 0;
  /** Whoever pulls this replica's tables wants them to stand still at the end. */
  readonly sending: Sending;
  readonly #options: CheckpointsOptions;
  /** Entries cut away and not reported yet. */
  #removed = 0;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.sending = new Sending(options.store, options.sent);
  }

  /** Of the newest checkpoint; 0 before the first. */
  get index(): number {
    return this.#options.store.checkpoint?.last.index ?? 0;
  }

  /** Whether anything was written. */
  attend(): boolean {
    const { application, configuration, now } = this.#options;
    const entries = application.index - this.index;
    const due = application.coordinator.changes >= CHANGES_MAX || entries >= configuration.checkpoint_entries;
    if (due && entries <= configuration.max_log_entries && this.sending.pinned(now())) return false;
    return (due && this.take()) || this.#cut();
  }

  /** Writes one now, unless nothing has happened since the last. */
  take(): boolean {
    const { store, raft, application } = this.#options;
    const { index } = application;
    if (index === this.index) return false;
    const snapshot = raft.describeSnapshot(index, store.handle(index));
    const { sending } = this;
    const changed = application.coordinator.takeChanges();
    sending.moved();
    store.writeCheckpoint(
      snapshot,
      changed,
      sending.active ? (table, key) => sending.changed(table, key) : undefined,
    );
    raft.snapshotTaken(snapshot);
    this.count++;
    return true;
  }

  #cut(): boolean {
    const { store, configuration, observe } = this.#options;
    const through = this.index - configuration.log_tail_entries;
    // Deleting is a row for a row: not before it is worth a write of its own.
    if (store.log.rowsThrough(through) < CUT_ROWS_MAX) return false;
    this.#removed += store.cutLog(through, CUT_ROWS_MAX);
    if (store.log.rowsThrough(through) < CUT_ROWS_MAX) {
      observe({ type: "log.compacted", entries_removed: this.#removed });
      this.#removed = 0;
    }
    return true;
  }
}
