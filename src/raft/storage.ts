/**
 * What outlives a crash, and how the core reads it back. The core never writes: it asks for writes
 * in {@link Ready.persist} and is told about them in {@link Raft.advance}.
 */
import type { Entry } from "./entries.ts";
import type { Configuration } from "./membership.ts";
import type { RaftOptions } from "./options.ts";
import type { Raft } from "./raft.ts";
import type { LogIndex, LogPosition, Millis, ReplicaId, Round, Term } from "./vocabulary.ts";

/**
 * The few values besides the log that outlive a crash. `term` and `vote` must be durable before
 * anything that depends on them is said aloud. `commit` and `leader` may lag behind safely, with
 * one exception: see {@link RaftOptions.resumeLeadership}.
 */
export interface HardState {
  readonly term: Term;
  /** Whom this replica voted for in `term`. */
  readonly vote?: ReplicaId;
  /** Highest index known to be committed. */
  readonly commit: LogIndex;
  /** Who led `term`, as far as this replica knew. A hint for routing after a restart. */
  readonly leader?: ReplicaId;
  /**
   * Present only under {@link RaftOptions.resumeLeadership}. This replica, leading `term`, has used no
   * round above this one. Rounds are numbered within a term, and a resumed leader leads the same
   * term again: if it began anew at 1, answers to its former life that are still under way would
   * confirm reads and leases which nobody was asked about. Reserved in blocks, ahead of use, and as
   * binding as `term`.
   */
  readonly rounds?: Round;
}

/**
 * What a snapshot stands for. The image itself never passes through the core: the host makes it,
 * moves it in as many pieces as it likes, and checks it. `handle` is the host's own name for it.
 */
export interface SnapshotDescriptor {
  /** The last entry the image includes. */
  readonly last: LogPosition & { readonly time: Millis };
  /** The configuration in force at that entry — not the one in force when the image was taken. */
  readonly configuration: Configuration;
  readonly handle: string;
}

/**
 * Synchronous access to the entries the host holds durably. The core keeps entries in memory until
 * {@link Raft.advance} reports them persisted and reads them here afterwards. It never writes.
 */
export interface LogReader<Command> {
  /** Index of the oldest readable entry; one more than `lastIndex` when there is none. */
  readonly firstIndex: LogIndex;
  /** Index of the newest durable entry, or that of the snapshot when the log is empty. */
  readonly lastIndex: LogIndex;
  /**
   * Term of an entry. Must also be known for `firstIndex - 1`, where the log was cut, or the
   * leader could not prove to a follower that their logs agree there. `undefined` elsewhere.
   */
  termAt(index: LogIndex): Term | undefined;
  /**
   * Entries from `start` up to and excluding `end`, stopping early once `maxBytes` is reached but
   * never before the first entry. `start` is never less than `firstIndex`.
   */
  read(start: LogIndex, end: LogIndex, maxBytes: number): readonly Entry<Command>[];
}

/** What a replica starts from: empty for a new one, read back from storage for any other. */
export interface RestoredState {
  readonly hardState: HardState;
  /**
   * The configuration at the snapshot, or the bootstrap configuration if there is no snapshot. The
   * core finds later ones in the log. A replica waiting to be added starts with no configuration;
   * it neither votes nor campaigns until a leader has told it of one.
   */
  readonly configuration?: Configuration;
  /** The newest snapshot held durably. */
  readonly snapshot?: SnapshotDescriptor;
  /** Index up to which the state machine, as restored, already includes the log. */
  readonly applied: LogIndex;
}
