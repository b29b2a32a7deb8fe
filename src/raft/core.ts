/**
 * The replica: term, vote and role, and what each message, tick and request does to them. What only
 * a leader knows lives in {@link Leadership}, what only a candidate knows in {@link Candidacy}, the
 * entries in {@link RaftLog}. Sections cited are those of the Raft paper (extended version) unless
 * the thesis is named.
 */

import type { Configurations } from "./configurations.ts";
import type { Entry } from "./entries.ts";
import { Leadership } from "./leadership.ts";
import type { RaftLog } from "./log.ts";
import type { Configuration, MembershipChange } from "./membership.ts";
import type {
  AppendRequest,
  AppendResponse,
  Heartbeat,
  HeartbeatResponse,
  Message,
  PreVoteRequest,
  PreVoteResponse,
  VoteRequest,
  VoteResponse,
} from "./messages.ts";
import { NotBuilt } from "./not-built.ts";
import type { RaftOptions } from "./options.ts";
import { isQuorum, isVoter, votersOf } from "./quorum.ts";
import type { Raft } from "./raft.ts";
import type { Advance, Ready } from "./ready.ts";
import type { Outcome, ReadId, ReadResult, Refusal } from "./requests.ts";
import { checkOptions, restore } from "./restore.ts";
import type { Candidacy, Role } from "./role.ts";
import type { Status, TraceEvent } from "./status.ts";
import type { HardState, SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, LogPosition, Millis, ReplicaId, Term } from "./vocabulary.ts";

/**
 * Bring a replica to life. Throws if the restored state contradicts itself or an option is out of
 * range, and {@link NotBuilt} for an option that does not work yet.
 */
export function createRaft<Command>(options: RaftOptions<Command>): Raft<Command> {
  checkOptions(options);
  return new Core(options);
}

class Core<Command> implements Raft<Command> {
  readonly #options: RaftOptions<Command>;
  readonly #id: ReplicaId;
  readonly #log: RaftLog<Command>;
  readonly #configurations: Configurations;

  #now: Millis;
  #term: Term;
  #vote: ReplicaId | undefined;
  /** Whom this replica follows, or would tell a client to ask. */
  #leader: ReplicaId | undefined;
  #role: Role<Command> = { type: "follower" };
  /** Absent while this replica may not campaign or need not. */
  #electionDueAt: Millis | undefined;
  /** Until then campaigns against `#leader` are disregarded. An instant: sleep does not prolong it. */
  #loyalUntil: Millis = Number.NEGATIVE_INFINITY;

  #sequence = 0;
  #persistedSequence = 0;
  #applied: LogIndex;
  /** The hard state of the newest batch that carried one, and those still being written. */
  #handedOut: HardState;
  #writing: { readonly sequence: number; readonly hardState: HardState }[] = [];
  #sendNow: Message<Command>[] = [];
  #sendAfterPersist: Message<Command>[] = [];
  #reads: ReadResult[] = [];

