/**
 * What a leader knows about one other replica, and when it may send it entries: one append at a
 * time while looking for the point where the logs agree, a bounded stream of them once it is found.
 */
import type { Limits } from "./options.ts";
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
  /** The highest commit index the peer can have learnt, had nothing been lost. */
  commitSent: LogIndex = 0;

  #type: "probe" | "replicate" = "probe";
  /** When the outstanding probe was sent. */
  #probedAt: Millis | undefined;
  #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  #mayHaveLost = false;

  constructor(next: LogIndex, now: Millis, heartbeatInterval: Millis) {
    this.next = next;
    this.heardAt = now;
    this.contactedAt = now - heartbeatInterval;
  }

  /** Whether entries may be sent now, if there are any. */
  mayStream(limits: Limits): boolean {
    if (this.#type === "probe") return this.#probedAt === undefined;
    return this.#inFlight.length < limits.inFlightMessages && this.#inFlightBytes < limits.inFlightBytes;
  }

  /** Whether an append without entries should ask if what was streamed has arrived. */
  get mayHaveLost(): boolean {
    return this.#mayHaveLost;
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

  /** The peer's log agrees up to `through`. True if that is news. */
  acknowledged(through: LogIndex): boolean {
    if (through < this.matched) return false;
    const news = through > this.matched;
    this.matched = through;
    this.next = Math.max(this.next, through + 1);
    if (this.#type === "probe") {
      this.#type = "replicate";
      this.#probedAt = undefined;
      this.next = through + 1;
    }
    while ((this.#inFlight[0]?.last ?? Number.POSITIVE_INFINITY) <= through) {
      this.#inFlightBytes -= this.#inFlight.shift()?.bytes ?? 0;
    }
    return news;
  }

  /**
   * The peer has no entry equal to ours at `at`; `agreeing` is the last place where the logs may
   * still agree. Says nothing if it answers an append that later events have overtaken.
   */
  conflicted(at: LogIndex, agreeing: LogIndex): void {
    const expected = this.#type === "probe" ? at === this.next - 1 : at < this.next;
    if (!expected || at <= this.matched) return;
    this.#probeFrom(Math.max(this.matched, Math.min(agreeing, at - 1)) + 1);
  }

  /** Something sent to the peer is known not to have arrived. */
  unreachable(): void {
    // A probe in doubt stays outstanding until the peer is heard again, or a dead peer would be probed in a loop.
    if (this.#type === "replicate") this.#probeFrom(this.matched + 1);
  }

  /**
   * The peer answers heartbeats. Appends unanswered for longer than `patience` may have been lost:
   * a probe is repeated, a stream asks. Nothing else frees a window whose appends were all lost.
   */
  alive(now: Millis, patience: Millis): void {
    const since = this.#type === "probe" ? this.#probedAt : this.#inFlight[0]?.sentAt;
    if (since === undefined || now < since + patience) return;
    this.#probedAt = undefined;
    this.#mayHaveLost = this.#type === "replicate";
  }

  get view(): Progress {
    const { matched, next } = this;
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
