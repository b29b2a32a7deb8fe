/** What a replica is given when it is brought to life. */

import type { Ready } from "./ready.ts";
import type { TraceEvent } from "./status.ts";
import type { LogReader, RestoredState } from "./storage.ts";
import type { Millis, ReplicaId } from "./vocabulary.ts";

export interface Timing {
  /** How long a leader that has something to keep alive stays silent towards a follower. */
  readonly heartbeatInterval: Millis;
  /**
   * How long voters disregard campaigns after hearing from a leader, how long a leader goes on
   * without hearing from a majority, and how long a transfer may take. The same on every replica.
   */
  readonly loyalty: Millis;
  /**
   * How long a follower waits for its leader before it campaigns: drawn anew for each wait from
   * `[min, max)`, where `min` is not less than `loyalty`. Replicas that should lead get a lower
   * range than the others.
   */
  readonly electionTimeout: readonly [min: Millis, max: Millis];
  /** How long nothing must have happened before a leader proposes silence. Off if absent. */
  readonly quiesceAfter?: Millis;
  /**
   * How long a follower that holds committed entries may go without hearing that they are, once the
   * log is at rest: an append that comes in between brings the news and spares a message. At once if
   * absent; never later than the next heartbeat.
   */
  readonly commitNoticeAfter?: Millis;
  /**
   * How long a leader waits for word of a snapshot that it offered. After that it offers again as
   * soon as the follower is heard. Off if absent: then every offer must be reported on.
   */
  readonly snapshotTimeout?: Millis;
}

export interface Limits {
  /** Largest command accepted. */
  readonly entryBytes: number;
  /** Entries in one append stop here, though one entry always fits. */
  readonly messageBytes: number;
  /** Appends a leader may have outstanding towards one follower. */
  readonly inFlightMessages: number;
  readonly inFlightBytes: number;
  /** Appended but uncommitted bytes beyond which a leader refuses proposals. */
  readonly uncommittedBytes: number;
  /** Committed bytes handed out in one batch. */
  readonly committedBytes: number;
}

export interface RaftOptions<Command> {
  readonly id: ReplicaId;
  readonly restored: RestoredState;
  readonly log: LogReader<Command>;
  readonly timing: Timing;
  readonly limits: Limits;
  /** The instant at which the replica starts. */
  readonly now: Millis;
  /** A number in `[0, 1)`. The core's only source of chance; seed it to replay a run. */
  readonly random: () => number;
  /** Bytes that a command counts for. Asked several times per command, so it must be cheap. */
  readonly sizeOf: (command: Command) => number;

  /**
   * Ask before campaigning whether a majority would agree, so that a replica which was cut off
   * does not depose a healthy leader when it returns.
   */
  readonly preVote: boolean;
  /**
   * Voters disregard campaigns while they hear from a leader, and a leader that hears from no
   * majority steps down. Required for lease reads.
   */
  readonly checkQuorum: boolean;
  /**
   * `quorum`: each read waits for a round confirmed by a majority; concurrent reads share one.
   * `lease`: no round, correct only while no clock gains more than `maxDrift` over another within
   * `timing.loyalty`. A lease counts from when the confirmed round was *sent*, is given up before
   * a transfer begins, and does not survive a restart. The same on every replica: what counts on
   * voters' loyalty must be kept by them, so that under `lease` they also vote for nobody for
   * `timing.loyalty` after a start and do not campaign early when their host says so.
   */
  readonly reads: { readonly type: "quorum" } | { readonly type: "lease"; readonly maxDrift: Millis };
  /**
   * Pass proposals, reads and transfers on to the leader instead of refusing them. The network may
   * lose or repeat what is passed on, so a command must bear being committed twice.
   */
  readonly forwardRequests: boolean;
  /**
   * Start in silence: no election is scheduled until something arrives. For a host that unloads
   * idle replicas and builds the core anew when one is woken.
   */
  readonly startQuiesced: boolean;
  /**
   * Let a replica that stored itself as `hardState.leader` lead the same term again after a
   * restart, without an election. Sound only because nothing it ever sent as leader was not yet
   * durable (see {@link Ready.sendNow}); it must still hear from a majority before it commits,
   * grants a read or claims a lease.
   */
  readonly resumeLeadership: boolean;
  readonly trace?: (event: TraceEvent) => void;
}
