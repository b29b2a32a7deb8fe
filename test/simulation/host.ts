/**
 * One process with its disk and its clock: turns what happens into events of the core and carries
 * out the batches in the order that the contract prescribes, dying between any two steps if told to.
 *
 * A *patient* host waits for the disk before it reports a batch persisted, with any number of flushes
 * under way that may complete in any order. A *gated* one claims every write durable at once and
 * holds back all it says afterwards until that is true, as the platform of this project does.
 */
import { createRaft, type Message, type Raft, type Ready, type Status } from "../../src/raft/index.ts";
import type { Founding } from "../../src/replica/birth.ts";
import { type Answer, Answers } from "./answers.ts";
import type { Checks } from "./checks.ts";
import { Disk, type Image, type Write } from "./disk.ts";
import type { Figures } from "./figures.ts";
import { COMMAND_BYTES, type Command, Machine } from "./machine.ts";
import { Random } from "./random.ts";
import type { Knobs, Weather } from "./scenario.ts";
import type { Schedule } from "./schedule.ts";
import { describe, type Transcript } from "./transcript.ts";
import { Violation } from "./violation.ts";

export interface Surroundings {
  readonly knobs: Knobs;
  readonly schedule: Schedule;
  readonly luck: Random;
  readonly checks: Checks;
  readonly transcript: Transcript;
  readonly figures: Figures;
  readonly weather: Weather;
  transmit(from: Host, message: Message<Command>, delay: number): void;
  /** A replica leads a term that nobody led before. */
  elected(host: Host): void;
  /** A blank process begins to ask who it is. */
  inquire(host: Host): void;
}

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
export type DeathPoint = 0 | 1 | 2 | 3;

const MOST_BATCHES = 2_000;

export class Host {
  readonly index: number;
  readonly name: string;
  readonly world: Surroundings;
  /** Grows whenever the disk is lost. */
  incarnation = 0;
  /** Part of the group, or to be added to it; otherwise blank, or without its storage. */
  stage: "blank" | "member" | "lost" = "blank";
  founding: Founding | undefined;
  disk = new Disk(undefined);
  machine = new Machine();
  raft: Raft<Command> | undefined;
  /** As last observed. */
  status: Status | undefined;
  running = false;
  /** Switched off for good. */
  retired = false;
  /** Counts deaths, so that what was scheduled in one life does not reach the next. */
  life = 0;
  /** Until then nothing that arrives is looked at. */
  busyUntil = 0;
  slowDisk = 0;
  readonly answers = new Answers();
  /** The next event takes this long: what it sends leaves late while its clock stands still. */
  stall = 0;
  doom: { readonly point: DeathPoint; readonly downtime: number } | undefined;
  failNextFlush = false;
  readonly #pace: number;
  #offset: number;
  #held: Held[] = [];
  #writes = 0;
  #durable = 0;
  #completed = new Set<number>();
  #syncing = false;
  #driveDue = false;
  #armedAt = Number.POSITIVE_INFINITY;
  #delay = 0;

  constructor(index: number, name: string, world: Surroundings) {
    this.index = index;
    this.name = name;
    this.world = world;
    const { luck, knobs } = world;
    this.#offset = luck.between(0, 10_000);
    this.#pace = 1 + knobs.drift * luck.next();
  }

  /** Its identity in the group: a disk that was lost is another replica. */
  get id(): string {
    return `${this.name}.${this.incarnation}`;
  }

  get leads(): boolean {
    return this.raft !== undefined && this.status?.role === "leader";
  }

  get clock(): number {
    const time = this.#offset + this.world.schedule.now * this.#pace;
    return this.world.knobs.wholeMilliseconds ? Math.floor(time) : time;
  }

  /** The process is there; the replica in it runs if it is part of the group. */
  start(): void {
    if (this.running || this.retired) return;
    this.running = true;
    this.note(20, () => `${this.id} starts`);
    if (this.stage === "member") this.join();
    else this.world.inquire(this);
  }

