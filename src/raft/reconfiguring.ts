/**
 * How a leader changes who takes part (thesis, §4): one change at a time, each in force as soon as
 * it is in the log, and none before an entry of the leader's own term is committed, or two leaders
 * in a row could append changes whose majorities do not overlap.
 */
import { appendConfiguration } from "./appending.ts";
import { changedMembership, configurationTowards, stable } from "./changes.ts";
import type { JointConfiguration, MembershipChange } from "./membership.ts";
import { isVoter } from "./quorum.ts";
import { type Outcome, refused } from "./requests.ts";
import type { ReplicaState } from "./state.ts";

export function proposeMembership<Command>(
  state: ReplicaState<Command>,
  changes: readonly MembershipChange[],
  leave: JointConfiguration["leave"],
): Outcome {
  if (state.role.type !== "leader") return refused(state.notLeader);
  const { leadership } = state.role;
  const refusal = leadership.mayNotChange(state.now);
  if (refusal !== undefined) return refused(refusal);
  const { configuration } = state;
  if (configuration?.type !== "stable") return refused({ type: "change-in-progress" });

  const result = changedMembership(configuration, changes);
  if (result.type === "invalid") return refused({ type: "invalid-change", reason: result.reason });
  for (const { type, replica } of changes) {
    if (type === "promote" && !leadership.keepsUp(replica, state.now)) {
      return refused({ type: "learner-behind", matched: leadership.matchedBy(replica) });
    }
  }
  appendConfiguration(state, configurationTowards(configuration, result.membership, leave));
  return { type: "appended", position: state.log.last };
}

export function leaveJointConfiguration<Command>(state: ReplicaState<Command>): Outcome {
  if (state.role.type !== "leader") return refused(state.notLeader);
  const refusal = state.role.leadership.mayNotChange(state.now);
  if (refusal !== undefined) return refused(refusal);
  const { configuration } = state;
  if (configuration?.type !== "joint") {
    return refused({ type: "invalid-change", reason: "no joint configuration is in force" });
  }
  appendConfiguration(state, stable(configuration.to));
  return { type: "appended", position: state.log.last };
}

/**
 * What a committed configuration asks of whoever leads, which need not be who proposed it: a joint
 * one that is left by itself is left, and a leader without a vote has served until now.
 */
export function settleConfiguration<Command>(state: ReplicaState<Command>): void {
  const { configuration, id, role } = state;
  if (role.type !== "leader" || !role.leadership.isEstablished) return;
  if (configuration === undefined || state.configurations.index > state.log.commit) return;
  if (configuration.type === "joint" && configuration.leave === "automatic") {
    appendConfiguration(state, stable(configuration.to));
  } else if (!isVoter(configuration, id)) {
    state.becomeFollower(state.term, undefined);
  }
}
