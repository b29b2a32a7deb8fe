/**
 * Group commit: while one flush is under way, commands that arrive wait for the next batch; never more than one flush
 * at a time. A batch is one proposal to the core, one row of the log and one append per follower.
 *
 * Where a flush takes no time, or router and replicas share a thread, each command would make a batch of its own while the
 * next ones wait in sockets. So a batch waits for one turn of the event loop, as long as that brings others.
 */

import { Histogram } from "../api/histogram.ts";
import type { Command } from "../coordinator/commands.ts";
import type { Raft, Refusal } from "../raft/index.ts";
import { Proposals, type ProposeAnswer } from "./proposals.ts";
import type { Applied, Declined } from "./rpc.ts";
import { BATCH_BYTES_MAX } from "./stored-log.ts";

export interface BatchesOptions {
  readonly raft: Raft<Command>;
  readonly max_batch_entries: number;
  /** Runs `input` as an event of the replica and carries out what follows from it. */
  readonly event: (input: () => void) => void;
  readonly sync: () => Promise<void>;
  readonly now: () => number;
  readonly declined: (refusal: Refusal) => Declined;
  /** A flush failed: nothing may be promised any more. */
  readonly fail: (error: unknown) => void;
}

/** So many times in a row that nobody came: whoever comes alone is not kept waiting any more. */
const ALONE_MAX = 4;
/** But of so many one waits all the same, and sees whether that has changed. */
const LOOK_EVERY = 16;

export class Batches {
  /** From handing a batch to the disk until it is safe there. */
  readonly appendLatency = new Histogram();
  /** Since this instance started: batches appended as leader, and the commands in them. */
  batches = 0;
  commands = 0;
  readonly #options: BatchesOptions;
  readonly #proposals = new Proposals();
  #flushing = false;
  #flushed: Promise<void> = Promise.resolve();
  /** The event that follows the flush under way, if somebody waits for it. */
  #turn: Promise<void> | undefined;
  /** Batches that waited for others in vain, since one did not. */
  #alone = 0;
  #unwaited = 0;

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  get commitLatency(): Histogram {
    return this.#proposals.commitLatency;
  }

  /** What was written before is on its way to the disk. */
  get flushing(): boolean {
    return this.#flushing;
  }

  /** Queued or appended, and not yet answered. */
  get underWay(): number {
    return this.#proposals.underWay;
  }

  /** For whoever is in an event of the replica already: appended at its end. */
  enqueue(command: Command): Promise<ProposeAnswer> {
    return this.#proposals.enqueue(command);
  }

  propose(command: Command, wait_ms?: number): Promise<ProposeAnswer> {
    const answer = this.#proposals.enqueue(command, wait_ms);
    if (this.#turn !== undefined) return answer;
    if (!this.#flushing && !this.#othersMayCome()) this.#options.event(() => this.append());
    else {
      // The first one that has to wait goes on after the flush, in its own invocation: a chain of flushes that
      // lived in the first one's would exhaust that invocation's subrequests.
      this.#turn = this.#later();
    }
    return answer;
  }

  /** Hands the next batch to the core. */
  append(): void {
    const { raft, max_batch_entries, declined } = this.#options;
    const batch = this.#proposals.nextBatch(max_batch_entries, BATCH_BYTES_MAX);
    if (batch.length === 0) return;
    const outcome = raft.propose(...batch.map((proposal) => proposal.command));
    switch (outcome.type) {
      case "appended": {
        const { index, term } = outcome.position;
        this.#proposals.appended(batch, index - batch.length + 1, term);
        this.batches++;
        this.commands += batch.length;
        return;
      }
      case "refused": {
        const answer = declined(outcome.refusal);
        for (const proposal of batch) proposal.settle(answer);
        this.#proposals.declineQueued(answer);
        return;
      }
      default:
        throw new Error(`a proposal was ${outcome.type}, though nothing is forwarded`);
    }
  }

  /** What this event wrote is to be made safe. */
  flush(): void {
    if (this.#flushing) return;
    const { sync, now, event, fail } = this.#options;
    this.#flushing = true;
    const began = now();
    this.#flushed = sync().then(
      () => {
        this.#flushing = false;
        this.appendLatency.observe(now() - began);
        if (this.#proposals.queued > 0 && !this.#turn) event(() => this.append());
      },
      (error) => {
        // Who waits for the flush must not wait for ever.
        this.#flushing = false;
        fail(error);
      },
    );
  }

  /** The entry at `index` has been applied; whoever waits for exactly this one gets the answer. */
  applied(index: number, term: number, answer: () => Applied): void {
    this.#proposals.applied(index, term, answer);
  }

  /** What was only queued has not happened; what was appended may still be committed by another leader. */
  abandon(queued: Declined, appended: string): void {
    this.#proposals.declineQueued(queued);
    this.#proposals.abandonAppended(appended);
  }

  #othersMayCome(): boolean {
    if (this.#alone < ALONE_MAX) return true;
    this.#unwaited = (this.#unwaited + 1) % LOOK_EVERY;
    return this.#unwaited === 0;
  }

  async #later(): Promise<void> {
    if (!this.#flushing) await new Promise((resolve) => setTimeout(resolve, 0));
    while (this.#flushing) await this.#flushed;
    this.#turn = undefined;
    this.#alone = this.#proposals.queued > 1 ? 0 : this.#alone + 1;
    this.#options.event(() => this.append());
  }
}
