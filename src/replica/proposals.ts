/**
 * Commands on their way through the log: queued for the next batch, then appended and waiting to be applied. Each
 * holds the request that waits for it. The queue is bounded in number and bytes.
 */

import { Histogram } from "../api/histogram.ts";
import type { Command } from "../coordinator/commands.ts";
import { bytesOf } from "./codec.ts";
import type { Appended as AppendedAnswer, Applied, Declined } from "./rpc.ts";

const QUEUE_COMMANDS_MAX = 10_000;
const QUEUE_BYTES_MAX = 32 * 1024 * 1024;
/** A row of the log, which holds at least one command and a little more, may have 2 MB on the platform. */
export const COMMAND_BYTES_MAX = 1_900_000;

export type ProposeAnswer = Applied | AppendedAnswer | Declined;

interface Proposal {
  readonly command: Command;
  readonly bytes: number;
  /** Instant at which whoever asks wants to know what is known by then. */
  readonly patientUntil: number | undefined;
  readonly settle: (answer: ProposeAnswer) => void;
}

interface Appended {
  readonly index: number;
  readonly term: number;
  readonly at: number;
  readonly settle: (answer: ProposeAnswer) => void;
}

export class Proposals {
  #queue: Proposal[] = [];
  #queuedBytes = 0;
  /** In order of index. `#settled` of them, from the front, are done with. */
  #appended: Appended[] = [];
  #settled = 0;
  /** From append to apply, on the leader. */
  readonly commitLatency = new Histogram();

  get queued(): number {
    return this.#queue.length;
  }

  get underWay(): number {
    return this.#queue.length + this.#appended.length - this.#settled;
  }

  /** @param wait_ms after which it is answered as appended, if it is no more than that by then; absent: never */
  enqueue(command: Command, wait_ms?: number): Promise<ProposeAnswer> {
    const bytes = bytesOf(command);
    if (bytes > COMMAND_BYTES_MAX) {
      const detail = `the command has ${bytes} bytes of JSON; ${COMMAND_BYTES_MAX} are allowed`;
      return Promise.resolve({ type: "unavailable", code: "too-large", detail, retry_after_ms: 0 });
    }
    if (this.#queue.length >= QUEUE_COMMANDS_MAX || this.#queuedBytes + bytes > QUEUE_BYTES_MAX) {
      return Promise.resolve({
        type: "unavailable",
        code: "overloaded",
        detail: `${this.#queue.length} commands are queued on the leader; try again shortly`,
        retry_after_ms: 1000,
      });
    }
    this.#queuedBytes += bytes;
    const patientUntil = wait_ms === undefined ? undefined : Date.now() + wait_ms;
    return new Promise((settle) => this.#queue.push({ command, bytes, patientUntil, settle }));
  }

  /** Takes the next batch off the queue, at most so many commands and bytes but at least one. */
  nextBatch(commandsMax: number, bytesMax: number): readonly Proposal[] {
    let count = 0;
    let bytes = 0;
    for (const proposal of this.#queue) {
      if (count === commandsMax || (count > 0 && bytes + proposal.bytes > bytesMax)) break;
      count++;
      bytes += proposal.bytes;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  appended(batch: readonly Proposal[], first: number, term: number): void {
    const at = Date.now();
    for (const [nth, { settle, patientUntil }] of batch.entries()) {
      const index = first + nth;
      this.#appended.push({ index, term, at, settle });
      if (patientUntil === undefined) continue;
      const settleAppended = (): void => settle({ type: "appended", index, term });
      if (patientUntil <= at) settleAppended();
      else setTimeout(settleAppended, patientUntil - at);
    }
  }

  /** An entry has been applied; whoever waits for exactly this one gets the answer. */
  applied(index: number, term: number, answer: () => Applied): void {
    for (
      let head = this.#appended[this.#settled];
      head && head.index <= index;
      head = this.#appended[this.#settled]
    ) {
      this.#settled++;
      if (head.index === index && head.term === term) {
        this.commitLatency.observe(Date.now() - head.at);
        head.settle(answer());
      } else head.settle({ type: "not-leader", term });
    }
    if (this.#settled > 1024 || this.#settled === this.#appended.length) {
      this.#appended.splice(0, this.#settled);
      this.#settled = 0;
    }
  }

  /** What was only queued has not happened. */
  declineQueued(answer: Declined): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const proposal of queue) proposal.settle(answer);
  }

  /** What was appended may still be committed by another leader. */
  abandonAppended(detail: string): void {
    const appended = this.#appended.slice(this.#settled);
    this.#appended = [];
    this.#settled = 0;
    for (const { index, term, settle } of appended)
      settle({ type: "outcome-unknown", detail, place: { index, term } });
  }
}
