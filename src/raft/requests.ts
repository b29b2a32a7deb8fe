/** What a host may ask of a replica, and what it is told: at once, and later in a batch. */
import type { Raft } from "./raft.ts";
import type { LogIndex, LogPosition, ReplicaId } from "./vocabulary.ts";

/** Names one read, uniquely per replica and *per attempt*: a retry is a new read. */
export type ReadId = string;

/** Why a request had no effect. None of these says anything about earlier requests. */
export type Refusal =
  /** This replica does not lead and may not, or cannot, pass the request on. */
  | { readonly type: "not-leader"; readonly leader?: ReplicaId }
  /** Leadership is being handed over; try again at the successor. */
  | { readonly type: "transferring"; readonly successor: ReplicaId }
  /** The leader has not heard from a majority lately and declines to queue more work. */
  | { readonly type: "quorum-silent" }
  /** Too many uncommitted bytes are outstanding. */
  | { readonly type: "overloaded" }
  /** The command exceeds `limits.entryBytes`. */
  | { readonly type: "too-large" }
  /** A previous membership change is not yet committed, or a joint configuration must be left. */
  | { readonly type: "change-in-progress" }
  /** The leader has not yet committed an entry of its own term. */
  | { readonly type: "term-not-established" }
  /** The replica to be promoted, or to lead, is too far behind. */
  | { readonly type: "learner-behind"; readonly matched: LogIndex }
  /** The change names unknown replicas, changes nothing, or would leave no voter. */
  | { readonly type: "invalid-change"; readonly reason: string };

/** What became of a request at the moment it was made. */
export type Outcome =
  /**
   * Appended at `position`. It is committed if and only if an entry with exactly this position
   * appears in {@link Ready.committed}; an entry of another term at that index means it was lost.
   */
  | { readonly type: "appended"; readonly position: LogPosition }
  /** Under way here; the effect, if any, shows in later batches and in the status. */
  | { readonly type: "started" }
  /**
   * Sent on to `leader`. No further word comes back through the core, except that a read is granted
   * if its answer arrives, and aborted if it does not or the leader or its term changes first.
   */
  | { readonly type: "forwarded"; readonly leader: ReplicaId }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** The fate of a read asked for with {@link Raft.readIndex}. */
export type ReadResult =
  /** Linearizable once the local state machine has applied `index`. */
  | { readonly type: "granted"; readonly id: ReadId; readonly index: LogIndex }
  /** The leader or its term changed first, or a forwarded read was lost. The caller may ask again under a new id. */
  | { readonly type: "aborted"; readonly id: ReadId; readonly refusal: Refusal };

export function refused(refusal: Refusal): Outcome {
  return { type: "refused", refusal };
}
