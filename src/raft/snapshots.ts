/**
 * Snapshots as the protocol sees them (§7): how one is labelled, and what a follower does with one
 * that was brought to it. The images are the host's.
 */
import { commitTo, install } from "./appending.ts";
import type { SnapshotOffer } from "./messages.ts";
import type { ReplicaState } from "./state.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import type { LogIndex } from "./vocabulary.ts";

/** Throws unless the state machine can be, and was not long ago, at `at`. */
export function describeSnapshot<Command>(
  state: ReplicaState<Command>,
  at: LogIndex,
  handle: string,
): SnapshotDescriptor {
  const { id, log, snapshot } = state;
  const oldest = snapshot?.last.index ?? 0;
  const term = log.termAt(at);
  const configuration = state.configurations.at(at);
  if (at < oldest || at > log.delivered || term === undefined || configuration === undefined) {
    throw new Error(
      `${id} cannot describe a snapshot at ${at}: its newest is at ${oldest}, entries were handed out up to ${log.delivered}`,
    );
  }
  const time = at === oldest ? (snapshot?.last.time ?? 0) : log.timeAt(at);
  return { last: { term, index: at, time }, configuration, handle };
}

/** Throws if the label cannot be that of an image made here. An older one than is known has no effect. */
export function snapshotTaken<Command>(state: ReplicaState<Command>, snapshot: SnapshotDescriptor): void {
  const { id, log } = state;
  const { term, index } = snapshot.last;
  if (index <= (state.snapshot?.last.index ?? 0)) return;
  const known = log.termAt(index);
  if (index > log.delivered || (known !== undefined && known !== term)) {
    throw new Error(
      `${id} cannot have a snapshot at ${index} of term ${term}: that entry is of term ${known}, entries were handed out up to ${log.delivered}`,
    );
  }
  state.snapshot = snapshot;
  state.configurations.forgetBefore(index);
}

/** Welcome whatever the term that offered it: an image holds only what is committed. */
export function onSnapshotOffer<Command>(state: ReplicaState<Command>, offer: SnapshotOffer): void {
  const { from, term, snapshot } = offer;
  const { last } = snapshot;
  if (last.term > term) return;
  if (term >= state.term && !state.follow(offer)) return;
  const { log } = state;
  if (last.index > log.commit) {
    // A log that agrees at the last entry holds everything before it, and may hold acknowledged entries after it.
    if (log.termAt(last.index) === last.term) commitTo(state, last.index);
    else install(state, snapshot);
  }
  const outcome = { type: "matched", through: log.commit } as const;
  const { id, term: current, roundSeen: round } = state;
  state.sendDurably({ type: "append-response", from: id, to: from, term: current, outcome, round });
}
