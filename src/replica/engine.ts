/**
 * A founded replica at work: feeds the core with messages, time and requests, and carries its batches out in the order
 * that the core's contract demands. Sends first, then one synchronous transaction, then apply; whatever is sent from
 * then on is held back by the platform until the write is safe, and a failed write destroys the instance.
 *
 * Group commit: while one flush is under way, commands that arrive wait for the next batch; never more than one.
 */
import type { Command, Refused } from "../coordinator/commands.ts";
import {
  type Backlog,
  type Coordinator,
  createCoordinator,
  createMemoryRecords,
  knows,
} from "../coordinator/index.ts";
import { createRaft, type Raft, type Ready, type Refusal, type Status } from "../raft/index.ts";
import { Chain } from "./chain.ts";
import { bytesOf, type PeerMessage } from "./codec.ts";
import { Duties } from "./duties.ts";
import { Histogram } from "./histogram.ts";
import { Partitions } from "./partitions.ts";
import { nameOf, Peers, type PeersOptions } from "./peers.ts";
import { COMMAND_BYTES_MAX, Proposals, type ProposeAnswer } from "./proposals.ts";
import { type Grant, Reads } from "./reads.ts";
import type { Declined, HeartbeatResult, Leadership, Pull, WorkerHeartbeat } from "./rpc.ts";
import { BATCH_BYTES_MAX, type Store } from "./store.ts";

const CATCH_UP_PACE = 0.1;
const MEBIBYTE = 1024 * 1024;

export interface EngineOptions extends Omit<PeersOptions, "receive" | "unreachable" | "chain"> {
  readonly name: string;
  readonly store: Store;
  readonly sync: () => Promise<void>;
  /** The instance must not go on: it can no longer promise anything. */
  readonly abort: (reason: string) => void;
  readonly log: (text: string) => void;
}

/** Since this instance started. */
export interface EngineCounters {
  batches: number;
  commands: number;
  elections: number;
  /** Pulls answered, empty or not. */
  pulls: number;
}

export class Engine {
  readonly raft: Raft<Command>;
  readonly coordinator: Coordinator;
  readonly peers: Peers;
  readonly chain: Chain;
  readonly partitions: Partitions;
  /** From handing a batch to the disk until it is safe there. */
  readonly appendLatency = new Histogram();
  readonly counters: EngineCounters = { batches: 0, commands: 0, elections: 0, pulls: 0 };
  readonly #options: EngineOptions;
  readonly #proposals = new Proposals();
  readonly #reads = new Reads();
  #duties: Duties | undefined;
  #reign: { readonly role: Status["role"]; readonly leader: string | undefined; readonly term: number };
  #flushing = false;
  #flushed: Promise<void> = Promise.resolve();
  /** The event that follows the flush under way, if somebody waits for it. */
  #turn: Promise<void> | undefined;
  #attendedIndex = 0;
  /** How far the core's clock is behind, because this replica was held up; it catches up by degrees. */
  #behind = 0;
  #readAt = 0;
  #lookedAt = 0;
  #closed = false;
  appliedIndex = 0;
  #appliedSinceChanges = 0;
  /** Since when no leader is known here; meaningful only while none is. */
  leaderlessSince: number;

  constructor(options: EngineOptions) {
    const { store, configuration, id } = options;
    this.#options = options;
    this.coordinator = createCoordinator({ records: createMemoryRecords() });
    this.partitions = new Partitions(configuration.partition_detection_ms);
    this.chain = new Chain(configuration.invocation, options.now(), () => this.event(() => {}));
    this.peers = new Peers({
      ...options,
      chain: this.chain,
      receive: (messages) => this.receive(messages),
      unreachable: (peer) => this.event(() => this.raft.reportUnreachable(peer)),
    });
    this.raft = createRaft<Command>({
      id,
      restored: {
        hardState: store.hardState(),
        configuration: { type: "stable", voters: this.memberIds, learners: [] },
        applied: 0,
      },
      log: store,
      timing: {
        heartbeatInterval: configuration.heartbeat_ms,
        loyalty: configuration.loyalty_ms,
        electionTimeout: configuration.election_ms,
      },
      limits: {
        entryBytes: COMMAND_BYTES_MAX,
        messageBytes: 2 * MEBIBYTE,
        inFlightMessages: 64,
        inFlightBytes: 8 * MEBIBYTE,
        uncommittedBytes: 32 * MEBIBYTE,
        committedBytes: 4 * MEBIBYTE,
      },
      now: options.now(),
      random: Math.random,
      sizeOf: bytesOf,
      preVote: true,
      checkQuorum: true,
      reads: { type: "quorum" },
      forwardRequests: false,
      startQuiesced: false,
      resumeLeadership: false,
    });
    const { role, leader, term } = this.raft.status;
    this.#reign = { role, leader, term };
    this.leaderlessSince = options.now();
  }

