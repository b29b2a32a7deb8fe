/**
 * What a leader sends, decided once per batch. Nothing is sent at the moment it becomes possible:
 * {@link FanOut.send} looks at what each peer still needs and sends the least that covers it, so many
 * proposals, a new commit index and a read round travel in the same append. A peer for which no
 * append is due gets at most one heartbeat, and only for one of three reasons: it was left in silence
 * for `heartbeatInterval`; a new round has begun, usually for a read; or it holds entries that it does not
 * know to be committed, and the log has been at rest for `commitNoticeAfter`. Until then an append
 * that follows brings the news, so that under load the commit index costs no message of its own.
 */
import type { Reign } from "./leadership.ts";
import type { AppendRequest, Heartbeat, Message } from "./messages.ts";
import type { Peers } from "./peers.ts";
import type { PeerProgress } from "./progress.ts";
import type { LogIndex, Millis, ReplicaId, Round } from "./vocabulary.ts";

/** What every message of one fan-out has in common. */
interface Occasion<Command> {
  readonly now: Millis;
  /** The newest round begun. */
  readonly round: Round;
  /** Whether this round proposes silence. */
  readonly quiesce: boolean;
  readonly send: (message: Message<Command>) => void;
}

export class FanOut<Command> {
  readonly #reign: Reign<Command>;
  readonly #peers: Peers;

  constructor(reign: Reign<Command>, peers: Peers) {
    this.#reign = reign;
    this.#peers = peers;
  }

  /** When the next heartbeat is due; `undefined` if there is nobody to send one to. */
  heartbeatDueAt(): Millis | undefined {
    let due: Millis | undefined;
    for (const peer of this.#peers.values()) {
      const noticeDueAt = this.#hasNews(peer) ? peer.noticeDueAt : undefined;
      const peerDueAt = Math.min(this.#dueAt(peer.contactedAt), noticeDueAt ?? Number.POSITIVE_INFINITY);
      due = Math.min(due ?? Number.POSITIVE_INFINITY, peerDueAt);
    }
    return due;
  }

  /** Sends every peer what it needs now. */
  send(occasion: Occasion<Command>): void {
    for (const [id, peer] of this.#peers.entries()) {
      const appended = this.#stream(id, peer, occasion);
      if (!appended && this.#needsHeartbeat(id, peer, occasion)) {
        occasion.send(this.#heartbeat(id, peer, occasion));
      }
    }
  }

  /** Whether anything was appended. */
  #stream(id: ReplicaId, peer: PeerProgress, occasion: Occasion<Command>): boolean {
    const { log, limits } = this.#reign;
    let sent = false;
    for (;;) {
      const due = (peer.next <= log.last.index || peer.isInDoubt) && peer.mayStream(limits);
      if (!due && !peer.mayHaveLost) break;
      const previous = peer.next - 1;
      const term = log.termAt(previous);
      if (term === undefined) {
        this.#offerSnapshot(id, peer, occasion);
        break;
      }
      const filled = due && peer.next <= log.last.index;
      const run = filled ? log.read(peer.next, limits.messageBytes) : { entries: [], bytes: 0 };
      occasion.send(this.#append(id, peer, { term, index: previous }, run.entries, occasion));
      peer.sent(previous + run.entries.length, run.bytes, occasion.now);
      sent = true;
    }
    return sent;
  }

  /** The log was cut beyond what this peer has. Until there is a snapshot, nothing helps it. */
  #offerSnapshot(to: ReplicaId, peer: PeerProgress, { now, round, send }: Occasion<Command>): void {
    const { id: from, term } = this.#reign;
    const snapshot = this.#reign.snapshot();
    if (snapshot === undefined || snapshot.last.index < peer.next) return;
    peer.offered(snapshot.last.index, now);
    send({ type: "snapshot-offer", from, to, term, snapshot, round });
  }

  #append(
    to: ReplicaId,
    peer: PeerProgress,
    previous: AppendRequest<Command>["previous"],
    entries: AppendRequest<Command>["entries"],
    occasion: Occasion<Command>,
  ): AppendRequest<Command> {
    const { id: from, term, log } = this.#reign;
    const { commit } = log;
    const { round } = occasion;
    this.#contacted(peer, Math.min(commit, previous.index + entries.length), occasion);
    return { type: "append-request", from, to, term, previous, entries, commit, round };
  }

  #needsHeartbeat(id: ReplicaId, peer: PeerProgress, { now, round, quiesce }: Occasion<Command>): boolean {
    return (
      now >= this.#dueAt(peer.contactedAt) ||
      this.#owesNotice(peer, now) ||
      (peer.roundSent < round && (quiesce || this.#peers.votes(id)))
    );
  }

  /** Whether the log is at rest and the peer holds entries that it does not know to be committed. */
  #hasNews({ matched, commitSent }: PeerProgress): boolean {
    const { log } = this.#reign;
    return log.commit === log.last.index && Math.min(log.commit, matched) > commitSent;
  }

  #owesNotice(peer: PeerProgress, now: Millis): boolean {
    if (!this.#hasNews(peer)) {
      peer.noticeDueAt = undefined;
      return false;
    }
    peer.noticeDueAt ??= now + (this.#reign.timing.commitNoticeAfter ?? 0);
    return now >= peer.noticeDueAt;
  }

  /** The one place that adds: whoever wakes at this instant must find it reached, whatever was rounded. */
  #dueAt(contactedAt: Millis): Millis {
    return contactedAt + this.#reign.timing.heartbeatInterval;
  }

  #heartbeat(to: ReplicaId, peer: PeerProgress, occasion: Occasion<Command>): Heartbeat {
    const { id: from, term, log } = this.#reign;
    const { round, quiesce } = occasion;
    const commit = Math.min(log.commit, peer.matched);
    this.#contacted(peer, commit, occasion);
    return { type: "heartbeat", from, to, term, commit, round, quiesce };
  }

  #contacted(peer: PeerProgress, commit: LogIndex, { now, round }: Occasion<Command>): void {
    peer.contactedAt = now;
    peer.noticeDueAt = undefined;
    peer.roundSent = round;
    peer.commitSent = Math.max(peer.commitSent, commit);
  }
}
