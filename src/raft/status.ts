/** What a replica shows of itself. Nothing here feeds back into the protocol. */
import type { Configuration } from "./membership.ts";
import type { Message } from "./messages.ts";
import type { LogIndex, LogPosition, Millis, ReplicaId, Term } from "./vocabulary.ts";

/** What a leader knows about one other replica. */
export type Progress =
  /** Looking for the point where the logs agree; at most one append outstanding. */
  | {
      readonly type: "probe";
      readonly matched: LogIndex;
      readonly next: LogIndex;
      readonly waiting: boolean;
    }
  /** Streaming, up to the in-flight limits. */
  | {
      readonly type: "replicate";
      readonly matched: LogIndex;
      readonly next: LogIndex;
      readonly inFlight: { readonly messages: number; readonly bytes: number };
    }
  /** Waiting for a snapshot to be installed; no appends meanwhile. */
  | {
      readonly type: "snapshot";
      readonly matched: LogIndex;
      readonly offered: LogIndex;
    };

interface StatusBase {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly vote?: ReplicaId;
  readonly leader?: ReplicaId;
  readonly lastLog: LogPosition;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  /** In force, whether or not committed. */
  readonly configuration?: Configuration;
  /** True while the replica has agreed to silence; nothing is scheduled then. */
  readonly quiesced: boolean;
}

export interface FollowerStatus extends StatusBase {
  readonly role: "follower" | "learner";
}

export interface CandidateStatus extends StatusBase {
  readonly role: "pre-candidate" | "candidate";
  /** Votes counted so far. This replica's own appears only once it is durable. */
  readonly votes: ReadonlyMap<ReplicaId, boolean>;
}

export interface LeaderStatus extends StatusBase {
  readonly role: "leader";
  readonly progress: ReadonlyMap<ReplicaId, Progress>;
  /** Set while leadership is being handed over. */
  readonly successor?: ReplicaId;
  /** Instant until which this replica may serve lease reads. */
  readonly leaseUntil?: Millis;
}

export type Status = FollowerStatus | CandidateStatus | LeaderStatus;

/** A protocol step, reported as it happens so that a run can be checked against a specification. */
export interface TraceEvent {
  readonly type:
    | "became-follower"
    | "became-candidate"
    | "became-leader"
    | "appended"
    | "truncated"
    | "committed"
    | "configured"
    | "restored"
    | "sent"
    | "received";
  readonly id: ReplicaId;
  readonly term: Term;
  readonly lastLog: LogPosition;
  readonly commit: LogIndex;
  readonly message?: Message<unknown>;
}
