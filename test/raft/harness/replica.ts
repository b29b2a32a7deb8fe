/**
 * One replica with its disk, driven by hand: the host of the contract in its simplest form, which
 * makes every batch durable before it goes on.
 */
import {
  createRaft,
  type LeaderStatus,
  type Message,
  type Outcome,
  type Raft,
  type RaftOptions,
  type ReadResult,
  type Ready,
  type SnapshotDescriptor,
} from "../../../src/raft/index.ts";
import { Random } from "../../simulation/random.ts";
import { Disk, type DiskStart, type TestEntry } from "./disk.ts";

export type TestMessage = Message<string>;

export const TIMING = { heartbeatInterval: 50, loyalty: 200, electionTimeout: [200, 400] } as const;

export const LIMITS = {
  entryBytes: 1_000,
  messageBytes: 10_000,
  inFlightMessages: 4,
  inFlightBytes: 40_000,
  uncommittedBytes: 100_000,
  committedBytes: 100_000,
} as const;

const MOST_BATCHES = 1_000;

export type Overrides = Partial<Omit<RaftOptions<string>, "id" | "log" | "restored">>;

export function optionsFor(id: string, disk: Disk, overrides: Overrides = {}): RaftOptions<string> {
  return {
    id,
    restored: disk.restored,
    log: disk,
    timing: TIMING,
    limits: LIMITS,
    now: 0,
    random: new Random(1).next,
    sizeOf: (command) => command.length,
    preVote: true,
    checkQuorum: true,
    reads: { type: "quorum" },
    forwardRequests: false,
    startQuiesced: false,
    resumeLeadership: false,
    ...overrides,
  };
}

export function voters(...ids: readonly string[]) {
  return { type: "stable", voters: ids, learners: [] } as const;
}

/** A log of commands, one per term given: `log(1, 1, 2)` ends at index 3 in term 2. */
export function log(...terms: readonly number[]): TestEntry[] {
  return terms.map((term, offset) => command(term, offset + 1));
}

export function command(term: number, index: number, text = `${term}.${index}`): TestEntry {
  return { type: "command", term, index, time: 0, command: text };
}

/** Every batch there is, each to be carried out before the next is asked for. */
export function* batchesOf(raft: Raft<string>): Generator<Ready<string>> {
  for (let count = 0; ; count += 1) {
    const ready = raft.takeReady();
    if (ready === undefined) return;
    if (count === MOST_BATCHES) throw new Error(`there is no end to the batches: ${JSON.stringify(ready)}`);
    yield ready;
  }
}

export class Replica {
  readonly id: string;
  readonly disk: Disk;
  readonly committed: TestEntry[] = [];
  readonly reads: ReadResult[] = [];
  readonly batches: Ready<string>[] = [];
  raft: Raft<string>;
  now = 0;
  applied = 0;
  readonly #overrides: Overrides;

  constructor(id: string, start: DiskStart = {}, overrides: Overrides = {}) {
    this.id = id;
    this.disk = new Disk({ configuration: voters("a", "b", "c"), ...start });
    this.#overrides = overrides;
    this.now = overrides.now ?? 0;
    this.raft = createRaft(optionsFor(id, this.disk, overrides));
  }

  get status() {
    return this.raft.status;
  }

  get leading(): LeaderStatus {
    const { status } = this;
    if (status.role !== "leader") throw new Error(`${this.id} is a ${status.role} of term ${status.term}`);
    return status;
  }

  /** Carries out every batch there is, durably, and returns what was sent. */
  pump(): TestMessage[] {
    const sent: TestMessage[] = [];
    for (const ready of batchesOf(this.raft)) {
      this.batches.push(ready);
      sent.push(...ready.sendNow);
      if (ready.persist !== undefined) this.disk.write(ready.persist);
      this.disk.flush();
      this.committed.push(...ready.committed);
      const reached = ready.committed.at(-1)?.index ?? ready.persist?.snapshot?.last.index ?? 0;
      this.applied = Math.max(this.applied, reached);
      this.raft.advance({ persisted: ready.sequence, applied: this.applied });
      sent.push(...ready.sendAfterPersist);
      this.reads.push(...ready.reads);
    }
    return sent;
  }

  /** Lets time pass to `now` and carries out what falls due. */
  tick(now: number): TestMessage[] {
    this.now = now;
    this.raft.tick(now);
    return this.pump();
  }

  /** Sleeps until something is due. */
  wake(): TestMessage[] {
    const { wakeAt } = this.raft;
    if (wakeAt === undefined) throw new Error(`nothing is ever due at ${this.id}`);
    return this.tick(wakeAt);
  }

  step(...messages: readonly TestMessage[]): TestMessage[] {
    for (const message of messages) this.raft.step(message);
    return this.pump();
  }

  propose(...commands: readonly string[]): TestMessage[] {
    const outcome: Outcome = this.raft.propose(...commands);
    if (outcome.type !== "appended") throw new Error(`proposal ${JSON.stringify(outcome)}`);
    return this.pump();
  }

  read(id: string): TestMessage[] {
    const outcome = this.raft.readIndex(id);
    if (outcome.type !== "started") throw new Error(`read ${JSON.stringify(outcome)}`);
    return this.pump();
  }

  /** Takes an image of the state machine, by default as it is, and cuts the log behind `cut`. */
  snapshot(at = this.applied, cut?: number): SnapshotDescriptor {
    const snapshot = this.raft.describeSnapshot(at, `${this.id}-${at}`);
    this.disk.keep(snapshot);
    this.raft.snapshotTaken(snapshot);
    if (cut !== undefined) this.disk.cutThrough(cut);
    return snapshot;
  }

  /** The process dies and starts again from the disk. */
  restart(): void {
    this.disk.crash();
    this.committed.length = 0;
    this.applied = this.disk.applied;
    this.committed.push(...this.disk.entries.filter((entry) => entry.index <= this.disk.applied));
    this.raft = createRaft(optionsFor(this.id, this.disk, { ...this.#overrides, now: this.now }));
  }

  /** Wins an election among `a`, `b` and `c` with the vote of `supporter`; returns its first appends. */
  lead(supporter: string): TestMessage[] {
    this.raft.campaign();
    const asked = this.pump();
    const term = this.status.term + (asked[0]?.type === "pre-vote-request" ? 1 : 0);
    const answer = { from: supporter, to: this.id, term, granted: true } as const;
    if (this.status.role === "pre-candidate") this.step({ type: "pre-vote-response", ...answer });
    const sent = this.step({ type: "vote-response", ...answer });
    if (this.status.role !== "leader") throw new Error(`${this.id} did not win term ${term}`);
    return sent;
  }
}
