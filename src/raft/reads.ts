/**
 * Linearizable reads without a log entry (Raft thesis, §6.4): note the commit index, have a quorum
 * confirm that this replica still leads, answer. Rounds are numbered by the leader and a read is
 * tied to a round that began after it was asked, so no answer to an earlier question confirms it,
 * whatever the caller named it.
 *
 * One round is open at a time. Reads that arrive meanwhile wait and share the next one, which
 * bounds the messages that reads cause to one fan-out a round trip.
 */
import type { ReadId, ReadResult, Refusal } from "./requests.ts";
import type { LogIndex, Round } from "./vocabulary.ts";

export class ReadRounds {
  #round: Round = 0;
  #open: { readonly ids: readonly ReadId[]; readonly index: LogIndex } | undefined;
  #waiting: ReadId[] = [];

  /** The newest round begun. A quorum that echoes it has confirmed every read tied to it. */
  get round(): Round {
    return this.#round;
  }

  ask(id: ReadId): void {
    this.#waiting.push(id);
  }

  /** Begins a round if reads wait and none is open. `index` covers every write answered so far. */
  begin(index: LogIndex): void {
    if (this.#open !== undefined || this.#waiting.length === 0) return;
    this.#round += 1;
    this.#open = { ids: this.#waiting, index };
    this.#waiting = [];
  }

  /**
   * Reads that may be answered: a quorum has confirmed their round, and their index is committed,
   * which it is not yet while a new leader's barrier is under way.
   */
  settle(confirmed: Round, commit: LogIndex): readonly ReadResult[] {
    const open = this.#open;
    if (open === undefined || confirmed < this.#round || commit < open.index) return [];
    this.#open = undefined;
    return open.ids.map((id) => ({ type: "granted", id, index: open.index }));
  }

  abort(refusal: Refusal): readonly ReadResult[] {
    const ids = [...(this.#open?.ids ?? []), ...this.#waiting];
    this.#open = undefined;
    this.#waiting = [];
    return ids.map((id) => ({ type: "aborted", id, refusal }));
  }
}