  get id(): string {
    return this.#options.id;
  }

  get memberIds(): readonly string[] {
    return this.#options.founding.members.map((member) => `${member.name}.${member.incarnation}`);
  }

  /** Everything that happens runs through here: time first, then the input, then what the core wants done. */
  event(input: () => void): void {
    if (this.#closed) return;
    try {
      this.raft.tick(this.#now());
      input();
      this.#drain();
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * The engine's clock. A replica that was itself held up (a busy isolate, a long computation) cannot judge the others'
   * silence: their messages wait in its inbox. So the time by which its timer ran late does not count at once, it is
   * made up for at a tenth of the pace. Only elections depend on it; reads and commits never do.
   */
  #now(): number {
    const now = this.#options.now();
    const { due } = this.chain;
    if (due !== undefined) {
      const late = now - this.#behind - due;
      if (late > this.#options.configuration.heartbeat_ms) this.#behind += late;
      else this.#behind = Math.max(0, this.#behind - (now - this.#readAt) * CATCH_UP_PACE);
    }
    this.#readAt = now;
    // Whole milliseconds: entries are stamped with it.
    return now - Math.ceil(this.#behind);
  }

  receive(messages: readonly PeerMessage[]): void {
    this.event(() => {
      for (const message of messages) this.raft.step(message);
    });
  }

  /** A peer's request: what the core answers to it travels in the response. */
  answer(from: string, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    this.peers.heardFrom(from, this.#options.now());
    this.#options.store.touch();
    return this.peers.answering(from, () => this.receive(messages));
  }

  propose(command: Command): Promise<ProposeAnswer> {
    if (this.#closed) return Promise.resolve({ type: "stopped" });
    if (!knows(command)) {
      const detail = `this replica does not know ${command.type} of version ${command.v}: upgrade it, it runs older code than the router`;
      return Promise.resolve({ type: "unavailable", code: "version-unknown", detail, retry_after_ms: 1000 });
    }
    const full = this.#duties && this.coordinator.noRoom(command, this.#backlogLimits);
    if (full !== undefined) {
      const detail = `${full}; nothing was accepted, try again when some have ended`;
      return Promise.resolve({ type: "unavailable", code: "overloaded", detail, retry_after_ms: 5000 });
    }
    const answer = this.#proposals.enqueue(command);
    if (!this.#flushing) this.event(() => this.#appendQueued());
    else {
      // The first one that has to wait goes on after the flush, in its own invocation: a chain of flushes that
      // lived in the first one's would exhaust that invocation's subrequests.
      this.#turn ??= this.#afterFlush();
    }
    return answer;
  }

  async #afterFlush(): Promise<void> {
    while (this.#flushing) await this.#flushed;
    this.#turn = undefined;
    this.event(() => this.#appendQueued());
  }

  async pull(pull: Pull): Promise<ProposeAnswer> {
    const answer = await this.#duty((duties, now) => duties.pull(pull, now));
    if (answer.type === "applied") this.counters.pulls++;
    return answer;
  }

  heartbeat(beat: WorkerHeartbeat): HeartbeatResult | Refused | Declined {
    this.#options.store.touch();
    return this.#duty((duties) => duties.heartbeat(beat));
  }

  /** An index whose state makes a read linearizable, from a quorum round of this leader. */
  grantAsLeader(): Promise<Grant> {
    this.#options.store.touch();
    return this.#reads.round((id) => {
      let declined: Declined | undefined;
      this.event(() => {
        const outcome = this.raft.readIndex(id);
        if (outcome.type === "refused") declined = this.#declined(outcome.refusal);
      });
      return this.#closed ? { type: "stopped" } : declined;
    });
  }

  /** The same at any replica: one that does not lead asks the leader. */
  grant(): Promise<Grant> {
    if (this.raft.status.role === "leader") return this.grantAsLeader();
    return this.#reads.ask(async () => {
      const { leader } = this.raft.status;
      const grant = leader === undefined ? undefined : await this.peers.readIndex(leader);
      return grant ?? this.notLeader();
    });
  }

  reached(index: number, timeoutMs: number): Promise<boolean> {
    return this.#reads.reached(index, this.appliedIndex, timeoutMs);
  }

  get #backlogLimits(): Backlog {
    const { max_backlog, max_backlog_bytes } = this.#options.configuration;
    return { tasks: max_backlog, bytes: max_backlog_bytes };
  }

  get commitLatency(): Histogram {
    return this.#proposals.commitLatency;
  }

  get leadership(): Leadership {
    const { term, leader, role } = this.raft.status;
    return {
      name: this.#options.name,
      term,
      ...(leader === undefined ? {} : { leader: nameOf(leader) }),
      leads: role === "leader",
      ready: this.#duties !== undefined && this.reachesMajority,
    };
  }

  /** Whether a majority, this replica included, has been heard within the loyalty period. */
  get reachesMajority(): boolean {
    const { configuration, id, now } = this.#options;
    const since = now() - configuration.loyalty_ms;
    const members = this.memberIds;
    const heard = members.filter((peer) => peer === id || this.peers.heardAt(peer) >= since);
    return heard.length > members.length / 2;
  }

  notLeader(): Declined {
    const { leader, term } = this.raft.status;
    return { type: "not-leader", term, ...(leader === undefined ? {} : { leader: nameOf(leader) }) };
  }

  /** Ends all activity; whoever waits is told what is known. */
  close(answer: Declined): void {
    this.#closed = true;
    this.chain.stop();
    this.peers.close();
    this.#proposals.declineQueued(answer);
    this.#proposals.abandonAppended("the replica that led was stopped before the entry was committed");
    this.#reads.close(answer);
    this.#duties?.close(answer);
    this.#duties = undefined;
  }

  #duty<Result>(duty: (duties: Duties, now: number) => Result): Result | Declined {
    let result: Result | Declined = this.notLeader();
    this.event(() => {
      if (this.#duties) result = duty(this.#duties, this.#now());
    });
    return result;
  }

  #appendQueued(): void {
    const batch = this.#proposals.nextBatch(this.#options.configuration.max_batch_entries, BATCH_BYTES_MAX);
    if (batch.length === 0) return;
    const outcome = this.raft.propose(...batch.map((proposal) => proposal.command));
    if (outcome.type === "appended") {
      const { lastLog } = this.raft.status;
      this.#proposals.appended(batch, lastLog.index - batch.length + 1, lastLog.term);
      this.counters.batches++;
      this.counters.commands += batch.length;
      return;
    }
    const declined = outcome.type === "refused" ? this.#declined(outcome.refusal) : this.notLeader();
    for (const proposal of batch) proposal.settle(declined);
    this.#proposals.declineQueued(declined);
  }

  #drain(): void {
    let wrote = this.#carryOutAll();
    this.#observeReign();
    if (this.#duties) {
      this.#duties.attend(this.#now(), this.appliedIndex > this.#attendedIndex);
      this.#attendedIndex = this.appliedIndex;
      // Only before the event's first write: appends that are sent after it wait for the flush.
      if (!wrote && !this.#flushing) {
        this.#appendQueued();
        wrote = this.#carryOutAll();
      }
    }
    if (wrote) this.#flush();
    this.#lookForPartitions();
    this.#armChain();
  }

  /** Often enough for the detection period, and not with every event. */
  #lookForPartitions(): void {
    const now = this.#now();
    if (now - this.#lookedAt < this.#options.configuration.heartbeat_ms) return;
    this.#lookedAt = now;
    const { role, leader } = this.#reign;
    const others = this.memberIds.filter((id) => id !== this.id);
    this.partitions.look({
      now,
      leads: role === "leader",
      peers: new Map(others.map((id) => [id, this.peers.heardAt(id)])),
      leaderlessSince: leader === undefined ? this.leaderlessSince : undefined,
    });
  }

  /** For what is due next, but at least once per heartbeat: a timer is late only by what lies behind its instant. */
  #armChain(): void {
    const now = this.#now();
    const due = [this.raft.wakeAt, this.#duties?.nextDue].filter((instant) => instant !== undefined);
    const latest = now + this.#options.configuration.heartbeat_ms;
    this.chain.arm(due.length > 0 ? Math.max(now, Math.min(latest, ...due)) : undefined, now);
  }

  /** Whether anything was written. */
  #carryOutAll(): boolean {
    let wrote = false;
    for (let ready = this.raft.takeReady(); ready; ready = this.raft.takeReady()) {
      wrote = this.#carryOut(ready) || wrote;
    }
    return wrote;
  }

  #carryOut(ready: Ready<Command>): boolean {
    const { store } = this.#options;
    this.peers.send(ready.sendNow);
    let wrote = false;
    if (ready.persist) {
      if (ready.persist.mustSync) {
        store.write(ready.persist);
        wrote = true;
      } else if (ready.persist.hardState) store.hint(ready.persist.hardState);
    }
    for (const entry of ready.committed) {
      if (entry.type === "command") {
        const { outcome, replayed } = this.coordinator.apply(entry.command, entry);
        this.#proposals.applied(entry.index, entry.term, () => ({
          type: "applied",
          index: entry.index,
          term: entry.term,
          outcome,
          replayed,
        }));
      }
      this.appliedIndex = entry.index;
      if (entry.type === "barrier") this.#established(entry.term);
    }
    if (ready.committed.length > 0) this.#forgetChanges(ready.committed.length);
    this.raft.advance({
      persisted: ready.sequence,
      ...(ready.committed.length > 0 ? { applied: this.appliedIndex } : {}),
    });
    this.peers.send(ready.sendAfterPersist);
    for (const read of ready.reads) this.#reads.settle(read, this.raft.status.term);
    if (ready.committed.length > 0) this.#reads.applied(this.appliedIndex);
    return wrote;
  }

  /** Nothing is checkpointed yet: what changed is only kept from piling up. */
  #forgetChanges(applied: number): void {
    this.#appliedSinceChanges += applied;
    if (this.#appliedSinceChanges < this.#options.configuration.checkpoint_entries) return;
    this.#appliedSinceChanges = 0;
    this.coordinator.takeChanges();
  }

  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const began = this.#options.now();
    this.#flushed = this.#options.sync().then(
      () => {
        this.#flushing = false;
        this.appendLatency.observe(this.#options.now() - began);
        if (this.#proposals.queued > 0 && !this.#turn) this.event(() => this.#appendQueued());
      },
      (error) => {
        // Who waits for the flush must not wait for ever.
        this.#flushing = false;
        this.#fail(error);
      },
    );
  }

  /** The first entry of an own reign is committed: from here on the state is complete and the duties begin. */
  #established(term: number): void {
    const { status } = this.raft;
    if (status.role !== "leader" || status.term !== term || this.#duties) return;
    const { configuration, log } = this.#options;
    log(`raft: leadership established term=${term} index=${this.appliedIndex}`);
    this.#duties = new Duties({
      coordinator: this.coordinator,
      lease_ms: configuration.lease_ms,
      clock: this.#options.now,
      propose: (command) => this.#proposals.enqueue(command),
      wake: () => this.event(() => {}),
      place: () => ({ index: this.appliedIndex, term }),
    });
  }

  #observeReign(): void {
    const { role, leader, term } = this.raft.status;
    const before = this.#reign;
    if (before.role === role && before.leader === leader && before.term === term) return;
    this.#reign = { role, leader, term };
    if (before.leader !== undefined && leader === undefined) this.leaderlessSince = this.#options.now();
    const { log } = this.#options;
    if (before.role === "leader" && (role !== "leader" || before.term !== term)) {
      const declined = this.notLeader();
      this.#duties?.close(declined);
      this.#duties = undefined;
      this.#proposals.declineQueued(declined);
      this.#proposals.abandonAppended(
        `leadership of term ${before.term} was lost before the entry was committed`,
      );
      log(`raft: leadership lost term=${before.term} now_term=${term}`);
    }
    if (role === "leader" && before.role !== "leader") {
      this.counters.elections++;
      log(`raft: election won term=${term}`);
      log(`raft: entering leader state term=${term}`);
    } else if (role !== before.role || leader !== before.leader) {
      log(`raft: entering ${role} state term=${term} leader=${leader === undefined ? "" : nameOf(leader)}`);
    }
  }

  #declined(refusal: Refusal): Declined {
    const retry_after_ms = 1000;
    switch (refusal.type) {
      case "not-leader":
      case "transferring":
        return this.notLeader();
      case "overloaded":
        return {
          type: "unavailable",
          code: "overloaded",
          detail: "too much is waiting to be committed",
          retry_after_ms,
        };
      case "too-large":
        return {
          type: "unavailable",
          code: "too-large",
          detail: "the command exceeds 1 MiB",
          retry_after_ms,
        };
      default:
        return {
          type: "unavailable",
          code: "no-leader",
          detail: `the leader cannot commit now: ${refusal.type}`,
          retry_after_ms,
        };
    }
  }

  #fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log(`replica: stopping this instance: ${text}`);
    this.close({ type: "outcome-unknown", detail: "the replica failed and starts anew" });
    this.#options.abort(text);
  }
}
