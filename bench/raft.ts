/**
 * The bare core: a group of 3 and of 5 replicas in one process, with logs in memory and no network or disk between. For
 * one proposal at a time and for 100 in each: proposals per second of the whole group, messages and bytes (JSON) per entry
 * across all links, processor time per entry and heap per entry, and how each grows with the log, with and without
 * compaction. Then what a restart and a look at the status cost.
 *
 *     npx node bench/raft.ts [--sizes 1000,10000,100000] [--entries 4000] [--rounds 5]
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  createRaft,
  type Entry,
  type HardState,
  type LogReader,
  type Message,
  type Raft,
  type SnapshotDescriptor,
} from "../src/raft/index.ts";

const { values: flags } = parseArgs({
  options: {
    sizes: { type: "string", default: "1000,10000,100000" },
    entries: { type: "string", default: "4000" },
    rounds: { type: "string", default: "5" },
  },
});
const sizes = flags.sizes.split(",").map(Number);
const measured = Number(flags.entries);
const rounds = Number(flags.rounds);

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const COMMAND_BYTES = 100;
/** Of distinct strings, so that nothing is shared that a real log would not share. */
const commandOf = (number: number) => String(number).padEnd(COMMAND_BYTES, "x");
const COMPACT_EVERY = 1_000;
const TAIL = 500;

class MemoryLog implements LogReader<string> {
  entries: Entry<string>[] = [];
  base = { index: 0, term: 0 };

  get firstIndex(): number {
    return this.base.index + 1;
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  termAt(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term;
  }

  read(start: number, end: number, maxBytes: number): readonly Entry<string>[] {
    const from = start - this.base.index - 1;
    const most = Math.max(1, Math.ceil(maxBytes / COMMAND_BYTES));
    return this.entries.slice(from, Math.min(end - this.base.index - 1, from + most));
  }

  append(entries: readonly Entry<string>[]): void {
    const [first] = entries;
    if (first === undefined) return;
    this.entries.length = first.index - this.base.index - 1;
    for (const entry of entries) this.entries.push(entry);
  }

  cutThrough(index: number): void {
    const term = this.termAt(index);
    if (term === undefined || index <= this.base.index) return;
    this.entries = this.entries.slice(index - this.base.index);
    this.base = { index, term };
  }
}

class Member {
  readonly id: string;
  readonly log = new MemoryLog();
  raft: Raft<string>;
  applied = 0;
  hardState: HardState = { term: 0, commit: 0 };
  snapshot: SnapshotDescriptor | undefined;
  readonly #voters: readonly string[];

  constructor(id: string, voters: readonly string[]) {
    this.id = id;
    this.#voters = voters;
    this.raft = this.start(0);
  }

  start(now: number): Raft<string> {
    return createRaft<string>({
      id: this.id,
      restored: {
        hardState: this.hardState,
        configuration: { type: "stable", voters: this.#voters, learners: [] },
        applied: this.applied,
        ...(this.snapshot !== undefined && { snapshot: this.snapshot }),
      },
      log: this.log,
      timing: { heartbeatInterval: 75, loyalty: 300, electionTimeout: [300, 600] },
      limits: {
        entryBytes: 1 << 20,
        messageBytes: 1 << 20,
        inFlightMessages: 64,
        inFlightBytes: 8 << 20,
        uncommittedBytes: 8 << 20,
        committedBytes: 1 << 20,
      },
      now,
      random: () => 0.5,
      sizeOf: (command) => command.length,
      preVote: true,
      checkQuorum: true,
      reads: { type: "quorum" },
      forwardRequests: false,
      startQuiesced: false,
      resumeLeadership: false,
    });
  }
}

class Group {
  readonly members: readonly Member[];
  readonly compacts: boolean;
  messages = 0;
  bytes = 0;
  counting = false;
  now = 0;
  proposed = 0;
  readonly #byId: ReadonlyMap<string, Member>;
  readonly #inFlight: Message<string>[] = [];

  constructor(replicas: number, compacts: boolean) {
    const ids = Array.from({ length: replicas }, (_, place) => `replica-${place + 1}`);
    this.members = ids.map((id) => new Member(id, ids));
    this.#byId = new Map(this.members.map((member) => [member.id, member]));
    this.compacts = compacts;
    this.leader.raft.campaign();
    this.#settle(this.leader);
  }

  get leader(): Member {
    const [first] = this.members;
    if (first === undefined) throw new Error("a group has members");
    return first;
  }

  /** Proposes `count` commands, `together` in each proposal, and lets the group finish each. */
  commit(count: number, together: number): void {
    for (let done = 0; done < count; done += together) {
      this.now += 1;
      const commands = Array.from({ length: together }, () => commandOf(this.proposed++));
      this.leader.raft.tick(this.now);
      const { type } = this.leader.raft.propose(...commands);
      if (type !== "appended") throw new Error(`a proposal was ${type}`);
      this.#settle(this.leader);
    }
    for (const { id, applied } of this.members) {
      if (applied < this.proposed) throw new Error(`${id} applied ${applied} of ${this.proposed}`);
    }
  }

