/**
 * Who leads: campaigns, and the answers to other replicas' campaigns (§5.2, §5.4.1; pre-vote and
 * loyalty to a living leader after §9.6 and §4.2.3 of the thesis).
 *
 * A campaign that was refused is not given up early: it ends when its time is up, when a newer term
 * or a leader shows, or when late grants still make a majority.
 */
import type { PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse } from "./messages.ts";
import { isQuorum } from "./quorum.ts";
import type { Candidacy, ReplicaState } from "./state.ts";
import type { LogPosition, ReplicaId } from "./vocabulary.ts";

/** Has no effect on a leader, a learner, or a replica that knows of no configuration. */
export function campaign<Command>(state: ReplicaState<Command>): void {
  if (state.role.type === "leader" || !state.mayCampaign) return;
  if (state.options.preVote) askForPreVotes(state);
  else askForVotes(state);
}

/** The leader itself asked for this election: nobody need be asked whether one is wanted. */
export function campaignForTransfer<Command>(state: ReplicaState<Command>): void {
  if (state.mayCampaign) askForVotes(state, true);
}

function askForPreVotes<Command>(state: ReplicaState<Command>): void {
  const candidacy: Candidacy = { type: "pre-candidate", votes: new Map() };
  state.role = candidacy;
  // Whoever campaigns has given its leader up, or it would refuse its peers' pre-votes for it.
  state.believeIn(undefined);
  state.waitForLeader();
  const { id: from, log } = state;
  for (const to of state.otherVoters) {
    state.send({ type: "pre-vote-request", from, to, term: state.term + 1, lastLog: log.last });
  }
  // Its own consent promises nothing, so there is no disk to wait for.
  count(state, candidacy, from, true);
}

function askForVotes<Command>(state: ReplicaState<Command>, transfer = false): void {
  state.becomeCandidate();
  const { id: from, term, log } = state;
  for (const to of state.otherVoters) {
    state.sendDurably({ type: "vote-request", from, to, term, lastLog: log.last, transfer });
  }
}

/** Counts one voter, the candidate itself included. A repeated or overtaken refusal takes no grant back. */
export function count<Command>(
  state: ReplicaState<Command>,
  { type, votes }: Candidacy,
  voter: ReplicaId,
  granted: boolean,
): void {
  const { configuration } = state;
  if (configuration === undefined) return;
  if (votes.get(voter) !== true) votes.set(voter, granted);
  if (!isQuorum(configuration, (id) => votes.get(id) === true)) return;
  if (type === "pre-candidate") askForVotes(state);
  else state.becomeLeader();
}

/** Changes nothing here, not even the term: a replica that was cut off must be able to ask in vain. */
export function onPreVoteRequest<Command>(state: ReplicaState<Command>, request: PreVoteRequest): void {
  const { from, term, lastLog } = request;
  const timely = term > state.term || (term === state.term && voteIsFree(state, from));
  const granted = timely && !state.hearsLeader && mayGrant(state, lastLog);
  state.send({
    type: "pre-vote-response",
    from: state.id,
    to: from,
    term: granted ? term : state.term,
    granted,
  });
}

export function onPreVoteResponse<Command>(state: ReplicaState<Command>, response: PreVoteResponse): void {
  const { from, term, granted } = response;
  // Without this, replicas of different terms could refuse each other for ever.
  if (!granted && term > state.term) state.becomeFollower(term, undefined);
  if (state.role.type !== "pre-candidate" || (granted && term !== state.term + 1)) return;
  count(state, state.role, from, granted);
}

export function onVoteRequest<Command>(state: ReplicaState<Command>, request: VoteRequest): void {
  const { from, term, lastLog, transfer } = request;
  if (term > state.term) {
    // No answer and no new term: the leader is alive, and an answer could depose it.
    if (state.options.checkQuorum && !transfer && state.hearsLeader) return;
    state.becomeFollower(term, undefined);
  }
  const granted = term === state.term && voteIsFree(state, from) && mayGrant(state, lastLog);
  if (granted) {
    state.vote = from;
    state.waitForLeader();
  }
  state.sendDurably({ type: "vote-response", from: state.id, to: from, term: state.term, granted });
}

export function onVoteResponse<Command>(state: ReplicaState<Command>, response: VoteResponse): void {
  const { from, term, granted } = response;
  if (term > state.term) state.becomeFollower(term, undefined);
  if (state.role.type !== "candidate" || term !== state.term) return;
  count(state, state.role, from, granted);
}

function voteIsFree<Command>({ vote, leader }: ReplicaState<Command>, candidate: ReplicaId): boolean {
  return vote === candidate || (vote === undefined && leader === undefined);
}

/** A learner votes like anybody: its own configuration may be older than the one that promoted it. */
function mayGrant<Command>({ configuration, log }: ReplicaState<Command>, candidate: LogPosition): boolean {
  return configuration !== undefined && log.isCoveredBy(candidate);
}
