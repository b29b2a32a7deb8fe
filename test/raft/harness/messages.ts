/** Short hands for the messages that scripted tests hand to a replica. */
import type {
  AppendOutcome,
  AppendRequest,
  AppendResponse,
  Configuration,
  Forward,
  Heartbeat,
  HeartbeatResponse,
  LogPosition,
  Message,
  PreVoteRequest,
  PreVoteResponse,
  SnapshotOffer,
  TimeoutNow,
  VoteRequest,
  VoteResponse,
} from "../../../src/raft/index.ts";
import type { TestEntry } from "./disk.ts";

/** `[sender, receiver, term]` */
export type Head = readonly [from: string, to: string, term: number];

export function at(term: number, index: number): LogPosition {
  return { term, index };
}

export function preVote([from, to, term]: Head, lastLog: LogPosition): PreVoteRequest {
  return { type: "pre-vote-request", from, to, term, lastLog };
}

export function preVoteAnswer([from, to, term]: Head, granted: boolean): PreVoteResponse {
  return { type: "pre-vote-response", from, to, term, granted };
}

export function vote([from, to, term]: Head, lastLog: LogPosition, transfer = false): VoteRequest {
  return { type: "vote-request", from, to, term, lastLog, transfer };
}

export function voteAnswer([from, to, term]: Head, granted: boolean): VoteResponse {
  return { type: "vote-response", from, to, term, granted };
}

export function append(
  [from, to, term]: Head,
  previous: LogPosition,
  entries: readonly TestEntry[] = [],
  { commit = 0, round = 0 } = {},
): AppendRequest<string> {
  return { type: "append-request", from, to, term, previous, entries, commit, round };
}

export function matched([from, to, term]: Head, through: number, round = 0): AppendResponse {
  return { type: "append-response", from, to, term, outcome: { type: "matched", through }, round };
}

export function conflict([from, to, term]: Head, index: number, hint: LogPosition): AppendResponse {
  return {
    type: "append-response",
    from,
    to,
    term,
    outcome: { type: "conflict", at: index, hint },
    round: 0,
  };
}

export function heartbeat([from, to, term]: Head, { commit = 0, round = 0 } = {}): Heartbeat {
  return { type: "heartbeat", from, to, term, commit, round, quiesce: false };
}

export function heartbeatAnswer([from, to, term]: Head, round = 0): HeartbeatResponse {
  return { type: "heartbeat-response", from, to, term, round, quiesced: false };
}

export function offer(
  [from, to, term]: Head,
  last: LogPosition,
  { configuration = OFFERED, round = 0 }: { configuration?: Configuration; round?: number } = {},
): SnapshotOffer {
  const snapshot = { last: { ...last, time: 0 }, configuration, handle: `${from}-${last.index}` };
  return { type: "snapshot-offer", from, to, term, snapshot, round };
}

const OFFERED: Configuration = { type: "stable", voters: ["a", "b", "c"], learners: [] };

export function timeoutNow([from, to, term]: Head, expected: LogPosition): TimeoutNow {
  return { type: "timeout-now", from, to, term, expected };
}

export function forward(from: string, to: string, request: Forward<string>["request"]): Forward<string> {
  return { type: "forward", from, to, request };
}

/** The messages of one type, which must be all there are unless others are expected too. */
export function only<T extends Message<string>["type"]>(
  sent: readonly Message<string>[],
  type: T,
): Extract<Message<string>, { type: T }>[] {
  return sent.filter((message): message is Extract<Message<string>, { type: T }> => message.type === type);
}

/** What the acknowledgements among `sent` say. */
export function outcomes(sent: readonly Message<string>[]): AppendOutcome[] {
  return only(sent, "append-response").map(({ outcome }) => outcome);
}
