/** How a replica follows: what it does with a leader's appends and heartbeats (§5.3). */
import { adopt, commitTo } from "./appending.ts";
import type { AppendRequest, Heartbeat } from "./messages.ts";
import { agreesToSilence, fallSilent } from "./silence.ts";
import type { ReplicaState } from "./state.ts";
import type { LogPosition } from "./vocabulary.ts";

export function onAppendRequest<Command>(
  state: ReplicaState<Command>,
  request: AppendRequest<Command>,
): void {
  if (!isContiguous(request) || !follow(state, request)) return;
  const { from, previous, entries, commit, round } = request;
  const end = state.log.last.index;
  const placed = state.log.place(previous, entries);
  // The peer denies what is certain here. This replica is not in doubt, the peer is.
  if (placed.type === "impossible") return;
  const answer = { type: "append-response", from: state.id, to: from, term: state.term, round } as const;
  if (placed.type === "conflict") {
    state.sendDurably({ ...answer, outcome: { type: "conflict", at: previous.index, hint: placed.hint } });
    return;
  }
  adopt(state, placed.added, (placed.added[0]?.index ?? end + 1) <= end);
  commitTo(state, Math.min(commit, placed.through));
  state.sendDurably({ ...answer, outcome: { type: "matched", through: placed.through } });
}

export function onHeartbeat<Command>(state: ReplicaState<Command>, heartbeat: Heartbeat): void {
  if (!follow(state, heartbeat)) return;
  // A leader promises no more than what it knows to match; anything else was not meant for this log.
  if (heartbeat.commit <= state.log.last.index) commitTo(state, heartbeat.commit);
  const quiesced = agreesToSilence(state, heartbeat);
  if (quiesced) fallSilent(state);
  answerHeartbeat(state, heartbeat, quiesced);
}

/** A former leader is told the newer term, which also brings back a replica whose term has run ahead. */
function follow<Command>(state: ReplicaState<Command>, message: AppendRequest<Command> | Heartbeat): boolean {
  if (message.term < state.term) answerHeartbeat(state, message);
  return state.follow(message);
}

function answerHeartbeat<Command>(
  state: ReplicaState<Command>,
  { from, round }: AppendRequest<Command> | Heartbeat,
  quiesced = false,
): void {
  const { id, term } = state;
  state.sendDurably({ type: "heartbeat-response", from: id, to: from, term, round, quiesced });
}

/** Whether a request's entries could stand in one log behind `previous`. */
function isContiguous<Command>({ term, previous, entries }: AppendRequest<Command>): boolean {
  let last: LogPosition = previous;
  for (const entry of entries) {
    if (entry.index !== last.index + 1 || entry.term < last.term) return false;
    last = entry;
  }
  return last.term <= term;
}