  /** Brings the replica to life with what is on the disk. */
  join(): void {
    if (!this.running || this.raft !== undefined) return;
    const { knobs, luck } = this.world;
    const { timing } = knobs;
    const [shortest, longest] = timing.electionTimeout;
    const favourite = this.name === knobs.favourite;
    this.machine = new Machine(this.disk.machine);
    const before = this.disk.hardState;
    this.raft = createRaft<Command>({
      ...knobs.options,
      id: this.id,
      restored: this.disk.restored,
      log: this.disk,
      timing: favourite
        ? { ...timing, electionTimeout: [shortest, shortest + (longest - shortest) / 4] }
        : timing,
      limits: knobs.limits,
      now: this.clock,
      random: new Random(luck.between(0, 2 ** 31)).next,
      sizeOf: () => COMMAND_BYTES,
      startQuiesced: knobs.options.startQuiesced && luck.chance(0.5),
    });
    this.world.checks.restarted(this);
    if (this.raft.status.role === "leader" && before.leader === this.id) this.world.figures.resumed += 1;
    this.drive();
  }

  /** Lets `input` happen, later if the process is busy, and not at all if it dies before. */
  event(input: (raft: Raft<Command>) => void, life = this.life): void {
    const { raft, world } = this;
    if (raft === undefined || life !== this.life) return;
    if (world.schedule.now < this.busyUntil) {
      world.schedule.at(this.busyUntil, () => this.event(input, life));
      return;
    }
    raft.tick(this.clock);
    input(raft);
    if (this.raft !== raft) return;
    if (!world.luck.chance(world.knobs.lazy)) this.drive();
    else if (!this.#driveDue) {
      this.#driveDue = true;
      world.schedule.after(world.luck.between(0, 3), () => {
        if (life !== this.life) return;
        this.#driveDue = false;
        this.event(() => this.drive(), life);
      });
    }
  }

