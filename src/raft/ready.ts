/** The batches in which a replica hands out work, and the reports that come back. */
import type { Entry } from "./entries.ts";
import type { Message } from "./messages.ts";
import type { RaftOptions } from "./options.ts";
import type { ReadResult } from "./requests.ts";
import type { HardState, SnapshotDescriptor } from "./storage.ts";
import type { LogIndex } from "./vocabulary.ts";

/**
 * What must be written together, atomically. In order: install the snapshot, if any, which replaces
 * log and state machine; delete every stored entry from `entries[0].index` onwards; append
 * `entries`; store `hardState`.
 */
export interface Persist<Command> {
  readonly snapshot?: SnapshotDescriptor;
  readonly entries: readonly Entry<Command>[];
  readonly hardState?: HardState;
  /**
   * False when only hints changed (`commit`, `leader`): the write may then wait for the next one,
   * provided `sendAfterPersist` is empty.
   */
  readonly mustSync: boolean;
}

/**
 * One batch of work, in the order the host must respect:
 *
 * | # | action                               | may begin               | must precede      |
 * |---|--------------------------------------|-------------------------|-------------------|
 * | 1 | send `sendNow`                       | at once                 | —                 |
 * | 2 | write `persist`, atomically          | after batch n−1's write | 3, 4, 5           |
 * | 3 | apply `committed`, in order, once    | with 2, or after it     | answering clients |
 * | 4 | `advance({ persisted })`             | when 2 is durable       | —                 |
 * | 5 | send `sendAfterPersist`              | when 2 is durable       | —                 |
 * | 6 | `advance({ applied })`, answer reads | when 3 is done          | —                 |
 *
 * "Durable" may be claimed early on a platform that holds back *every* outward effect issued after
 * a write until that write is safe, and destroys the instance if it fails: then 4, 5 and 6 may
 * follow 2 in program order. `sendNow` must in that case be issued *before* the write, or it will
 * be held back with everything else.
 *
 * Batches are written in `sequence` order, and one is durable when all before it are too: a batch
 * without `persist` may still have to wait for its predecessors before `sendAfterPersist` is sent.
 * Several may be outstanding; if a later one overwrites entries of an earlier one, completing the
 * earlier one does no harm. Nothing in a batch changes after it was taken.
 */
export interface Ready<Command> {
  /** Counts batches from 1. */
  readonly sequence: number;
  /**
   * Appends, heartbeats and other messages that promise nothing about this replica's disk. The
   * leader's appends are here so that followers write while the leader does. Empty while
   * {@link RaftOptions.resumeLeadership} is on: then nothing may leave before it is durable.
   */
  readonly sendNow: readonly Message<Command>[];
  /** Absent when there is nothing to write. */
  readonly persist?: Persist<Command>;
  /** Votes, acknowledgements and campaigns: statements that must still be true after a crash. */
  readonly sendAfterPersist: readonly Message<Command>[];
  /**
   * Entries to apply, each exactly once and in order. None is ahead of what this replica holds
   * durably once `persist` is written, and all follow `persist.snapshot` if there is one.
   */
  readonly committed: readonly Entry<Command>[];
  readonly reads: readonly ReadResult[];
}

/** What the host has finished since it last said so. */
export interface Advance {
  /** Every batch up to and including this sequence is durable. */
  readonly persisted?: number;
  /** The state machine includes every entry up to and including this index. */
  readonly applied?: LogIndex;
}
