/** Who takes part in a group, and the steps by which that changes. */
import type { ReplicaId } from "./vocabulary.ts";

/** Who votes and who merely receives the log. The two lists are disjoint and `voters` not empty. */
export interface Membership {
  readonly voters: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

/** One membership in force: a majority of its voters elects and commits. */
export interface StableConfiguration extends Membership {
  readonly type: "stable";
}

/**
 * Two memberships in force at once: electing and committing need a majority of `from`'s voters
 * *and* a majority of `to`'s. A replica that votes in either votes; one that is a learner in both
 * does not.
 */
export interface JointConfiguration {
  readonly type: "joint";
  readonly from: Membership;
  readonly to: Membership;
  /**
   * `automatic`: whoever leads when this configuration is committed appends the stable one at
   * once. `explicit`: the host calls {@link Raft.leaveJointConfiguration}.
   */
  readonly leave: "automatic" | "explicit";
}

export type Configuration = StableConfiguration | JointConfiguration;

/** One step of a membership change, relative to the membership in force. */
export type MembershipChange =
  /** Start replicating to a replica without counting it. */
  | { readonly type: "add-learner"; readonly replica: ReplicaId }
  /** Give a learner a vote. Refused as `learner-behind` while its log trails too far. */
  | { readonly type: "promote"; readonly replica: ReplicaId }
  /** Take a voter's vote but keep replicating to it. */
  | { readonly type: "demote"; readonly replica: ReplicaId }
  /** Stop replicating to a replica. A leader that removes itself steps down once that commits. */
  | { readonly type: "remove"; readonly replica: ReplicaId };
