/**
 * What a leader knows about one other replica, and when it may send it entries: one append at a
 * time while looking for the point where the logs agree, a bounded stream of them once it is found,
 * none while a snapshot is under way.
 */
import type { Limits, Timing } from "./options.ts";
import type { Progress } from "./status.ts";
import type { LogIndex, Millis, Round } from "./vocabulary.ts";

interface InFlight {
  readonly last: LogIndex;
  readonly bytes: number;
  readonly sentAt: Millis;
}

export class PeerProgress {
  /** The peer's log is known to agree up to here, durably. Never moves back. */
  matched: LogIndex = 0;
  /** First entry of the next append. */
  next: LogIndex;

  /** When the peer was last heard in this term; for a fresh leader, when its reign began. */
  heardAt: Millis;
  /** When anything was last sent to the peer. */
  contactedAt: Millis;
  /** The newest round sent to the peer, and the newest one it has echoed. */
  roundSent: Round = 0;
  roundEchoed: Round = 0;
  /** The newest round in which the peer agreed to fall silent. */
  agreedIn: Round = 0;
  /** When the newest round that it has echoed began. */
  confirmedAt: Millis = Number.NEGATIVE_INFINITY;
  /** The highest commit index the peer can have learnt, had nothing been lost. */
  commitSent: LogIndex = 0;
  /** When the peer is to hear at the latest that what it holds is committed, unless entries follow before. */
  noticeDueAt: Millis | undefined;

  readonly #timing: Timing;
  #type: "probe" | "replicate" | "snapshot" = "probe";
  /** When the outstanding probe was sent. */
  #probedAt: Millis | undefined;
  /** The snapshot on its way, by its last index. */
  #offered: { readonly index: LogIndex; readonly at: Millis } = { index: 0, at: 0 };
  #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  #mayHaveLost = false;

  constructor(next: LogIndex, now: Millis, timing: Timing) {
    this.#timing = timing;
    this.next = next;
    this.heardAt = now;
    this.contactedAt = now - timing.heartbeatInterval;
  }

  /** Whether entries may be sent now, if there are any. */
  mayStream(limits: Limits): boolean {
    if (this.#type === "snapshot") return false;
    if (this.#type === "probe") return this.#probedAt === undefined;
    return this.#inFlight.length < limits.inFlightMessages && this.#inFlightBytes < limits.inFlightBytes;
  }

  /** Whether an append without entries should ask if what was streamed has arrived. */
  get mayHaveLost(): boolean {
    return this.#mayHaveLost;
  }

  /**
   * Whether it is worth asking if the logs agree before `next`, even if there is nothing to send
   * after it: a follower whose snapshot arrived but whose answer was lost has nothing else coming.
   */
  get isInDoubt(): boolean {
    return this.#type === "probe" && this.matched < this.next - 1;
  }

  /**
   * Whether everything up to `commit` has been sent and no append has gone unanswered for as long as
   * `patience`. What is under way says more than a number of entries: it adapts to load and link.
   */
  keepsUp(commit: LogIndex, now: Millis, patience: Millis): boolean {
    if (this.#type !== "replicate" || this.next <= commit) return false;
    const [oldest] = this.#inFlight;
    return oldest === undefined || now < oldest.sentAt + patience;
  }

  /** An append ending at `last` went out. */
  sent(last: LogIndex, bytes: number, now: Millis): void {
    if (this.#type === "probe") {
      this.#probedAt = now;
      return;
    }
    this.#mayHaveLost = false;
    if (last < this.next) return;
    this.next = last + 1;
    this.#inFlight.push({ last, bytes, sentAt: now });
    this.#inFlightBytes += bytes;
  }

  /** A snapshot ending at `index` is on its way. Appends wait until it is installed or given up. */
  offered(index: LogIndex, now: Millis): void {
    this.#probeFrom(index + 1);
    this.#type = "snapshot";
    this.#offered = { index, at: now };
  }

  /**
   * How the transfer ended. Either way the next word is the follower's: its answer says how far its
   * log agrees now, and a heartbeat answer that it is there to be asked, or offered to, again.
   */
  snapshotReported(result: "delivered" | "failed", now: Millis): void {
    if (this.#type !== "snapshot") return;
    this.#probeFrom(result === "delivered" ? this.#offered.index + 1 : this.matched + 1);
    this.#probedAt = now;
  }

  /** The peer's log agrees up to `through`; `readable` if the log can be continued from there. */
  acknowledged(through: LogIndex, readable: boolean): void {
    if (through < this.matched) return;
    this.matched = through;
    if (this.#type === "snapshot" && !readable) return;
    this.next = Math.max(this.next, through + 1);
    if (this.#type !== "replicate") {
      this.#probeFrom(through + 1);
      this.#type = "replicate";
    }
    while ((this.#inFlight[0]?.last ?? Number.POSITIVE_INFINITY) <= through) {
      this.#inFlightBytes -= this.#inFlight.shift()?.bytes ?? 0;
    }
  }

  /**
   * The peer has no entry equal to ours at `at`; `agreeing` is the last place where the logs may
   * still agree. Says nothing if it answers an append that later events have overtaken.
   */
  conflicted(at: LogIndex, agreeing: LogIndex): void {
    if (this.#type === "snapshot") return;
    const expected = this.#type === "probe" ? at === this.next - 1 : at < this.next;
    if (!expected || at <= this.matched) return;
    this.#probeFrom(Math.max(this.matched, Math.min(agreeing, at - 1)) + 1);
  }

  /** After a silence: the peer has had no reason to be heard, and is to hear of it at once. */
  woken(now: Millis): void {
    this.heardAt = now;
    this.contactedAt = now - this.#timing.heartbeatInterval;
  }

  /** Something sent to the peer is known not to have arrived. */
  unreachable(): void {
    // A probe in doubt stays outstanding until the peer is heard again, or a dead peer would be probed in a loop.
    if (this.#type === "replicate") this.#probeFrom(this.matched + 1);
  }

  /**
   * The peer answers heartbeats. Appends unanswered for longer than a heartbeat interval may have
   * been lost: a probe is repeated, a stream asks. Nothing else frees a window whose appends were
   * all lost. A snapshot has a time limit of its own, should its host forget to report.
   */
  alive(now: Millis): void {
    const { heartbeatInterval, snapshotTimeout } = this.#timing;
    if (this.#type === "snapshot") {
      if (now >= this.#offered.at + (snapshotTimeout ?? Number.POSITIVE_INFINITY)) {
        this.#probeFrom(this.matched + 1);
      }
      return;
    }
    const since = this.#type === "probe" ? this.#probedAt : this.#inFlight[0]?.sentAt;
    if (since === undefined || now < since + heartbeatInterval) return;
    this.#probedAt = undefined;
    this.#mayHaveLost = this.#type === "replicate";
  }

  get view(): Progress {
    const { matched, next } = this;
    if (this.#type === "snapshot") return { type: "snapshot", matched, offered: this.#offered.index };
    return this.#type === "probe"
      ? { type: "probe", matched, next, waiting: this.#probedAt !== undefined }
      : {
          type: "replicate",
          matched,
          next,
          inFlight: { messages: this.#inFlight.length, bytes: this.#inFlightBytes },
        };
  }

  #probeFrom(next: LogIndex): void {
    this.#type = "probe";
    this.#probedAt = undefined;
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.#mayHaveLost = false;
    this.next = next;
  }
}
