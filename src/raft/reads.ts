/**
 * Linearizable reads without a log entry (Raft thesis, §6.4): note the commit index, have a quorum
 * confirm that this replica still leads, answer. Rounds are numbered by the leader and a read is
 * tied to a round that began after it was asked, so no answer to an earlier question confirms it,
 * whatever the caller named it.
 *
 * One round of reads is open at a time. Reads that arrive meanwhile wait and share the next one,
 * which bounds the messages that reads cause to one fan-out a round trip.
 */
import type { ReadId } from "./requests.ts";
import type { LogIndex, ReplicaId, Round } from "./vocabulary.ts";

/** Who asked: the host of this replica, or another replica, which names its question as it likes. */
export interface Reader {
  readonly id: ReadId;
  readonly from?: ReplicaId;
}

export class OpenReads {
  #open: { readonly readers: readonly Reader[]; readonly index: LogIndex; readonly round: Round } | undefined;
  #waiting: Reader[] = [];

  ask(reader: Reader): void {
    this.#waiting.push(reader);
  }

  get isEmpty(): boolean {
    return this.#open === undefined && this.#waiting.length === 0;
  }

  /** Whether reads wait and none is under way. */
  get needRound(): boolean {
    return this.#open === undefined && this.#waiting.length > 0;
  }

  /** `index` covers every write answered so far. */
  open(round: Round, index: LogIndex): void {
    this.#open = { readers: this.#waiting, index, round };
    this.#waiting = [];
  }

  /**
   * Reads that may be answered: a quorum has confirmed their round, and their index is committed,
   * which it is not yet while a new leader's barrier is under way.
   */
  settle(
    confirmed: Round,
    commit: LogIndex,
  ): { readonly readers: readonly Reader[]; readonly index: LogIndex } {
    const open = this.#open;
    if (open === undefined || confirmed < open.round || commit < open.index) return { readers: [], index: 0 };
    this.#open = undefined;
    return open;
  }

  /** Whoever is still waiting. */
  end(): readonly Reader[] {
    const readers = [...(this.#open?.readers ?? []), ...this.#waiting];
    this.#open = undefined;
    this.#waiting = [];
    return readers;
  }
}
