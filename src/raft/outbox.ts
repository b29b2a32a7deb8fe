/**
 * Work collected for the host: what is to be written, sent, applied and answered, handed out in
 * numbered batches. Whoever adds a message says whether it may leave before the batch is durable.
 */
import type { RaftLog } from "./log.ts";
import type { Message } from "./messages.ts";
import type { Persist, Ready } from "./ready.ts";
import type { ReadResult } from "./requests.ts";
import type { HardState, SnapshotDescriptor } from "./storage.ts";

export class Outbox<Command> {
  #sequence = 0;
  /** The newest hard state handed out, and those handed out but not reported durable. */
  #handedOut: HardState;
  #writing: { readonly sequence: number; readonly hardState: HardState }[] = [];
  #snapshot: SnapshotDescriptor | undefined;
  #sendNow: Message<Command>[] = [];
  #sendAfterPersist: Message<Command>[] = [];
  #reads: ReadResult[] = [];

  /** `stored` is what the disk holds at the start. */
  constructor(stored: HardState) {
    this.#handedOut = stored;
  }

  /** For what promises nothing about this replica's disk. */
  send(message: Message<Command>): void {
    this.#sendNow.push(message);
  }

  /** For what must still be true after a crash. */
  sendDurably(message: Message<Command>): void {
    this.#sendAfterPersist.push(message);
  }

  /** Takes the place of log and state machine with the next batch. */
  install(snapshot: SnapshotDescriptor): void {
    this.#snapshot = snapshot;
  }

  answer(results: readonly ReadResult[]): void {
    this.#reads.push(...results);
  }

  /** The next batch, or `undefined` if there is nothing to do. */
  take(log: RaftLog<Command>, hardState: HardState, committedBytes: number): Ready<Command> | undefined {
    const sequence = this.#sequence + 1;
    const persist = this.#persist(log, hardState, sequence);
    const committed = log.takeCommitted(committedBytes);
    const idle =
      this.#sendNow.length + this.#sendAfterPersist.length + committed.length + this.#reads.length === 0;
    if (idle && persist === undefined) return undefined;

    this.#sequence = sequence;
    const ready: Ready<Command> = {
      sequence,
      sendNow: this.#sendNow,
      ...(persist !== undefined && { persist }),
      sendAfterPersist: this.#sendAfterPersist,
      committed,
      reads: this.#reads,
    };
    this.#sendNow = [];
    this.#sendAfterPersist = [];
    this.#reads = [];
    return ready;
  }

  /** Every batch up to `sequence` is durable. The newest hard state among them, if that is news. */
  persisted(sequence: number): HardState | undefined {
    if (sequence > this.#sequence) {
      throw new Error(`batch ${sequence} cannot be durable: ${this.#sequence} were taken`);
    }
    let durable: HardState | undefined;
    while ((this.#writing[0]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) {
      durable = this.#writing.shift()?.hardState;
    }
    return durable;
  }

  #persist(log: RaftLog<Command>, hardState: HardState, sequence: number): Persist<Command> | undefined {
    const before = this.#handedOut;
    const entries = log.takeUnwritten(sequence);
    const snapshot = this.#snapshot;
    this.#snapshot = undefined;
    const promises =
      hardState.term !== before.term || hardState.vote !== before.vote || hardState.rounds !== before.rounds;
    const hints = hardState.commit !== before.commit || hardState.leader !== before.leader;
    const mustSync = promises || entries.length > 0 || snapshot !== undefined;
    const changed = promises || hints;
    if (!mustSync && !changed) return undefined;
    if (changed) {
      this.#handedOut = hardState;
      this.#writing.push({ sequence, hardState });
    }
    return {
      ...(snapshot !== undefined && { snapshot }),
      entries,
      ...(changed && { hardState }),
      mustSync,
    };
  }
}