  #settle(first: Member): void {
    this.#drive(first);
    for (let next = 0; next < this.#inFlight.length; next += 1) {
      const message = this.#inFlight[next];
      const receiver = message === undefined ? undefined : this.#byId.get(message.to);
      if (message === undefined || receiver === undefined) continue;
      receiver.raft.tick(this.now);
      receiver.raft.step(message);
      this.#drive(receiver);
    }
    this.#inFlight.length = 0;
  }

  #drive(member: Member): void {
    const { raft, log } = member;
    for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
      this.#send(ready.sendNow);
      if (ready.persist !== undefined) log.append(ready.persist.entries);
      member.hardState = ready.persist?.hardState ?? member.hardState;
      member.applied = ready.committed.at(-1)?.index ?? member.applied;
      raft.advance({ persisted: ready.sequence, applied: member.applied });
      this.#send(ready.sendAfterPersist);
    }
    if (this.compacts && member.applied >= (member.snapshot?.last.index ?? 0) + COMPACT_EVERY) {
      member.snapshot = raft.describeSnapshot(member.applied, "");
      raft.snapshotTaken(member.snapshot);
      log.cutThrough(member.applied - TAIL);
    }
  }

  #send(messages: readonly Message<string>[]): void {
    for (const message of messages) {
      this.#inFlight.push(message);
      if (!this.counting) continue;
      this.messages += 1;
      this.bytes += JSON.stringify(message).length;
    }
  }
}

function heapBytes(): number {
  // What one pass frees may keep something else alive until the next.
  for (let pass = 0; pass < 3; pass += 1) collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Bytes of heap that `size` entries cost, with the logs, and what is left of it when the cores are gone. */
function weigh(group: Group, size: number): { readonly all: number; readonly ofCores: number } {
  const before = heapBytes();
  group.commit(size, 100);
  const all = heapBytes() - before;
  // Others take the places of the cores that wrote the logs, which stay.
  const idle = new Group(group.members.length, false).members.map(({ raft }) => raft);
  const withCores = heapBytes();
  for (const [place, member] of group.members.entries()) member.raft = idle[place] ?? member.raft;
  return { all, ofCores: Math.max(0, withCores - heapBytes()) };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

/** Milliseconds of processor time, the median of `rounds`: what else the machine does counts less that way. */
function timed(work: () => void): number {
  return median(
    Array.from({ length: rounds }, () => {
      const began = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1_000;
    }),
  );
}

function row(cells: readonly (string | number)[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

function thousands(number: number): string {
  return Math.round(number).toLocaleString("en");
}

/** The code is compiled and optimized before anything is measured. */
new Group(3, true).commit(20_000, 1);
new Group(5, false).commit(20_000, 100);

row([
  "replicas",
  "log",
  "entries before",
  "in each proposal",
  "proposals/s",
  "entries/s",
  "µs per entry",
  "messages per entry",
  "bytes per entry",
]);
row(Array.from({ length: 9 }, () => "---"));
for (const replicas of [3, 5]) {
  for (const compacts of [false, true]) {
    for (const size of sizes) {
      const group = new Group(replicas, compacts);
      group.commit(size, 100);
      for (const together of [1, 100]) {
        const took = timed(() => group.commit(measured, together));
        group.counting = true;
        group.messages = 0;
        group.bytes = 0;
        group.commit(measured, together);
        group.counting = false;
        row([
          replicas,
          compacts ? "compacted" : "whole",
          thousands(size),
          together,
          thousands((1_000 * measured) / together / took),
          thousands((1_000 * measured) / took),
          ((1_000 * took) / measured).toFixed(2),
          (group.messages / measured).toFixed(2),
          thousands(group.bytes / measured),
        ]);
      }
    }
  }
}

console.log();
row([
  "replicas",
  "log",
  "entries",
  "heap of all, logs included",
  "heap of one core",
  "restart",
  "status of the leader",
]);
row(Array.from({ length: 7 }, () => "---"));
for (const replicas of [3, 5]) {
  for (const compacts of [false, true]) {
    for (const size of sizes) {
      const group = new Group(replicas, compacts);
      const { all, ofCores } = weigh(group, size);
      const { raft } = group.leader;
      const looks = 10_000;
      const looked = timed(() => {
        for (let look = 0; look < looks; look += 1) if (raft.status.term < 1) throw new Error("no term");
      });
      const restarted = timed(() => {
        group.leader.start(group.now);
      });
      row([
        replicas,
        compacts ? "compacted" : "whole",
        thousands(size),
        `${thousands(all / 1_024)} KiB`,
        `${thousands(ofCores / replicas / 1_024)} KiB`,
        `${restarted.toFixed(2)} ms`,
        `${((1_000 * looked) / looks).toFixed(2)} µs`,
      ]);
    }
  }
}
