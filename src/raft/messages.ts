/**
 * What replicas say to each other.
 */
import type { Entry } from "./entries.ts";
import type { ReadId } from "./requests.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, LogPosition, ReplicaId, Round, Term } from "./vocabulary.ts";

/**
 * Messages are one-way. A response is a message of its own and the core does not care whether it
 * travels as the answer to a request, in a later request, or never. Any message may be lost,
 * repeated, delayed or overtaken; none may be altered.
 */
export interface Envelope {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
}

/** A message that belongs to a term. One from an older term is stale; a newer one deposes. */
export interface TermEnvelope extends Envelope {
  readonly term: Term;
}

/** "Would you vote for me in `term`?" — asked before `term` begins, and promising nothing. */
export interface PreVoteRequest extends TermEnvelope {
  readonly type: "pre-vote-request";
  readonly lastLog: LogPosition;
}

/** If granted, `term` is the one asked about; if refused, it is the responder's own. */
export interface PreVoteResponse extends TermEnvelope {
  readonly type: "pre-vote-response";
  readonly granted: boolean;
}

export interface VoteRequest extends TermEnvelope {
  readonly type: "vote-request";
  readonly lastLog: LogPosition;
  /** Set when the leader itself asked for this election, which waives its voters' loyalty to it. */
  readonly transfer: boolean;
}

export interface VoteResponse extends TermEnvelope {
  readonly type: "vote-response";
  readonly granted: boolean;
}

/** Entries to place directly after `previous`. With none, it asks whether the logs agree there. */
export interface AppendRequest<Command> extends TermEnvelope {
  readonly type: "append-request";
  readonly previous: LogPosition;
  readonly entries: readonly Entry<Command>[];
  readonly commit: LogIndex;
  readonly round: Round;
}

export interface AppendResponse extends TermEnvelope {
  readonly type: "append-response";
  readonly outcome: AppendOutcome;
  /** Echoes the request's round, or the highest one seen when acknowledging a snapshot. */
  readonly round: Round;
}

export type AppendOutcome =
  /** The follower's log agrees with the leader's up to and including `through`, durably. */
  | { readonly type: "matched"; readonly through: LogIndex }
  /**
   * The follower has no entry equal to `previous`, whose index is `at`. The logs cannot agree
   * after `hint`: the last position in the follower's log at or before `at` whose term does not
   * exceed the leader's. It lets the leader skip whole terms instead of one entry a round trip.
   */
  | { readonly type: "conflict"; readonly at: LogIndex; readonly hint: LogPosition };

/** Asserts leadership. Never moves a follower's commit index past what is known to match. */
export interface Heartbeat extends TermEnvelope {
  readonly type: "heartbeat";
  readonly commit: LogIndex;
  readonly round: Round;
  /** The leader proposes to fall silent until something happens. */
  readonly quiesce: boolean;
}

export interface HeartbeatResponse extends TermEnvelope {
  readonly type: "heartbeat-response";
  readonly round: Round;
  /** The follower agrees to fall silent: it holds the same log and has nothing of its own to do. */
  readonly quiesced: boolean;
}

/**
 * "You are behind my log; install this." The sending host transfers the image; the receiving host
 * steps this message only after it holds the whole image durably. A transfer may outlive the term
 * that began it: an image holds only what is committed, so it is welcome all the same. Answered by
 * `append-response`.
 */
export interface SnapshotOffer extends TermEnvelope {
  readonly type: "snapshot-offer";
  readonly snapshot: SnapshotDescriptor;
  readonly round: Round;
}

/** "Campaign now, without waiting" — sent by a leader to its chosen successor. */
export interface TimeoutNow extends TermEnvelope {
  readonly type: "timeout-now";
  /** The successor must hold at least this much durably; otherwise it ignores the message. */
  readonly expected: LogPosition;
}

/** A request passed on by a replica that does not lead. Carries no term: it is not part of one. */
export interface Forward<Command> extends Envelope {
  readonly type: "forward";
  readonly request:
    | { readonly type: "propose"; readonly commands: readonly Command[] }
    | { readonly type: "read"; readonly id: ReadId }
    | { readonly type: "transfer"; readonly successor: ReplicaId };
}

/** The leader's answer to a forwarded read. */
export interface ReadGrant extends TermEnvelope {
  readonly type: "read-grant";
  readonly id: ReadId;
  readonly index: LogIndex;
}

export type Message<Command> =
  | PreVoteRequest
  | PreVoteResponse
  | VoteRequest
  | VoteResponse
  | AppendRequest<Command>
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotOffer
  | TimeoutNow
  | Forward<Command>
  | ReadGrant;
