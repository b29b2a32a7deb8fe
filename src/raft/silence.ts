/**
 * Falling silent together and waking up: while nothing happens nobody sends, and nothing is due. A
 * leader proposes it with a round of heartbeats; whoever agrees stops waiting for the leader at once,
 * and the leader stops when all that it hears have agreed. It remains the leader: silence is no
 * partition, and every input ends it.
 */
import type { Heartbeat, Message } from "./messages.ts";
import type { ReplicaState } from "./state.ts";
import type { Term } from "./vocabulary.ts";

/** The first thing that a replica does. */
export function start<Command>(state: ReplicaState<Command>): void {
  const { resumeLeadership, startQuiesced, restored } = state.options;
  const { leader, vote, rounds } = restored.hardState;
  const led = leader === state.id && vote === state.id && state.mayCampaign;
  const alone = state.mayCampaign && state.otherVoters.length === 0;
  // Rounds were reserved only in a life in which nothing was sent before it was durable.
  if (led && resumeLeadership && rounds !== undefined) state.onWaking = "lead";
  else if (alone || (led && startQuiesced)) state.onWaking = "campaign";
  if (startQuiesced) state.silentRound = BEFORE_ALL_ROUNDS;
  else awaken(state, state.term);
}

const BEFORE_ALL_ROUNDS = -1;

export function fallSilent<Command>(state: ReplicaState<Command>): void {
  state.silentRound = state.roundSeen;
  state.onWaking = "wait";
  state.electionDueAt = undefined;
}

/** Something happened. `term` is that of the message that says so: a newer one leaves nothing to resume. */
export function wake<Command>(state: ReplicaState<Command>, term = state.term): void {
  if (!state.quiesced) return;
  state.silentRound = undefined;
  if (state.role.type === "leader") state.role.leadership.woken(state.now);
  else awaken(state, term);
}

function awaken<Command>(state: ReplicaState<Command>, term: Term): void {
  if (state.onWaking === "lead" && term <= state.term) {
    state.becomeLeader();
    return;
  }
  state.waitForLeader();
  if (state.onWaking === "campaign") state.campaignSoon();
}

/**
 * Whether a follower has nothing to wait for: it holds what its leader holds, all is committed, and
 * it has heard of nothing since. An overtaken proposal would put it to sleep beside a leader that goes
 * on without a word that could wake it.
 */
export function agreesToSilence<Command>(state: ReplicaState<Command>, heartbeat: Heartbeat): boolean {
  const { commit, last } = state.log;
  const holdsAll = commit === last.index && heartbeat.commit === last.index;
  const isNews = heartbeat.round >= state.roundSeen;
  return heartbeat.quiesce && holdsAll && isNews && state.forwardedReads.isEmpty;
}

/**
 * Messages sent before the silence began arrive late or twice, and are answered like any other; but
 * if they ended it, a network that repeats messages would never let a group sleep.
 */
export function endsSilence<Command>(state: ReplicaState<Command>, message: Message<Command>): boolean {
  switch (message.type) {
    case "append-request":
    case "heartbeat":
      return (
        message.term > state.term ||
        (message.term === state.term && message.round > (state.silentRound ?? BEFORE_ALL_ROUNDS))
      );
    case "pre-vote-response":
    case "vote-response":
    case "append-response":
    case "heartbeat-response":
    case "read-grant":
      return message.term > state.term;
    default:
      return true;
  }
}
