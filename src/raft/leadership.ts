/**
 * One reign: everything a replica knows only while it leads, forgotten as a whole when it stops.
 * What it sends is decided in {@link FanOut}; what it knows of each follower is in `progress.ts`.
 */
import type { Configurations } from "./configurations.ts";
import { FanOut } from "./fan-out.ts";
import type { RaftLog } from "./log.ts";
import type { AppendOutcome, Message } from "./messages.ts";
import type { Limits, Timing } from "./options.ts";
import { Peers } from "./peers.ts";
import type { PeerProgress } from "./progress.ts";
import { OpenReads, type Reader } from "./reads.ts";
import type { Refusal } from "./requests.ts";
import { Rounds } from "./rounds.ts";
import type { Progress } from "./status.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, Millis, ReplicaId, Round, Term } from "./vocabulary.ts";

export interface Reign<Command> {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly configurations: Configurations;
  readonly log: RaftLog<Command>;
  /** The newest one held durably. */
  readonly snapshot: () => SnapshotDescriptor | undefined;
  readonly timing: Timing;
  readonly limits: Limits;
  /** What a clock may gain over another within `timing.loyalty`; absent if leases are off. */
  readonly maxDrift: Millis | undefined;
  /** Rounds up to here may have been used earlier in this term. */
  readonly usedRounds: Round;
  readonly now: Millis;
}

/** A hand-over under way. */
interface Transfer {
  readonly successor: ReplicaId;
  readonly until: Millis;
  urgedAt?: Millis;
}

export class Leadership<Command> {
  readonly reads = new OpenReads();
  readonly #rounds: Rounds;
  readonly #reign: Reign<Command>;
  /** Index of the entry that opens the term. */
  readonly #barrier: LogIndex;
  readonly #peers: Peers;
  readonly #fanOut: FanOut<Command>;
  /** Proposals of this reign that are not committed, by their last index. */
  readonly #uncommitted: { readonly through: LogIndex; readonly bytes: number }[] = [];
  #uncommittedBytes = 0;
  #transfer: Transfer | undefined;
  /**
   * Whoever was asked to campaign may do so at any time from then on, however late the request
   * arrives, and voters will not be loyal.
   */
  #leaseForfeited = false;
  /** When the host or a follower last asked for anything. */
  #activeAt: Millis;
  /** The round in which silence is proposed. */
  #silence: Round | undefined;
  #mustBeginRound = false;

  /** To be created directly before the barrier is appended. */
  constructor(reign: Reign<Command>) {
    this.#reign = reign;
    this.#barrier = reign.log.last.index + 1;
    this.#peers = new Peers(reign.id, reign.configurations, reign.timing);
    this.#peers.reconfigured(this.#barrier, reign.now);
    this.#fanOut = new FanOut(reign, this.#peers);
    this.#rounds = new Rounds(reign.usedRounds);
    this.#activeAt = reign.now;
  }

  /** The configuration in force, just appended, says who receives the log from now on. */
  reconfigured(now: Millis): void {
    this.#peers.reconfigured(this.#reign.log.last.index, now);
  }

  /** Whether an entry of this term is committed, and with it everything that was before it. */
  get isEstablished(): boolean {
    return this.#reign.log.commit >= this.#barrier;
  }