  constructor(options: RaftOptions<Command>) {
    const { log, configurations } = restore(options);
    const { hardState, applied } = options.restored;
    this.#options = options;
    this.#id = options.id;
    this.#log = log;
    this.#configurations = configurations;
    this.#now = options.now;
    this.#term = hardState.term;
    this.#vote = hardState.vote;
    this.#leader = hardState.leader === options.id ? undefined : hardState.leader;
    this.#applied = applied;
    this.#handedOut = this.#hardState();
    this.#waitForLeader();
    // Alone, there is nobody to wait for.
    if (this.#mayCampaign() && this.#voters().length === 1) this.#electionDueAt = options.now;
  }

  // Time

  tick(now: Millis): void {
    // A clock that was set back stands still until it has caught up.
    this.#now = Math.max(this.#now, now);
    if (this.#role.type === "leader") {
      if (this.#options.checkQuorum && this.#quorumIsSilent(this.#role.leadership)) {
        this.#becomeFollower(this.#term, undefined);
      }
    } else if (this.#electionDueAt !== undefined && this.#electionDueAt <= this.#now) {
      this.campaign();
    }
  }

  get wakeAt(): Millis | undefined {
    if (this.#role.type !== "leader") return this.#electionDueAt;
    const { leadership } = this.#role;
    const heartbeat = leadership.heartbeatDueAt();
    if (heartbeat === undefined || !this.#options.checkQuorum) return heartbeat;
    return Math.min(heartbeat, leadership.quorumHeardAt(this.#now) + this.#options.timing.loyalty);
  }

  // Messages

  step(message: Message<Command>): void {
    if (message.to !== this.#id || message.from === this.#id) return;
    this.#trace("received", message);
    switch (message.type) {
      case "pre-vote-request":
        this.#onPreVoteRequest(message);
        break;
      case "pre-vote-response":
        this.#onPreVoteResponse(message);
        break;
      case "vote-request":
        this.#onVoteRequest(message);
        break;
      case "vote-response":
        this.#onVoteResponse(message);
        break;
      case "append-request":
        this.#onAppendRequest(message);
        break;
      case "heartbeat":
        this.#onHeartbeat(message);
        break;
      case "append-response":
      case "heartbeat-response":
        this.#onFollowerResponse(message);
        break;
      // Parts of the contract that are not built: such a message may always be lost.
      case "snapshot-offer":
      case "timeout-now":
      case "forward":
      case "read-grant":
        break;
    }
  }

  /** Changes nothing here, not even the term: a replica that was cut off must be able to ask in vain. */
  #onPreVoteRequest({ from, term, lastLog }: PreVoteRequest): void {
    const granted =
      this.#configuration !== undefined &&
      !this.#hearsLeader() &&
      (term > this.#term || (term === this.#term && this.#voteIsFreeFor(from))) &&
      this.#log.isCoveredBy(lastLog);
    this.#send({
      type: "pre-vote-response",
      from: this.#id,
      to: from,
      term: granted ? term : this.#term,
      granted,
    });
  }

  #onPreVoteResponse({ from, term, granted }: PreVoteResponse): void {
    if (!granted && term > this.#term) this.#becomeFollower(term, undefined);
    if (this.#role.type !== "pre-candidate" || (granted && term !== this.#term + 1)) return;
    this.#count(this.#role, from, granted);
  }

  #onVoteRequest({ from, term, lastLog, transfer }: VoteRequest): void {
    if (term > this.#term) {
      // Thesis §4.2.3. No answer, or the candidate's term would spread by it.
      if (this.#options.checkQuorum && !transfer && this.#hearsLeader()) return;
      this.#becomeFollower(term, undefined);
    }
    const granted =
      term === this.#term &&
      this.#configuration !== undefined &&
      this.#voteIsFreeFor(from) &&
      this.#log.isCoveredBy(lastLog);
    if (granted) {
      this.#vote = from;
      this.#waitForLeader();
    }
    this.#sendDurably({ type: "vote-response", from: this.#id, to: from, term: this.#term, granted });
  }

  #onVoteResponse({ from, term, granted }: VoteResponse): void {
    if (term > this.#term) this.#becomeFollower(term, undefined);
    if (this.#role.type !== "candidate" || term !== this.#term) return;
    this.#count(this.#role, from, granted);
  }

  #onAppendRequest(message: AppendRequest<Command>): void {
    if (!isContiguous(message) || !this.#follow(message)) return;
    const { from, previous, entries, commit, round } = message;
    const placed = this.#log.place(previous, entries);
    // The peer denies what is certain here. This replica is not in doubt, the peer is.
    if (placed.type === "impossible") return;
    if (placed.type === "matched") {
      this.#adopt(placed.added);
      this.#commitTo(Math.min(commit, placed.through));
    }
    this.#sendDurably({
      type: "append-response",
      from: this.#id,
      to: from,
      term: this.#term,
      outcome:
        placed.type === "matched"
          ? { type: "matched", through: placed.through }
          : { type: "conflict", at: previous.index, hint: placed.hint },
      round,
    });
  }

  #onHeartbeat(message: Heartbeat): void {
    if (!this.#follow(message)) return;
    // A leader promises no more than what it knows to match; anything else was not meant for this log.
    if (message.commit <= this.#log.last.index) this.#commitTo(message.commit);
    this.#answerHeartbeat(message);
  }

  /**
   * Whether the sender leads the current term, after taking it on if it is new. A former leader is
   * told the newer term, which also frees a replica whose term has run ahead of the others' (§5.1).
   */
  #follow(message: AppendRequest<Command> | Heartbeat): boolean {
    const { from, term } = message;
    if (term < this.#term) {
      this.#answerHeartbeat(message);
      return false;
    }
    if (term > this.#term || this.#role.type === "pre-candidate" || this.#role.type === "candidate") {
      this.#becomeFollower(term, from);
    }
    // Never two leaders in one term: whoever claims it cannot be believed.
    if (this.#role.type === "leader" || (this.#leader ?? from) !== from) return false;
    this.#leader = from;
    this.#loyalUntil = this.#now + this.#options.timing.loyalty;
    this.#waitForLeader();
    return true;
  }

  #answerHeartbeat({ from, round }: AppendRequest<Command> | Heartbeat): void {
    this.#sendDurably({
      type: "heartbeat-response",
      from: this.#id,
      to: from,
      term: this.#term,
      round,
      quiesced: false,
    });
  }

  #onFollowerResponse(message: AppendResponse | HeartbeatResponse): void {
    if (message.term > this.#term) this.#becomeFollower(message.term, undefined);
    if (this.#role.type !== "leader" || message.term !== this.#term) return;
    const { leadership } = this.#role;
    if (message.type === "append-response") {
      leadership.onAppendResponse(message.from, message.outcome, message.round, this.#now);
      this.#commitTo(leadership.committable());
    } else {
      leadership.onHeartbeatResponse(message.from, message.round, this.#now);
    }
  }

  // Requests

  propose(...commands: readonly Command[]): Outcome {
    if (commands.length === 0) throw new Error("propose needs at least one command");
    if (this.#role.type !== "leader") return refused(this.#notLeader());
    const { leadership } = this.#role;
    const { limits, sizeOf } = this.#options;
    let bytes = 0;
    for (const command of commands) {
      const size = sizeOf(command);
      if (size > limits.entryBytes) return refused({ type: "too-large" });
      bytes += size;
    }
    if (this.#quorumIsSilent(leadership)) return refused({ type: "quorum-silent" });
    if (!leadership.hasRoomFor(bytes)) return refused({ type: "overloaded" });

    const time = this.#entryTime();
    const first = this.#log.last.index + 1;
    this.#append(
      commands.map((command, offset) => ({
        type: "command",
        term: this.#term,
        index: first + offset,
        time,
        command,
      })),
    );
    leadership.proposed(this.#log.last.index, bytes);
    return { type: "appended", position: this.#log.last };
  }

  readIndex(id: ReadId): Outcome {
    if (this.#role.type !== "leader") return refused(this.#notLeader());
    const { leadership } = this.#role;
    if (this.#quorumIsSilent(leadership)) return refused({ type: "quorum-silent" });
    leadership.reads.ask(id);
    return { type: "started" };
  }

  campaign(): void {
    if (this.#role.type === "leader" || !this.#mayCampaign()) return;
    if (this.#options.preVote) this.#becomePreCandidate();
    else this.#becomeCandidate();
  }

  reportUnreachable(peer: ReplicaId): void {
    if (this.#role.type === "leader") this.#role.leadership.unreachable(peer);
  }

  /** Membership changes are not built: every one is refused. */
  proposeMembership(_changes: readonly MembershipChange[]): Outcome {
    return refused({ type: "invalid-change", reason: "membership changes are not built yet" });
  }

  leaveJointConfiguration(): Outcome {
    throw new NotBuilt("leaveJointConfiguration");
  }

  transferLeadership(_successor: ReplicaId): Outcome {
    throw new NotBuilt("transferLeadership");
  }

  reportSnapshot(_peer: ReplicaId, _result: "delivered" | "failed"): void {
    throw new NotBuilt("reportSnapshot");
  }

  describeSnapshot(_at: LogIndex, _handle: string): SnapshotDescriptor {
    throw new NotBuilt("describeSnapshot");
  }

  snapshotTaken(_snapshot: SnapshotDescriptor): void {
    throw new NotBuilt("snapshotTaken");
  }

  // Batches

  takeReady(): Ready<Command> | undefined {
    if (this.#role.type === "leader") {
      const { leadership } = this.#role;
      leadership.fanOut(this.#now, (message) => this.#send(message));
      this.#reads.push(...leadership.settleReads());
    }
    const sequence = this.#sequence + 1;
    const entries = this.#log.takeUnwritten(sequence);
    const committed = this.#log.takeCommitted(this.#options.limits.committedBytes);
    const hardState = this.#hardState();
    const before = this.#handedOut;
    const promises = hardState.term !== before.term || hardState.vote !== before.vote;
    const hints = hardState.commit !== before.commit || hardState.leader !== before.leader;
    const persists = promises || hints || entries.length > 0;
    const sends = this.#sendNow.length + this.#sendAfterPersist.length > 0;
    if (!persists && !sends && committed.length === 0 && this.#reads.length === 0) return undefined;

    this.#sequence = sequence;
    if (promises || hints) {
      this.#handedOut = hardState;
      this.#writing.push({ sequence, hardState });
    }
    const ready: Ready<Command> = {
      sequence,
      sendNow: this.#sendNow,
      ...(persists && {
        persist: {
          entries,
          ...((promises || hints) && { hardState }),
          mustSync: promises || entries.length > 0,
        },
      }),
      sendAfterPersist: this.#sendAfterPersist,
      committed,
      reads: this.#reads,
    };
    this.#sendNow = [];
    this.#sendAfterPersist = [];
    this.#reads = [];
    return ready;
  }

  advance({ persisted, applied }: Advance): void {
    if (persisted !== undefined && persisted > this.#persistedSequence) this.#persisted(persisted);
    if (applied !== undefined && applied > this.#applied) {
      if (applied > this.#log.delivered) {
        throw new Error(
          `index ${applied} cannot be applied: entries were handed out up to ${this.#log.delivered}`,
        );
      }
      this.#applied = applied;
    }
  }

  #persisted(sequence: number): void {
    if (sequence > this.#sequence) {
      throw new Error(`batch ${sequence} cannot be durable: ${this.#sequence} were taken`);
    }
    this.#persistedSequence = sequence;
    this.#log.written(sequence);
    let durable: HardState | undefined;
    while ((this.#writing[0]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) {
      durable = this.#writing.shift()?.hardState;
    }
    if (this.#role.type === "leader") this.#commitTo(this.#role.leadership.committable());
    // A candidate's own vote counts like any other: once it survives a crash.
    if (this.#role.type === "candidate" && durable?.term === this.#term && durable.vote === this.#id) {
      this.#count(this.#role, this.#id, true);
    }
  }

  // Observation

  get status(): Status {
    const base = {
      id: this.#id,
      term: this.#term,
      ...(this.#vote !== undefined && { vote: this.#vote }),
      ...(this.#leader !== undefined && { leader: this.#leader }),
      lastLog: this.#log.last,
      commit: this.#log.commit,
      applied: this.#applied,
      ...(this.#configuration !== undefined && { configuration: this.#configuration }),
      quiesced: false,
    };
    const role = this.#role;
    if (role.type === "leader") return { ...base, role: "leader", progress: role.leadership.progress };
    if (role.type !== "follower") return { ...base, role: role.type, votes: new Map(role.votes) };
    return { ...base, role: isVoter(this.#configuration, this.#id) ? "follower" : "learner" };
  }

  // Changes of role

  #becomeFollower(term: Term, leader: ReplicaId | undefined): void {
    const role = this.#role;
    if (term > this.#term) {
      this.#term = term;
      this.#vote = undefined;
    }
    this.#leader = leader;
    this.#role = { type: "follower" };
    if (role.type === "leader") {
      this.#reads.push(...role.leadership.reads.abort(this.#notLeader()));
      this.#waitForLeader();
    }
    this.#trace("became-follower");
  }

  #becomePreCandidate(): void {
    const candidacy: Candidacy = { type: "pre-candidate", votes: new Map() };
    this.#role = candidacy;
    // Whoever campaigns has given its leader up, or its peers' pre-votes would be refused for it.
    this.#leader = undefined;
    this.#waitForLeader();
    for (const to of this.#otherVoters()) {
      const term = this.#term + 1;
      this.#send({ type: "pre-vote-request", from: this.#id, to, term, lastLog: this.#log.last });
    }
    // Nothing is promised by it, so there is no disk to wait for.
    this.#count(candidacy, this.#id, true);
  }

  #becomeCandidate(): void {
    this.#role = { type: "candidate", votes: new Map() };
    this.#term += 1;
    this.#vote = this.#id;
    this.#leader = undefined;
    this.#waitForLeader();
    this.#trace("became-candidate");
    for (const to of this.#otherVoters()) {
      this.#sendDurably({
        type: "vote-request",
        from: this.#id,
        to,
        term: this.#term,
        lastLog: this.#log.last,
        transfer: false,
      });
    }
  }

  #becomeLeader(configuration: Configuration): void {
    const { timing, limits } = this.#options;
    const leadership = new Leadership<Command>({
      id: this.#id,
      term: this.#term,
      configuration,
      log: this.#log,
      timing,
      limits,
      now: this.#now,
    });
    this.#role = { type: "leader", leadership };
    this.#leader = this.#id;
    this.#electionDueAt = undefined;
    this.#trace("became-leader");
    const index = this.#log.last.index + 1;
    this.#append([{ type: "barrier", term: this.#term, index, time: this.#entryTime() }]);
  }

  #count(candidacy: Candidacy, voter: ReplicaId, granted: boolean): void {
    const configuration = this.#configuration;
    if (configuration === undefined) return;
    // Repeated or overtaken refusals do not take back what was granted.
    if (candidacy.votes.get(voter) !== true) candidacy.votes.set(voter, granted);
    if (!isQuorum(configuration, (id) => candidacy.votes.get(id) === true)) return;
    if (candidacy.type === "pre-candidate") this.#becomeCandidate();
    else this.#becomeLeader(configuration);
  }

  // Small steps

  get #configuration(): Configuration | undefined {
    return this.#configurations.current;
  }

  #voters(): readonly ReplicaId[] {
    return this.#configuration === undefined ? [] : votersOf(this.#configuration);
  }

  #otherVoters(): readonly ReplicaId[] {
    return this.#voters().filter((voter) => voter !== this.#id);
  }

  #mayCampaign(): boolean {
    return isVoter(this.#configuration, this.#id);
  }

  #hearsLeader(): boolean {
    return this.#role.type === "leader" || (this.#leader !== undefined && this.#now < this.#loyalUntil);
  }

  #voteIsFreeFor(candidate: ReplicaId): boolean {
    return this.#vote === candidate || (this.#vote === undefined && this.#leader === undefined);
  }

  #quorumIsSilent(leadership: Leadership<Command>): boolean {
    return this.#now - leadership.quorumHeardAt(this.#now) >= this.#options.timing.loyalty;
  }

  #notLeader(): Refusal {
    return { type: "not-leader", ...(this.#leader !== undefined && { leader: this.#leader }) };
  }

  /** Begins a new wait, drawn anew so that replicas do not keep timing out together (§9.3). */
  #waitForLeader(): void {
    const [min, max] = this.#options.timing.electionTimeout;
    this.#electionDueAt = this.#mayCampaign()
      ? this.#now + min + this.#options.random() * (max - min)
      : undefined;
  }

  #entryTime(): Millis {
    return Math.max(this.#now, this.#log.lastTime);
  }

  /** The leader's own entries. */
  #append(entries: readonly Entry<Command>[]): void {
    this.#log.append(entries);
    this.#trace("appended");
  }

  /** What a leader's entries changed here, besides the log. */
  #adopt(added: readonly Entry<Command>[]): void {
    const [first] = added;
    if (first === undefined) return;
    let reconfigured = this.#configurations.truncateFrom(first.index);
    for (const entry of added) {
      if (entry.type !== "configuration") continue;
      this.#configurations.append(entry.index, entry.configuration);
      reconfigured = true;
    }
    this.#trace("appended");
    if (!reconfigured) return;
    this.#waitForLeader();
    this.#trace("configured");
  }

  #commitTo(index: LogIndex): void {
    if (!this.#log.commitTo(index)) return;
    this.#configurations.committed(index);
    if (this.#role.type === "leader") this.#role.leadership.committed(index);
    this.#trace("committed");
  }

  #hardState(): HardState {
    return {
      term: this.#term,
      ...(this.#vote !== undefined && { vote: this.#vote }),
      commit: this.#log.commit,
      ...(this.#leader !== undefined && { leader: this.#leader }),
    };
  }

  #send(message: Message<Command>): void {
    this.#sendNow.push(message);
    this.#trace("sent", message);
  }

  /** For what must still be true after a crash. */
  #sendDurably(message: Message<Command>): void {
    this.#sendAfterPersist.push(message);
    this.#trace("sent", message);
  }

  #trace(type: TraceEvent["type"], message?: Message<Command>): void {
    this.#options.trace?.({
      type,
      id: this.#id,
      term: this.#term,
      lastLog: this.#log.last,
      commit: this.#log.commit,
      ...(message !== undefined && { message }),
    });
  }
}

function refused(refusal: Refusal): Outcome {
  return { type: "refused", refusal };
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
