/**
 * One reign: everything a replica knows only while it leads, forgotten as a whole when it stops.
 *
 * Nothing is sent at the moment it becomes possible. {@link Leadership.fanOut} looks once per batch
 * at what each peer still needs and sends the least that covers it, so many proposals, a new commit
 * index and a read round travel in the same append. A peer for which no append is due gets at most
 * one heartbeat, and only for one of three reasons: it was left in silence for `heartbeatInterval`;
 * a read waits for its confirmation; or it holds entries that it does not know to be committed and
 * the log is at rest. While more entries are under way, an append that follows or the end of the
 * burst brings the news, so that under load the commit index costs no message of its own.
 */
import type { Configurations } from "./configurations.ts";
import type { RaftLog } from "./log.ts";
import type { Configuration } from "./membership.ts";
import type { AppendOutcome, AppendRequest, Heartbeat, Message } from "./messages.ts";
import type { Limits, Timing } from "./options.ts";
import { PeerProgress } from "./progress.ts";
import { isVoter, quorumReached, replicasOf } from "./quorum.ts";
import { ReadRounds } from "./reads.ts";
import type { ReadResult } from "./requests.ts";
import type { Progress } from "./status.ts";
import type { LogIndex, Millis, ReplicaId, Round, Term } from "./vocabulary.ts";

export interface Reign<Command> {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly configurations: Configurations;
  readonly log: RaftLog<Command>;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly now: Millis;
}

export class Leadership<Command> {
  readonly reads = new ReadRounds();
  readonly #reign: Reign<Command>;
  /** Index of the entry that opens the term. */
  readonly #barrier: LogIndex;
  readonly #peers = new Map<ReplicaId, PeerProgress>();
  /** Proposals of this reign that are not committed, by their last index. */
  readonly #uncommitted: { readonly through: LogIndex; readonly bytes: number }[] = [];
  #uncommittedBytes = 0;

  /** To be created directly before the barrier is appended. */
  constructor(reign: Reign<Command>) {
    this.#reign = reign;
    this.#barrier = reign.log.last.index + 1;
    this.#admit(this.#barrier, reign.now);
  }

