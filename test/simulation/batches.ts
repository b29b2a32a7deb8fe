/**
 * How a host carries out what the core wants done, in the order that the contract prescribes, dying
 * between any two steps if told to.
 *
 * A *patient* host waits for the disk before it reports a batch persisted. A *gated* one claims every
 * write durable at once and holds back all it says afterwards until that is true, as the platform of
 * this project does.
 */
import type { Message, Raft, Ready, Status } from "../../src/raft/index.ts";
import type { Answer } from "./answers.ts";
import type { Host } from "./host.ts";
import { type Command, Machine } from "./machine.ts";
import type { Random } from "./random.ts";
import { describe } from "./transcript.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** What is said or done only once a number of writes is durable. */
interface Held {
  readonly writes: number;
  /** Batch to be reported persisted. */
  readonly sequence?: number;
  readonly messages?: readonly Message<Command>[];
  readonly ready?: Ready<Command>;
  readonly answers?: readonly Answer[];
  readonly status?: Status;
  readonly then?: () => void;
}

/** Where in a batch a process may die: before anything is sent, before the write, after it, once durable. */
export const DEATH_POINTS = [0, 1, 2, 3] as const;
export type DeathPoint = (typeof DEATH_POINTS)[number];

const MOST_BATCHES = 2_000;

export class Batches {
  readonly #host: Host;
  readonly #world: World;
  readonly #luck: Random;
  #held: Held[] = [];
  /** What is sent leaves so much later. */
  #delay = 0;

  constructor(host: Host, luck: Random) {
    this.#host = host;
    this.#world = host.world;
    this.#luck = luck;
  }

  get areHeld(): boolean {
    return this.#held.length > 0;
  }

  /** The process died, and so many of its writes are on the disk. */
  forget(durable: number): void {
    // What it did is true of the disk even if it could no longer say so.
    for (const { writes, ready } of this.#held) {
      if (ready !== undefined && writes <= durable) this.#world.checks.delivered(this.#host, ready);
    }
    this.#held = [];
  }

  /** Once everything written so far is durable. */
  hold(what: Omit<Held, "writes">): void {
    this.#held.push({ writes: this.#host.flushes.written, ...what });
  }

  /** Everything that the core wants done now; false if the process dies of it. */
  carryOutAll(raft: Raft<Command>, delay: number): boolean {
    this.#delay = delay;
    for (let count = 0; ; count += 1) {
      const ready = raft.takeReady();
      if (ready === undefined) break;
      const { id } = this.#host;
      if (count === MOST_BATCHES) throw new Violation("every event comes to an end", `${id} goes on`, [id]);
      this.#carryOut(raft, ready);
      if (this.#host.raft !== raft) return false;
    }
    this.#delay = 0;
    return true;
  }

  #carryOut(raft: Raft<Command>, ready: Ready<Command>): void {
    const { checks, knobs, figures } = this.#world;
    const { gated } = knobs;
    const host = this.#host;
    checks.batch(host, ready);
    if (host.diesAt(0)) return;
    if (gated && host.flushes.written > host.flushes.durable) this.hold({ messages: ready.sendNow });
    else this.#send(ready.sendNow);
    if (host.diesAt(1)) return;

    const { persist, committed } = ready;
    if (persist !== undefined) checks.writing(host, raft, persist);
    if (persist?.snapshot !== undefined) {
      const image = host.disk.image(persist.snapshot.handle);
      if (image === undefined) {
        const detail = `${host.id}: ${persist.snapshot.handle}`;
        throw new Violation("only a received image is installed", detail, [host.id]);
      }
      host.machine = new Machine(image.machine);
      figures.installed += 1;
    }
    for (const entry of committed) checks.inOrder(host, entry, host.machine.applied);
    const answers = host.answers.applying(host.machine, committed);
    const checkpoint =
      committed.length > 0 && this.#luck.chance(0.05) ? new Machine(host.machine) : undefined;
    if (persist !== undefined || checkpoint !== undefined) {
      host.write({
        ...(persist !== undefined && { persist }),
        ...(checkpoint !== undefined && { checkpoint }),
      });
    }
    answers.push(...host.answers.reading(host.machine, ready.reads));
    const { sequence, sendAfterPersist: messages } = ready;
    if (gated) this.hold({ messages, ready, answers });
    else checks.delivered(host, ready);
    if (host.diesAt(2)) return;

    if (gated) raft.advance({ persisted: sequence, applied: host.machine.applied });
    else {
      raft.advance({ applied: host.machine.applied });
      this.#tell(answers);
      this.hold({ sequence, messages });
    }
    this.settle();
  }

  /** Says and reports what waited for writes that are durable now. */
  settle(): void {
    const host = this.#host;
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (first.writes > host.flushes.durable) return;
      if (host.diesAt(3)) return;
      this.#held.shift();
      const { sequence, messages, ready, answers, status, then } = first;
      if (ready !== undefined) this.#world.checks.delivered(host, ready);
      if (sequence !== undefined) {
        host.raft?.advance({ persisted: sequence });
        // An older report that arrives late says nothing new.
        if (sequence > 1 && this.#luck.chance(0.02)) host.raft?.advance({ persisted: sequence - 1 });
      }
      if (status !== undefined) this.#world.checks.observed(host, status);
      if (messages !== undefined) this.#send(messages, first.writes === host.flushes.durable);
      if (answers !== undefined) this.#tell(answers);
      then?.();
    }
  }

  /** `exact`: nothing that was written later is durable, so the disk is as it was when this was composed. */
  #send(messages: readonly Message<Command>[], exact = true): void {
    for (const message of messages) {
      this.#world.checks.sending(this.#host, message, exact);
      this.#world.transcript.message(message);
      this.#host.note(1, () => describe(message));
      this.#world.transmit(this.#host, message, this.#delay);
    }
  }

  #tell(answers: readonly Answer[]): void {
    for (const answer of answers) {
      if (this.#delay === 0) answer();
      else this.#world.schedule.after(this.#delay, answer);
    }
  }
}
