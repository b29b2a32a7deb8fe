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
/** The tables stand still for a transfer until so many records would change: to write more would hold up an event. */
const POSTPONED_CHANGES_MAX = 20_000;
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
    const { changes } = application.coordinator;
    const due = changes >= CHANGES_MAX || entries >= configuration.checkpoint_entries;
    const bearable = entries <= configuration.max_log_entries && changes < POSTPONED_CHANGES_MAX;
    if (due && bearable && this.sending.pinned(now())) return false;
    return (due && this.take()) || this.#cut();
  }

  /** Of the entries in the log, so many are not in the tables: they cannot be cut away. */
  get uncovered(): number {
    return this.#options.store.log.lastIndex - this.index;
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
      sending.active ? (table, key, body) => sending.changing(table, key, body) : undefined,
    );
    raft.snapshotTaken(snapshot);
    this.count++;
    return true;
  }

  #cut(): boolean {
    const { store, observe } = this.#options;
    if (!this.#worthCutting) return false;
    this.#removed += store.cutLog(this.#cuttable, CUT_ROWS_MAX);
    if (!this.#worthCutting) {
      observe({ type: "log.compacted", entries_removed: this.#removed });
      this.#removed = 0;
    }
    return true;
  }

  /** The last entry that need not be kept. */
  get #cuttable(): number {
    return this.index - this.#options.configuration.log_tail_entries;
  }

  /** Deleting is a row for a row: not before it is worth a write of its own. */
  get #worthCutting(): boolean {
    const { store, configuration } = this.#options;
    const rows = store.log.rowsThrough(this.#cuttable);
    if (rows >= CUT_ROWS_MAX) return true;
    // Rows of large batches are few and hold much.
    const entries = this.#cuttable - store.log.firstIndex + 1;
    return rows > 0 && entries >= configuration.checkpoint_entries / 2;
  }
}
