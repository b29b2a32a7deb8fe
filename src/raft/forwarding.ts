/**
 * Requests passed on by a replica that does not lead. A forwarded message may be lost or repeated
 * like any other: proposals and transfers bear that or must not be forwarded, reads are answered at
 * most once. One that reaches a replica which does not lead (any more) goes no further.
 */
import type { Forward, ReadGrant } from "./messages.ts";
import { type Outcome, type ReadId, refused } from "./requests.ts";
import { propose, read } from "./serving.ts";
import type { ReplicaState } from "./state.ts";
import { transferLeadership } from "./transfers.ts";
import type { ReplicaId } from "./vocabulary.ts";

/** Sends a request to the leader, if there is one to send it to and forwarding is on. */
function passOn<Command>(state: ReplicaState<Command>, request: () => Forward<Command>["request"]): Outcome {
  const { id, leader, notLeader, options } = state;
  if (!options.forwardRequests || leader === undefined || leader === id) return refused(notLeader);
  state.send({ type: "forward", from: id, to: leader, request: request() });
  return { type: "forwarded", leader };
}

export function proposeOrForward<Command>(
  state: ReplicaState<Command>,
  commands: readonly Command[],
): Outcome {
  if (state.role.type === "leader") return propose(state, commands);
  const { limits, sizeOf } = state.options;
  if (commands.some((command) => sizeOf(command) > limits.entryBytes)) return refused({ type: "too-large" });
  return passOn(state, () => ({ type: "propose", commands }));
}

export function readOrForward<Command>(state: ReplicaState<Command>, id: ReadId): Outcome {
  if (state.role.type === "leader") return read(state, { id });
  return passOn(state, () => ({ type: "read", id: state.forwardedReads.ask(id, state.now) }));
}

export function transferOrForward<Command>(state: ReplicaState<Command>, successor: ReplicaId): Outcome {
  if (state.role.type === "leader") return transferLeadership(state, successor);
  return passOn(state, () => ({ type: "transfer", successor }));
}

/** Nobody is told of a refusal: whoever forwarded asks again, or has its read given up. */
export function onForward<Command>(state: ReplicaState<Command>, { from, request }: Forward<Command>): void {
  if (state.role.type !== "leader") return;
  switch (request.type) {
    case "propose":
      if (request.commands.length > 0) propose(state, request.commands);
      break;
    case "read":
      read(state, { id: request.id, from });
      break;
    case "transfer":
      transferLeadership(state, request.successor);
      break;
  }
}

export function onReadGrant<Command>(state: ReplicaState<Command>, grant: ReadGrant): void {
  const id = state.forwardedReads.answered(grant.id);
  if (id !== undefined) state.outbox.answer([{ type: "granted", id, index: grant.index }]);
  if (grant.term > state.term) state.becomeFollower(grant.term, undefined);
}
