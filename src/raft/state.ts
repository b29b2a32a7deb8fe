/**
 * Term, vote, role and clock of one replica, and the steps by which they change. The rules that
 * decide when they change are in `elections.ts` and `following.ts`, requests in `core.ts`; what
 * only a leader knows is in {@link Leadership}.
 */
import { append, entryTime } from "./appending.ts";
import type { Configurations } from "./configurations.ts";
import { ForwardedReads } from "./forwarded-reads.ts";
import { Leadership } from "./leadership.ts";
import type { RaftLog } from "./log.ts";
import type { Configuration } from "./membership.ts";
import type { Message, TermEnvelope } from "./messages.ts";
import type { RaftOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { isVoter, votersOf } from "./quorum.ts";
import type { Reader } from "./reads.ts";
import type { ReadId, Refusal } from "./requests.ts";
import { restore } from "./restore.ts";
import { start } from "./silence.ts";
import type { TraceEvent } from "./status.ts";
import type { HardState, SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, Millis, ReplicaId, Round, Term } from "./vocabulary.ts";

/** A campaign under way: asking whether an election could be won, or holding it. */
export interface Candidacy {
  readonly type: "pre-candidate" | "candidate";
  readonly votes: Map<ReplicaId, boolean>;
}

/** A learner follows like any other replica: the configuration, not the role, says who votes. */
export type Role<Command> =
  | { readonly type: "follower" }
  | Candidacy
  | { readonly type: "leader"; readonly leadership: Leadership<Command> };

/** A write per round would cost more than an election; a restart wastes what is left of these. */
const ROUNDS_RESERVED_AT_ONCE = 1_000;

export class ReplicaState<Command> {
  readonly options: RaftOptions<Command>;
  readonly id: ReplicaId;
  readonly log: RaftLog<Command>;
  readonly outbox: Outbox<Command>;
  readonly configurations: Configurations;

  now: Millis;
  term: Term;
  vote: ReplicaId | undefined;
  #leader: ReplicaId | undefined;
  role: Role<Command> = { type: "follower" };
  /** The newest one held durably. */
  snapshot: SnapshotDescriptor | undefined;
  /** The newest of its leader's rounds that reached this replica in this term. */
  roundSeen: Round = 0;
  /** The round in which this replica agreed to silence, if it is silent. */
  silentRound: Round | undefined;
  /** What a replica does when it is woken: one that led before it restarted in silence need not wait. */
  onWaking: "wait" | "campaign" | "lead" = "wait";
  /** Rounds up to here may have been used in this term; see {@link HardState.rounds}. */
  #reservedRounds: Round;
  /** Absent while this replica may not campaign or need not. */
  electionDueAt: Millis | undefined;
  /** Until then other campaigns are disregarded. An instant: sleep does not prolong it. */
  #loyalUntil: Millis = Number.NEGATIVE_INFINITY;
  readonly forwardedReads: ForwardedReads;

  constructor(options: RaftOptions<Command>) {
    const { log, configurations } = restore(options);
    const { hardState } = options.restored;
    this.options = options;
    this.id = options.id;
    this.log = log;
    this.configurations = configurations;
    this.snapshot = options.restored.snapshot;
    this.now = options.now;
    this.term = hardState.term;
    this.vote = hardState.vote;
    // Having led before is no reason to send anybody here now.
    this.#leader = hardState.leader === options.id ? undefined : hardState.leader;
    this.#reservedRounds = hardState.rounds ?? 0;
    this.outbox = new Outbox(this.hardState);
    this.forwardedReads = new ForwardedReads(options.timing.electionTimeout[1], options.random);
    // It may have been loyal directly before it stopped, and a lease may count on that.
    if (this.#grantsLeases) this.#loyalUntil = options.now + options.timing.loyalty;
    start(this);
  }

  get quiesced(): boolean {
    return this.silentRound !== undefined;
  }

  /** There is nobody else to wait for, or the others wait for this replica. */
  campaignSoon(): void {
    this.electionDueAt = Math.max(this.now, this.#loyalUntil);
  }

  /** Whom this replica follows, or would tell a client to ask. */
  get leader(): ReplicaId | undefined {
    return this.#leader;
  }

  believeIn(leader: ReplicaId | undefined): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.abort(this.forwardedReads.end());
  }

  get #grantsLeases(): boolean {
    return this.options.reads.type === "lease";
  }

  /** Whether a lease may count on this replica not to vote, whoever it last heard. */
  get owesLoyalty(): boolean {
    return this.#grantsLeases && this.now < this.#loyalUntil;
  }

  /** In force, whether or not committed. */
  get configuration(): Configuration | undefined {
    return this.configurations.current;
  }

  get otherVoters(): readonly ReplicaId[] {
    const { configuration } = this;
    return configuration === undefined ? [] : votersOf(configuration).filter((voter) => voter !== this.id);
  }

  get mayCampaign(): boolean {
    return isVoter(this.configuration, this.id);
  }

  /** Whether there is a leader whom a campaign would disturb. */
  get hearsLeader(): boolean {
    if (this.role.type === "leader" || this.owesLoyalty) return true;
    return this.#leader !== undefined && this.now < this.#loyalUntil;
  }

  get hardState(): HardState {
    return {
      term: this.term,
      ...(this.vote !== undefined && { vote: this.vote }),
      commit: this.log.commit,
      ...(this.leader !== undefined && { leader: this.leader }),
      ...(this.#reservedRounds > 0 && { rounds: this.#reservedRounds }),
    };
  }

  /** A round is about to be used: it must not be, in this term, once more after a restart. */
  reserveRounds(used: Round): void {
    if (this.options.resumeLeadership && used > this.#reservedRounds) {
      this.#reservedRounds = used + ROUNDS_RESERVED_AT_ONCE - 1;
    }
  }

  get notLeader(): Refusal {
    return { type: "not-leader", ...(this.leader !== undefined && { leader: this.leader }) };
  }

  /** Begins a new wait, drawn anew so that replicas do not keep timing out together (§9.3). */
  waitForLeader(): void {
    const [min, max] = this.options.timing.electionTimeout;
    // Whole milliseconds: a host whose clock knows no others would be woken too early again and again.
    const wait = min + Math.floor(this.options.random() * (max - min));
    this.electionDueAt = this.mayCampaign && !this.quiesced ? this.now + wait : undefined;
  }

  /**
   * Takes a message that only the leader of its term sends, and says whether that is the leader of
   * the current term as far as this replica can know; a newer term is taken on first.
   */
  follow({ from, term, round = 0 }: TermEnvelope & { readonly round?: Round }): boolean {
    if (term < this.term) return false;
    const campaigning = this.role.type === "pre-candidate" || this.role.type === "candidate";
    if (term > this.term || campaigning) this.becomeFollower(term, from);
    // Never two leaders in one term: a second one cannot be believed.
    if (this.role.type === "leader" || (this.leader ?? from) !== from) return false;
    this.believeIn(from);
    this.roundSeen = Math.max(this.roundSeen, round);
    this.#loyalUntil = this.now + this.options.timing.loyalty;
    this.waitForLeader();
    return true;
  }

  /** Takes on `term` if it is newer. A wait under way goes on: learning a term is no sign of a leader. */
  becomeFollower(term: Term, leader: ReplicaId | undefined): void {
    const { role } = this;
    this.believeIn(leader);
    if (term > this.term) {
      this.#enter(term);
      this.vote = undefined;
    }
    this.role = { type: "follower" };
    if (role.type === "leader") {
      // Other replicas give their reads up themselves when they learn of this.
      const local = role.leadership.reads.end().filter(({ from }) => from === undefined);
      this.abort(local.map(({ id }) => id));
      this.waitForLeader();
    }
    this.trace("became-follower");
  }

  #enter(term: Term): void {
    this.term = term;
    this.roundSeen = 0;
    this.#reservedRounds = 0;
    this.abort(this.forwardedReads.end());
  }

  becomeCandidate(): void {
    this.believeIn(undefined);
    this.#enter(this.term + 1);
    this.vote = this.id;
    this.role = { type: "candidate", votes: new Map() };
    this.waitForLeader();
    this.trace("became-candidate");
  }

  becomeLeader(): void {
    const { id, term, log, now } = this;
    const { timing, limits, reads } = this.options;
    const leadership = new Leadership<Command>({
      id,
      term,
      configurations: this.configurations,
      log,
      snapshot: () => this.snapshot,
      timing,
      limits,
      maxDrift: reads.type === "lease" ? reads.maxDrift : undefined,
      usedRounds: this.#reservedRounds,
      now,
    });
    this.role = { type: "leader", leadership };
    this.believeIn(id);
    this.reserveRounds(this.#reservedRounds + 1);
    this.electionDueAt = undefined;
    this.trace("became-leader");
    append(this, [{ type: "barrier", term, index: log.last.index + 1, time: entryTime(this) }]);
  }

  /** Answers whoever asked: the host, or another replica on behalf of its own. */
  grant(readers: readonly Reader[], index: LogIndex): void {
    for (const { id, from: to } of readers) {
      if (to === undefined) this.outbox.answer([{ type: "granted", id, index }]);
      else this.send({ type: "read-grant", from: this.id, to, term: this.term, id, index });
    }
  }

  abort(ids: readonly ReadId[]): void {
    const refusal = this.notLeader;
    this.outbox.answer(ids.map((id) => ({ type: "aborted", id, refusal })));
  }

  send(message: Message<Command>): void {
    // A leader that may resume must find in its log whatever it ever sent.
    if (this.options.resumeLeadership) this.outbox.sendDurably(message);
    else this.outbox.send(message);
    this.trace("sent", message);
  }

  sendDurably(message: Message<Command>): void {
    this.outbox.sendDurably(message);
    this.trace("sent", message);
  }

  trace(type: TraceEvent["type"], message?: Message<Command>): void {
    this.options.trace?.({
      type,
      id: this.id,
      term: this.term,
      lastLog: this.log.last,
      commit: this.log.commit,
      ...(message !== undefined && { message }),
    });
  }
}
