/** What a leader does with proposals and reads, whoever they come from. */
import { append, entryTime } from "./appending.ts";
import type { Reader } from "./reads.ts";
import { type Outcome, refused } from "./requests.ts";
import type { ReplicaState } from "./state.ts";

export function propose<Command>(state: ReplicaState<Command>, commands: readonly Command[]): Outcome {
  if (state.role.type !== "leader") return refused(state.notLeader);
  const { leadership } = state.role;
  const { limits, sizeOf } = state.options;
  const { successor } = leadership;
  if (successor !== undefined) return refused({ type: "transferring", successor });
  const sizes = commands.map(sizeOf);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (sizes.some((size) => size > limits.entryBytes)) return refused({ type: "too-large" });
  if (leadership.quorumIsSilent(state.now)) return refused({ type: "quorum-silent" });
  if (!leadership.hasRoomFor(bytes)) return refused({ type: "overloaded" });

  const { term } = state;
  const time = entryTime(state);
  const first = state.log.last.index + 1;
  append(
    state,
    commands.map((command, offset) => ({ type: "command", term, index: first + offset, time, command })),
  );
  leadership.proposed(state.log.last.index, bytes);
  return { type: "appended", position: state.log.last };
}

/** Answered at once under a lease, otherwise when a round has been confirmed. */
export function read<Command>(state: ReplicaState<Command>, reader: Reader): Outcome {
  if (state.role.type !== "leader") return refused(state.notLeader);
  const { leadership } = state.role;
  if (leadership.quorumIsSilent(state.now)) return refused({ type: "quorum-silent" });
  leadership.active(state.now);
  if (leadership.isEstablished && state.now < (leadership.leaseUntil(state.now) ?? state.now)) {
    state.grant([reader], state.log.commit);
  } else {
    leadership.reads.ask(reader);
  }
  return { type: "started" };
}
