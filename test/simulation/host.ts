/**
 * One process with its disk and its clock: it starts, turns what happens into events of the core, is
 * paused, dies, and comes back with what is on the disk.
 */
import { createRaft, type Message, type Raft, type Status } from "../../src/raft/index.ts";
import type { Founding } from "../../src/replica/birth.ts";
import { Answers } from "./answers.ts";
import { Batches, type DeathPoint } from "./batches.ts";
import { LocalClock } from "./clock.ts";
import { Disk, type Image, type Write } from "./disk.ts";
import { Flushes } from "./flushes.ts";
import { COMMAND_BYTES, type Command, Machine } from "./machine.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** How deaths are counted, by where in a batch they come. */
const DEATHS = ["diedBeforeSending", "diedBeforeWriting", "diedAfterWriting", "diedOnceDurable"] as const;

export class Host {
  readonly index: number;
  readonly name: string;
  readonly world: World;
  readonly flushes: Flushes;
  readonly answers = new Answers();
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
  /** The next event takes this long: what it sends leaves late while its clock stands still. */
  stall = 0;
  doom: { readonly point: DeathPoint; readonly downtime: number } | undefined;
  readonly #luck: Random;
  /** What the core draws. */
  readonly #chance: Random;
  readonly #clock: LocalClock;
  readonly #batches: Batches;
  #driveDue = false;

  constructor(index: number, name: string, world: World) {
    this.index = index;
    this.name = name;
    this.world = world;
    this.#luck = world.luckOf(`host ${name}`);
    this.#chance = world.luckOf(`replica ${name}`);
    this.#clock = new LocalClock(world, name);
    this.#batches = new Batches(this, this.#luck);
    this.flushes = new Flushes(world, world.luckOf(`disk of ${name}`), {
      flush: (count) => this.disk.flush(count),
      ended: () => this.#flushed(),
      failed: () => this.#diskFailed(),
    });
  }

  /** Its identity in the group: a disk that was lost is another replica. */
  get id(): string {
    return `${this.name}.${this.incarnation}`;
  }

  get leads(): boolean {
    return this.raft !== undefined && this.status?.role === "leader";
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
    const { knobs, figures, checks } = this.world;
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
      now: this.#clock.now,
      random: this.#chance.next,
      sizeOf: () => COMMAND_BYTES,
      startQuiesced: knobs.options.startQuiesced && this.#luck.chance(0.5),
    });
    checks.restarted(this);
    if (this.raft.status.role === "leader" && before.leader === this.id) figures.resumed += 1;
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
    raft.tick(this.#clock.now);
    input(raft);
    if (this.raft !== raft) return;
    if (!this.#luck.chance(world.knobs.lazy)) this.drive();
    else if (!this.#driveDue) {
      this.#driveDue = true;
      world.schedule.after(this.#luck.between(0, 3), () => {
        if (life !== this.life) return;
        this.#driveDue = false;
        this.event(() => this.drive(), life);
      });
    }
  }

  crash(downtime?: number): void {
    if (!this.running) return;
    const { figures, schedule, checks } = this.world;
    const { unflushed } = this.disk;
    const survivors = this.#luck.between(0, unflushed);
    figures.crashes += 1;
    if (survivors < unflushed) figures.torn += 1;
    this.note(21, () => `${this.id} dies; ${survivors} of ${unflushed} writes under way survive`);
    checks.torn(this, this.disk.crash(survivors));
    this.#batches.forget(this.flushes.durable + survivors);
    this.flushes.forget();
    this.answers.forget();
    this.#clock.disarm();
    this.running = false;
    this.raft = undefined;
    this.status = undefined;
    this.life += 1;
    this.busyUntil = 0;
    this.stall = 0;
    this.doom = undefined;
    this.#driveDue = false;
    if (downtime !== undefined) schedule.after(downtime, () => this.start());
  }

  /** Whether death comes here. */
  diesAt(point: DeathPoint): boolean {
    if (this.doom === undefined || this.doom.point !== point) return false;
    this.world.figures[DEATHS[point]] += 1;
    this.crash(this.doom.downtime);
    return true;
  }

  /** Nothing that arrives is looked at for so long. */
  pause(length: number): void {
    if (!this.running) return;
    this.note(61, () => `${this.id} is paused for ${length} ms`);
    this.busyUntil = Math.max(this.busyUntil, this.world.schedule.now + length);
    this.world.figures.pauses += 1;
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
    this.note(24, () => `${this.id}: the clock is set, ${by} ms`);
    this.#clock.jump(by);
    this.world.figures.clockJumps += 1;
    this.event(() => {});
  }

  write(write: Write): void {
    this.disk.write(write);
    this.flushes.add();
  }

  /** A write of the host's own; `then` once it may be relied on. */
  store(write: Write, then: () => void): void {
    this.write(write);
    if (this.world.knobs.gated) then();
    else this.#batches.hold({ then });
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
    const { raft, world } = this;
    if (raft === undefined) return;
    const delay = this.stall;
    this.stall = 0;
    if (delay > 0) {
      this.busyUntil = world.schedule.now + delay;
      world.figures.stalls += 1;
    }
    if (!this.#batches.carryOutAll(raft, delay)) return;
    this.#observe(raft);
    const due = raft.wakeAt;
    if (due !== undefined) this.#clock.arm(due, () => this.#wake());
  }

  #observe(raft: Raft<Command>): void {
    const { status } = raft;
    const { checks, knobs, figures } = this.world;
    checks.bounded(this, status);
    if (status.quiesced && this.status?.quiesced === false) figures.fellSilent += 1;
    if (!status.quiesced && this.status?.quiesced === true) figures.woken += 1;
    this.status = status;
    if (this.flushes.written === this.flushes.durable || !knobs.gated) checks.observed(this, status);
    else if (status.role === "leader") this.#batches.hold({ status });
  }

  #wake(): void {
    const { raft, life } = this;
    const due = raft?.wakeAt;
    if (due === undefined) return;
    const { schedule } = this.world;
    if (this.busyUntil > schedule.now) schedule.at(this.busyUntil, () => this.event(() => {}, life));
    else if (due > this.#clock.now) this.#clock.arm(due, () => this.#wake());
    else this.event(() => {});
  }

  #flushed(): void {
    const { durable, written } = this.flushes;
    this.note(23, () => `${this.id}: ${durable} of ${written} writes are durable`);
    if (this.#batches.areHeld) this.event(() => this.#batches.settle());
  }

  #diskFailed(): void {
    this.world.figures.diskFailures += 1;
    this.note(22, () => `${this.id}: a write failed`);
    this.crash(this.#luck.between(1, 300));
  }
}
