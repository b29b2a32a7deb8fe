/**
 * What the core under test offers. Parts of the contract that it still refuses as not built are left
 * out of the scenarios, and come in by themselves once it offers them.
 */
import { createRaft, NotBuilt, type Raft, type RaftOptions } from "../../src/raft/index.ts";
import { Disk } from "./disk.ts";
import { COMMAND_BYTES, type Command } from "./machine.ts";

export interface Capabilities {
  readonly membership: boolean;
  readonly snapshots: boolean;
  readonly transfer: boolean;
  readonly forwarding: boolean;
  readonly leases: boolean;
  readonly silence: boolean;
  readonly startQuiesced: boolean;
  readonly resume: boolean;
}

let known: Capabilities | undefined;

export function capabilities(): Capabilities {
  known ??= {
    membership: built((raft) => {
      const outcome = raft.proposeMembership([{ type: "add-learner", replica: "b" }]);
      if (outcome.type === "refused") throw new NotBuilt("membership");
    }),
    snapshots: built((raft) => raft.describeSnapshot(1, "probe")),
    transfer: built((raft) => raft.transferLeadership("a")),
    forwarding: built(() => {}, { forwardRequests: true }),
    leases: built(() => {}, { reads: { type: "lease", maxDrift: 5 } }),
    silence: built(() => {}, { timing: { ...OPTIONS.timing, quiesceAfter: 1_000 } }),
    startQuiesced: built(() => {}, { startQuiesced: true }),
    resume: built(() => {}, { resumeLeadership: true }),
  };
  return known;
}

const OPTIONS = {
  id: "a",
  timing: { heartbeatInterval: 50, loyalty: 200, electionTimeout: [200, 400] },
  limits: {
    entryBytes: 100,
    messageBytes: 1_000,
    inFlightMessages: 4,
    inFlightBytes: 1_000,
    uncommittedBytes: 1_000,
    committedBytes: 1_000,
  },
  now: 0,
  random: () => 0.5,
  sizeOf: () => COMMAND_BYTES,
  preVote: true,
  checkQuorum: true,
  reads: { type: "quorum" },
  forwardRequests: false,
  startQuiesced: false,
  resumeLeadership: false,
} as const;

/** Whether an established leader of a group of one does `what` without saying that it cannot. */
function built(what: (raft: Raft<Command>) => void, options: Partial<RaftOptions<Command>> = {}): boolean {
  try {
    const disk = new Disk({ type: "stable", voters: ["a"], learners: [] });
    const raft = createRaft<Command>({ ...OPTIONS, restored: disk.restored, log: disk, ...options });
    raft.tick(1_000);
    for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
      if (ready.persist !== undefined) disk.write({ persist: ready.persist });
      raft.advance({ persisted: ready.sequence, applied: ready.committed.at(-1)?.index ?? 0 });
    }
    what(raft);
    return true;
  } catch (error) {
    if (error instanceof NotBuilt) return false;
    throw error;
  }
}
