/** The Raft core as this host runs it: which of its options are fixed here, and what refusals mean to callers. */
import type { Configuration } from "../api/configuration.ts";
import type { Command } from "../coordinator/commands.ts";
import {
  createRaft,
  type Raft,
  type Configuration as RaftConfiguration,
  type Refusal,
} from "../raft/index.ts";
import { bytesOf } from "./codec.ts";
import { COMMAND_BYTES_MAX } from "./proposals.ts";
import type { Declined } from "./rpc.ts";
import type { Store } from "./store.ts";

const MEBIBYTE = 1024 * 1024;
/** How long the next append may take to bring the news of a commit. Far less than what anybody reads a follower's state by. */
const COMMIT_NOTICE_MS = 15;

export function startCore(options: {
  readonly id: string;
  readonly store: Store;
  /** In force where the log begins. */
  readonly founded: RaftConfiguration;
  readonly configuration: Configuration;
  readonly now: number;
}): Raft<Command> {
  const { id, store, founded, configuration, now } = options;
  const { checkpoint } = store;
  return createRaft<Command>({
    id,
    restored: {
      hardState: store.hardState(),
      configuration: founded,
      applied: checkpoint?.last.index ?? 0,
      ...(checkpoint === undefined ? {} : { snapshot: checkpoint }),
    },
    log: store.log,
    timing: {
      heartbeatInterval: configuration.heartbeat_ms,
      loyalty: configuration.loyalty_ms,
      electionTimeout: configuration.election_ms,
      snapshotTimeout: configuration.snapshot_timeout_ms,
      commitNoticeAfter: Math.min(COMMIT_NOTICE_MS, configuration.heartbeat_ms / 2),
      ...(configuration.sleep_after_ms > 0 ? { quiesceAfter: configuration.sleep_after_ms } : {}),
    },
    limits: {
      entryBytes: COMMAND_BYTES_MAX,
      messageBytes: 2 * MEBIBYTE,
      inFlightMessages: 64,
      inFlightBytes: 8 * MEBIBYTE,
      uncommittedBytes: 32 * MEBIBYTE,
      committedBytes: 4 * MEBIBYTE,
    },
    now,
    random: Math.random,
    sizeOf: bytesOf,
    preVote: true,
    checkQuorum: true,
    reads: { type: "quorum" },
    forwardRequests: false,
    // To be built anew is to be woken, and by what, only the next event tells.
    startQuiesced: configuration.sleep_after_ms > 0,
    resumeLeadership: false,
  });
}

/** What a caller is told. In every case nothing happened. */
export function declinedBy(refusal: Refusal, notLeader: Declined): Declined {
  const retry_after_ms = 1000;
  switch (refusal.type) {
    case "not-leader":
    case "transferring":
      return notLeader;
    case "overloaded":
      return {
        type: "unavailable",
        code: "overloaded",
        detail: "too much is waiting to be committed",
        retry_after_ms,
      };
    case "too-large":
      return { type: "unavailable", code: "too-large", detail: "the command exceeds 1 MiB", retry_after_ms };
    default:
      return {
        type: "unavailable",
        code: "no-leader",
        detail: `the leader cannot commit now: ${refusal.type}`,
        retry_after_ms,
      };
  }
}