  /** Why neither the membership nor the leader may be changed now, if so. */
  mayNotChange(now: Millis): Refusal | undefined {
    const { configurations, log } = this.#reign;
    if (this.#transfer !== undefined) return { type: "transferring", successor: this.#transfer.successor };
    if (this.quorumIsSilent(now)) return { type: "quorum-silent" };
    if (!this.isEstablished) return { type: "term-not-established" };
    if (configurations.index > log.commit) return { type: "change-in-progress" };
    return undefined;
  }

  /** Whether `replica` has been sent all that is committed and answers without undue delay. */
  keepsUp(replica: ReplicaId, now: Millis): boolean {
    const { log, timing } = this.#reign;
    return this.#peers.get(replica)?.keepsUp(log.commit, now, timing.loyalty) ?? false;
  }

  matchedBy(replica: ReplicaId): LogIndex {
    return this.#peers.get(replica)?.matched ?? 0;
  }

  /** The highest index that may be committed: counting copies commits entries of this term only (§5.4.2). */
  committable(): LogIndex {
    const agreed = this.#peers.reached(this.#reign.log.durable, ({ matched }) => matched);
    return agreed >= this.#barrier ? agreed : 0;
  }

  committed(index: LogIndex): void {
    while ((this.#uncommitted[0]?.through ?? Number.POSITIVE_INFINITY) <= index) {
      this.#uncommittedBytes -= this.#uncommitted.shift()?.bytes ?? 0;
    }
  }

  /** Whether `bytes` more may wait to be committed. One proposal always may, whatever its size. */
  hasRoomFor(bytes: number): boolean {
    return (
      this.#uncommittedBytes === 0 || this.#uncommittedBytes + bytes <= this.#reign.limits.uncommittedBytes
    );
  }

  proposed(through: LogIndex, bytes: number): void {
    this.#uncommitted.push({ through, bytes });
    this.#uncommittedBytes += bytes;
  }

  onAppendResponse(from: ReplicaId, outcome: AppendOutcome, round: Round, now: Millis): void {
    const peer = this.#peers.get(from);
    if (peer === undefined) return;
    const { log } = this.#reign;
    this.#heard(peer, round, now);
    if (outcome.type === "conflict") {
      const { at, hint } = outcome;
      peer.conflicted(at, log.lastWithin(Math.min(peer.matched, hint.index), hint.index, hint.term).index);
    } else if (outcome.through <= log.last.index) {
      peer.acknowledged(outcome.through, log.termAt(outcome.through) !== undefined);
    }
  }

  onHeartbeatResponse(from: ReplicaId, round: Round, quiesced: boolean, now: Millis): void {
    const peer = this.#peers.get(from);
    if (peer === undefined) return;
    this.#heard(peer, round, now);
    if (quiesced && round <= this.#rounds.newest) peer.agreedIn = Math.max(peer.agreedIn, round);
    peer.alive(now);
  }

  unreachable(peer: ReplicaId): void {
    this.#peers.get(peer)?.unreachable();
  }

  snapshotReported(peer: ReplicaId, result: "delivered" | "failed", now: Millis): void {
    this.#peers.get(peer)?.snapshotReported(result, now);
  }

  /** Whom leadership is being handed over to. */
  get successor(): ReplicaId | undefined {
    return this.#transfer?.successor;
  }

  handOver(successor: ReplicaId, now: Millis): void {
    this.active(now);
    this.#transfer = { successor, until: now + this.#reign.timing.loyalty };
  }

  /** When a hand-over under way is given up. */
  get handOverEndsAt(): Millis {
    return this.#transfer?.until ?? Number.POSITIVE_INFINITY;
  }

  giveUpHandOver(): void {
    this.#transfer = undefined;
  }

  /** When a majority will have been silent for too long, if nothing more is heard. */
  silentAt(now: Millis): Millis {
    return this.#peers.reached(now, ({ heardAt }) => heardAt) + this.#reign.timing.loyalty;
  }

  quorumIsSilent(now: Millis): boolean {
    return now >= this.silentAt(now);
  }

  /** When the next heartbeat is due; `undefined` if there is nobody to send one to. */
  heartbeatDueAt(): Millis | undefined {
    return this.#fanOut.heartbeatDueAt();
  }

  active(now: Millis): void {
    this.#activeAt = now;
  }

  /** Everybody is to hear of it, in a round of its own by which they know it from the last one. */
  woken(now: Millis): void {
    this.active(now);
    this.#silence = undefined;
    this.#mustBeginRound = true;
    for (const peer of this.#peers.values()) peer.woken(now);
  }

  /** Whether all that are heard have agreed to fall silent, and nothing has happened since. */
  mayFallSilent(now: Millis): boolean {
    const silence = this.#silence;
    if (silence === undefined || !this.#hasNothingToDo(now)) return false;
    return this.#heardLately(now).every(({ agreedIn }) => agreedIn >= silence);
  }

  #hasNothingToDo(now: Millis): boolean {
    const { log, timing } = this.#reign;
    const { index } = log.last;
    if (now < this.#activeAt + (timing.quiesceAfter ?? Number.POSITIVE_INFINITY)) return false;
    if (this.#transfer !== undefined || !this.reads.isEmpty) return false;
    if (log.commit < index || log.durable < index || this.quorumIsSilent(now)) return false;
    return this.#heardLately(now).every(({ matched }) => matched === index);
  }

  /** A follower that cannot be reached keeps nobody awake. */
  #heardLately(now: Millis): readonly PeerProgress[] {
    const { loyalty } = this.#reign.timing;
    return Array.from(this.#peers.values()).filter(({ heardAt }) => now < heardAt + loyalty);
  }

  /** Sends every peer what it needs now. */
  fanOut(now: Millis, send: (message: Message<Command>) => void): void {
    const idle = this.#hasNothingToDo(now);
    if (!idle && this.#silence !== undefined) {
      // Whoever agreed knows by a newer round that nothing came of it.
      this.#silence = undefined;
      this.#mustBeginRound = true;
    }
    if (this.reads.needRound) {
      this.reads.open(this.#beginRound(now), Math.max(this.#reign.log.commit, this.#barrier));
    } else if (this.#mustBeginRound || this.#leaseIsDue(now)) {
      this.#beginRound(now);
    }
    if (idle) this.#silence ??= this.#beginRound(now);
    this.#fanOut.send({ now, round: this.#rounds.newest, quiesce: this.#silence !== undefined, send });
    this.#urgeSuccessor(now, send);
  }

  #leaseIsDue(now: Millis): boolean {
    const { maxDrift, timing } = this.#reign;
    return maxDrift !== undefined && now >= this.#rounds.newestBegunAt + timing.heartbeatInterval;
  }

  get newestRound(): Round {
    return this.#rounds.newest;
  }

  #beginRound(now: Millis): Round {
    this.#mustBeginRound = false;
    return this.#rounds.begin(now, now - this.#reign.timing.loyalty);
  }

  /** Once its log is complete, and again from time to time: the message may be lost. */
  #urgeSuccessor(now: Millis, send: (message: Message<Command>) => void): void {
    const { id: from, term, log, timing } = this.#reign;
    const transfer = this.#transfer;
    if (transfer === undefined || this.matchedBy(transfer.successor) < log.last.index) return;
    if (now < (transfer.urgedAt ?? Number.NEGATIVE_INFINITY) + timing.heartbeatInterval) return;
    transfer.urgedAt = now;
    this.#leaseForfeited = true;
    send({ type: "timeout-now", from, to: transfer.successor, term, expected: log.last });
  }

  /** Reads that are confirmed, and the index that they may be answered at. */
  settleReads(): { readonly readers: readonly Reader[]; readonly index: LogIndex } {
    if (this.reads.isEmpty) return { readers: [], index: 0 };
    const confirmed = this.#peers.reached(this.#rounds.newest, ({ roundEchoed }) => roundEchoed);
    return this.reads.settle(confirmed, this.#reign.log.commit);
  }

  /**
   * Until when no other leader can have been elected: a majority will vote for nobody else while
   * `loyalty` has not passed since it received a round, which was not before the round began.
   */
  leaseUntil(now: Millis): Millis | undefined {
    const { maxDrift, timing } = this.#reign;
    if (maxDrift === undefined || this.#leaseForfeited || this.#transfer !== undefined) return undefined;
    const confirmed = this.#peers.reached(now, ({ confirmedAt }) => confirmedAt);
    return Number.isFinite(confirmed) ? confirmed + timing.loyalty - maxDrift : undefined;
  }

  get progress(): ReadonlyMap<ReplicaId, Progress> {
    return this.#peers.view;
  }

  #heard(peer: PeerProgress, round: Round, now: Millis): void {
    peer.heardAt = now;
    if (round > this.#rounds.newest) return;
    peer.roundEchoed = Math.max(peer.roundEchoed, round);
    peer.confirmedAt = Math.max(peer.confirmedAt, this.#rounds.begunAt(round));
  }
}
