/**
 * Handing leadership over (thesis, §3.10): no new entries, bring the successor's log up to the end,
 * then ask it to campaign at once. If it has not taken over within `timing.loyalty`, all is as before.
 */
import { campaignForTransfer } from "./elections.ts";
import type { TimeoutNow } from "./messages.ts";
import { type Outcome, refused } from "./requests.ts";
import type { ReplicaState } from "./state.ts";
import type { ReplicaId } from "./vocabulary.ts";

/** Only of a leader. */
export function transferLeadership<Command>(state: ReplicaState<Command>, successor: ReplicaId): Outcome {
  if (state.role.type !== "leader") return refused(state.notLeader);
  const { leadership } = state.role;
  const { now } = state;
  if (successor === state.id || !state.otherVoters.includes(successor)) {
    return refused({ type: "invalid-change", reason: `${successor} is no other voter` });
  }
  if (leadership.successor === successor) return { type: "started" };
  const refusal = leadership.mayNotChange(now);
  if (refusal !== undefined) return refused(refusal);
  if (!leadership.keepsUp(successor, now)) {
    return refused({ type: "learner-behind", matched: leadership.matchedBy(successor) });
  }
  leadership.handOver(successor, now);
  return { type: "started" };
}

/**
 * Its leader asks this replica to campaign. It must hold durably what the leader held: a log that a
 * crash could shorten, or another one at the same index, would make everybody wait for a lost election.
 */
export function onTimeoutNow<Command>(state: ReplicaState<Command>, message: TimeoutNow): void {
  const { index, term } = message.expected;
  if (!state.follow(message)) return;
  const { log } = state;
  if (index > log.durable || log.termAt(index) !== term) return;
  campaignForTransfer(state);
}