  get #configuration(): Configuration {
    const { configurations, id, term } = this.#reign;
    const { current } = configurations;
    if (current === undefined) throw new Error(`${id} leads term ${term} without a configuration`);
    return current;
  }

  /** The configuration in force, just appended, says who receives the log from now on. */
  reconfigured(now: Millis): void {
    const members = replicasOf(this.#configuration);
    for (const peer of this.#peers.keys()) {
      if (!members.includes(peer)) this.#peers.delete(peer);
    }
    this.#admit(this.#reign.log.last.index, now);
  }

  #admit(next: LogIndex, now: Millis): void {
    const { id, timing } = this.#reign;
    for (const peer of replicasOf(this.#configuration)) {
      if (peer === id || this.#peers.has(peer)) continue;
      this.#peers.set(peer, new PeerProgress(next, now, timing.heartbeatInterval));
    }
  }

  /** Whether an entry of this term is committed, and with it everything that was before it. */
  get isEstablished(): boolean {
    return this.#reign.log.commit >= this.#barrier;
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
    const { id, log } = this.#reign;
    const agreed = quorumReached(this.#configuration, (voter) =>
      voter === id ? log.durable : (this.#peers.get(voter)?.matched ?? 0),
    );
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
      peer.acknowledged(outcome.through);
    }
  }

  onHeartbeatResponse(from: ReplicaId, round: Round, now: Millis): void {
    const peer = this.#peers.get(from);
    if (peer === undefined) return;
    this.#heard(peer, round, now);
    peer.alive(now, this.#reign.timing.heartbeatInterval);
  }

  unreachable(peer: ReplicaId): void {
    this.#peers.get(peer)?.unreachable();
  }

  /** The instant up to which a majority, this replica included, is known to have been there. */
  #quorumHeardAt(now: Millis): Millis {
    return quorumReached(this.#configuration, (voter) =>
      voter === this.#reign.id ? now : (this.#peers.get(voter)?.heardAt ?? Number.NEGATIVE_INFINITY),
    );
  }

  /** When a majority will have been silent for too long, if nothing more is heard. */
  silentAt(now: Millis): Millis {
    return this.#quorumHeardAt(now) + this.#reign.timing.loyalty;
  }

  quorumIsSilent(now: Millis): boolean {
    return now >= this.silentAt(now);
  }

  /** When the next heartbeat is due; `undefined` if there is nobody to send one to. */
  heartbeatDueAt(): Millis | undefined {
    let due: Millis | undefined;
    for (const { contactedAt } of this.#peers.values()) {
      due = Math.min(due ?? Number.POSITIVE_INFINITY, this.#dueAt(contactedAt));
    }
    return due;
  }

  /** Sends every peer what it needs now. */
  fanOut(now: Millis, send: (message: Message<Command>) => void): void {
    this.reads.begin(Math.max(this.#reign.log.commit, this.#barrier));
    for (const [id, peer] of this.#peers) {
      const appended = this.#stream(id, peer, now, send);
      if (!appended && this.#needsHeartbeat(id, peer, now)) send(this.#heartbeat(id, peer, now));
    }
  }

  settleReads(): readonly ReadResult[] {
    const { id, log } = this.#reign;
    const { round } = this.reads;
    const confirmed = quorumReached(this.#configuration, (voter) =>
      voter === id ? round : (this.#peers.get(voter)?.roundEchoed ?? 0),
    );
    return this.reads.settle(confirmed, log.commit);
  }

  get progress(): ReadonlyMap<ReplicaId, Progress> {
    return new Map(Array.from(this.#peers, ([id, peer]) => [id, peer.view]));
  }

  #heard(peer: PeerProgress, round: Round, now: Millis): void {
    peer.heardAt = now;
    if (round <= this.reads.round) peer.roundEchoed = Math.max(peer.roundEchoed, round);
  }

  #stream(
    id: ReplicaId,
    peer: PeerProgress,
    now: Millis,
    send: (message: Message<Command>) => void,
  ): boolean {
    const { log, limits } = this.#reign;
    let sent = false;
    for (;;) {
      const due = peer.next <= log.last.index && peer.mayStream(limits);
      if (!due && !peer.mayHaveLost) break;
      const previous = peer.next - 1;
      const term = log.termAt(previous);
      // The log was cut beyond what this peer has: only a snapshot helps it.
      if (term === undefined) break;
      const run = due ? log.read(peer.next, limits.messageBytes) : { entries: [], bytes: 0 };
      send(this.#append(id, peer, { term, index: previous }, run.entries, now));
      peer.sent(previous + run.entries.length, run.bytes, now);
      sent = true;
    }
    return sent;
  }

  #append(
    to: ReplicaId,
    peer: PeerProgress,
    previous: AppendRequest<Command>["previous"],
    entries: AppendRequest<Command>["entries"],
    now: Millis,
  ): AppendRequest<Command> {
    const { id, term, log } = this.#reign;
    const { commit } = log;
    this.#contacted(peer, Math.min(commit, previous.index + entries.length), now);
    return { type: "append-request", from: id, to, term, previous, entries, commit, round: this.reads.round };
  }

  #needsHeartbeat(id: ReplicaId, peer: PeerProgress, now: Millis): boolean {
    const { log } = this.#reign;
    return (
      now >= this.#dueAt(peer.contactedAt) ||
      (log.commit === log.last.index && Math.min(log.commit, peer.matched) > peer.commitSent) ||
      (peer.roundSent < this.reads.round && isVoter(this.#configuration, id))
    );
  }

  /** The one place that adds: whoever wakes at this instant must find it reached, whatever was rounded. */
  #dueAt(contactedAt: Millis): Millis {
    return contactedAt + this.#reign.timing.heartbeatInterval;
  }

  #heartbeat(to: ReplicaId, peer: PeerProgress, now: Millis): Heartbeat {
    const { id, term, log } = this.#reign;
    const commit = Math.min(log.commit, peer.matched);
    this.#contacted(peer, commit, now);
    return { type: "heartbeat", from: id, to, term, commit, round: this.reads.round, quiesce: false };
  }

  #contacted(peer: PeerProgress, commit: LogIndex, now: Millis): void {
    peer.contactedAt = now;
    peer.roundSent = this.reads.round;
    peer.commitSent = Math.max(peer.commitSent, commit);
  }
}