  crash(downtime?: number): void {
    if (!this.running) return;
    const { luck, figures, schedule } = this.world;
    const survivors = luck.between(0, this.disk.unflushed);
    figures.crashes += 1;
    if (survivors < this.disk.unflushed) figures.torn += 1;
    this.note(21, () => `${this.id} dies; ${survivors} of ${this.disk.unflushed} writes under way survive`);
    this.world.checks.torn(this, this.disk.crash(survivors));
    // What it did is true of the disk even if it could no longer say so.
    for (const { writes, ready } of this.#held) {
      if (ready !== undefined && writes <= this.#durable + survivors)
        this.world.checks.delivered(this, ready);
    }
    this.running = false;
    this.raft = undefined;
    this.status = undefined;
    this.life += 1;
    this.busyUntil = 0;
    this.stall = 0;
    this.doom = undefined;
    this.failNextFlush = false;
    this.answers.forget();
    this.#held = [];
    this.#writes = 0;
    this.#durable = 0;
    this.#completed.clear();
    this.#syncing = false;
    this.#driveDue = false;
    this.#armedAt = Number.POSITIVE_INFINITY;
    if (downtime !== undefined) schedule.after(downtime, () => this.start());
  }

  /** Everything on the disk is gone, and with it the replica that was there. */
  wipe(): void {
    this.crash();
    this.world.checks.rules.bury(this.id, this.disk);
    this.disk = new Disk(undefined);
    this.founding = undefined;
    this.incarnation += 1;
    this.stage = "blank";
    this.world.figures.wiped += 1;
  }

  /** The clock is set; a negative jump sets it back. */
  jump(by: number): void {
    this.#offset += by;
    this.#armedAt = Number.POSITIVE_INFINITY;
    this.event(() => {});
  }

  /** A write of the host's own; `then` once it may be relied on. */
  store(write: Write, then: () => void): void {
    this.#write(write);
    const held = { writes: this.#writes, then };
    if (this.world.knobs.gated) then();
    else this.#held.push(held);
  }

  /** Holds the image that an offer announces, then lets the core know. */
  receiveOffer(message: Message<Command>, image: Image): void {
    if (this.raft === undefined) return;
    this.disk.receive(image);
    this.event((raft) => raft.step(message));
  }

  note(kind: number, text: () => string): void {
    this.world.transcript.note(this.world.schedule.now, kind, this.index, text);
  }

  /** Carries out everything that the core wants done now. */
  drive(): void {
    const { raft } = this;
    if (raft === undefined) return;
    this.#delay = this.stall;
    this.stall = 0;
    if (this.#delay > 0) this.busyUntil = this.world.schedule.now + this.#delay;
    for (let count = 0; ; count += 1) {
      const ready = raft.takeReady();
      if (ready === undefined) break;
      if (count === MOST_BATCHES) throw new Violation("every event comes to an end", `${this.id} goes on`);
      this.#carryOut(raft, ready);
      if (this.raft !== raft) return;
    }
    this.#observe(raft);
    this.#delay = 0;
    this.#arm(raft);
  }

  #carryOut(raft: Raft<Command>, ready: Ready<Command>): void {
    const { checks, knobs, luck } = this.world;
    const { gated } = knobs;
    checks.batch(this, ready);
    if (this.#diesAt(0)) return;
    if (gated && this.#writes > this.#durable) {
      this.#held.push({ writes: this.#writes, messages: ready.sendNow });
    } else this.#send(ready.sendNow);
    if (this.#diesAt(1)) return;

    const { persist, committed } = ready;
    if (persist !== undefined) checks.writing(this, raft, persist);
    if (persist?.snapshot !== undefined) {
      const image = this.disk.image(persist.snapshot.handle);
      if (image === undefined) {
        throw new Violation("only a received image is installed", `${this.id}: ${persist.snapshot.handle}`);
      }
      this.machine = new Machine(image.machine);
      this.world.figures.installed += 1;
    }
    for (const entry of committed) checks.inOrder(this, entry, this.machine.applied);
    const answers = this.answers.applying(this.machine, committed);
    const checkpoint = committed.length > 0 && luck.chance(0.05) ? new Machine(this.machine) : undefined;
    if (persist !== undefined || checkpoint !== undefined) {
      this.#write({
        ...(persist !== undefined && { persist }),
        ...(checkpoint !== undefined && { checkpoint }),
      });
    }
    answers.push(...this.answers.reading(this.machine, ready.reads));
    const { sequence, sendAfterPersist: messages } = ready;
    if (gated) this.#held.push({ writes: this.#writes, messages, ready, answers });
    else checks.delivered(this, ready);
    if (this.#diesAt(2)) return;

    if (gated) raft.advance({ persisted: sequence, applied: this.machine.applied });
    else {
      raft.advance({ applied: this.machine.applied });
      this.#tell(answers);
      this.#held.push({ writes: this.#writes, sequence, messages });
    }
    this.#settle();
  }

  #write(write: Write): void {
    this.disk.write(write);
    this.#writes += 1;
    const { luck, weather, schedule, knobs } = this.world;
    if (weather.flush[1] + this.slowDisk === 0 && !this.failNextFlush) {
      // Durable at once; whoever waits is told when the batch is carried out.
      this.#durable = this.#writes;
      this.disk.flush(this.disk.unflushed);
      return;
    }
    if (knobs.gated && this.#syncing) return;
    this.#syncing = true;
    const { life } = this;
    const number = this.#writes;
    schedule.after(luck.between(...weather.flush) + this.slowDisk, () => {
      if (life === this.life) this.#completes(number);
    });
  }

  /** A flush has come to its end. A gated host's covers every write before it. */
  #completes(write: number): void {
    const { luck, weather, knobs, figures, schedule } = this.world;
    if (this.failNextFlush || luck.chance(weather.diskFailure)) {
      figures.diskFailures += 1;
      this.note(22, () => `${this.id}: a write failed`);
      this.crash(luck.between(1, 300));
      return;
    }
    const before = this.#durable;
    if (knobs.gated) this.#durable = Math.max(before, write);
    else {
      this.#completed.add(write);
      while (this.#completed.delete(this.#durable + 1)) this.#durable += 1;
    }
    this.disk.flush(this.#durable - before);
    this.note(23, () => `${this.id}: ${this.#durable} of ${this.#writes} writes are durable`);
    if (knobs.gated) {
      this.#syncing = false;
      if (this.#writes > this.#durable) {
        const { life } = this;
        const number = this.#writes;
        this.#syncing = true;
        schedule.after(luck.between(...weather.flush) + this.slowDisk, () => {
          if (life === this.life) this.#completes(number);
        });
      }
    }
    if (this.#held.length > 0) this.event(() => this.#settle());
  }

  /** Says and reports what waited for writes that are durable now. */
  #settle(): void {
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (first.writes > this.#durable) return;
      if (this.#diesAt(3)) return;
      this.#held.shift();
      const { sequence, messages, ready, answers, status, then } = first;
      if (ready !== undefined) this.world.checks.delivered(this, ready);
      if (sequence !== undefined) {
        this.raft?.advance({ persisted: sequence });
        // An older report that arrives late says nothing new.
        if (sequence > 1 && this.world.luck.chance(0.02)) this.raft?.advance({ persisted: sequence - 1 });
      }
      if (status !== undefined) this.world.checks.observed(this, status);
      if (messages !== undefined) this.#send(messages, first.writes === this.#durable);
      if (answers !== undefined) this.#tell(answers);
      then?.();
    }
  }

  /** `exact`: nothing that was written later is durable, so the disk is as it was when this was composed. */
  #send(messages: readonly Message<Command>[], exact = true): void {
    for (const message of messages) {
      this.world.checks.sending(this, message, exact);
      this.world.transcript.message(message);
      this.note(1, () => describe(message));
      this.world.transmit(this, message, this.#delay);
    }
  }

  #tell(answers: readonly Answer[]): void {
    for (const answer of answers) {
      if (this.#delay === 0) answer();
      else this.world.schedule.after(this.#delay, answer);
    }
  }

  #observe(raft: Raft<Command>): void {
    const { status } = raft;
    this.world.checks.bounded(this, status);
    this.status = status;
    if (this.#writes === this.#durable || !this.world.knobs.gated) this.world.checks.observed(this, status);
    else if (status.role === "leader") this.#held.push({ writes: this.#writes, status });
  }

  #arm(raft: Raft<Command>): void {
    const due = raft.wakeAt;
    if (due === undefined) return;
    const { schedule } = this.world;
    const shown = this.world.knobs.wholeMilliseconds ? Math.ceil(due) : due;
    // A little later: dividing by the pace may lose the last bit.
    const at = Math.max((shown - this.#offset) / this.#pace + 1e-6, schedule.now);
    if (this.#armedAt <= at) return;
    this.#armedAt = at;
    const { life } = this;
    schedule.at(at, () => this.#wake(life, at));
  }

  #wake(life: number, at: number): void {
    const { raft } = this;
    if (raft === undefined || life !== this.life || this.#armedAt !== at) return;
    this.#armedAt = Number.POSITIVE_INFINITY;
    const due = raft.wakeAt;
    if (due === undefined) return;
    const { schedule } = this.world;
    if (this.busyUntil > schedule.now) {
      schedule.at(this.busyUntil, () => this.event(() => {}, life));
      return;
    }
    if (due > this.clock) this.#arm(raft);
    else this.event(() => {}, life);
  }

  #diesAt(point: DeathPoint): boolean {
    if (this.doom === undefined || this.doom.point !== point) return false;
    this.crash(this.doom.downtime);
    return true;
  }
}
