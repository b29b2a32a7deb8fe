/**
 * A whole group in one process, on a simulated clock, network and disks. Everything that happens is
 * drawn from one seed; {@link Cluster.transcript} shows that it did.
 */
import {
  type Configuration,
  createRaft,
  type Message,
  type Raft,
  type Ready,
} from "../../../src/raft/index.ts";
import { Links, type LinkWeather } from "../../simulation/links.ts";
import { freeze } from "../../simulation/network.ts";
import { Random } from "../../simulation/random.ts";
import { Schedule } from "../../simulation/schedule.ts";
import { Checks } from "./checks.ts";
import { Disk } from "./disk.ts";
import { batchesOf, type Overrides, optionsFor } from "./replica.ts";

/** Probabilities in `[0, 1]`, times in milliseconds. */
export interface Weather extends LinkWeather {
  /** How long a flush takes. Zero makes every write durable at once. */
  readonly flush: readonly [min: number, max: number];
}

export const FAIR: Weather = { loss: 0, repetition: 0, delay: [1, 5], overtaken: 0, flush: [0, 2] };

interface Host {
  readonly id: string;
  readonly disk: Disk;
  /** Every replica has a clock of its own, and no two need agree on how long anything takes. */
  readonly clock: { readonly offset: number; readonly pace: number };
  /** Absent while it is down. */
  raft: Raft<string> | undefined;
  /** Counts starts, so that what was scheduled before a crash does not touch the next life. */
  life: number;
  applied: number;
  unfinished: Ready<string>[];
  flushing: boolean;
  wakesAt: number | undefined;
}

export class Cluster {
  readonly schedule = new Schedule();
  readonly random: Random;
  readonly checks = new Checks();
  readonly transcript: string[] = [];
  readonly hosts = new Map<string, Host>();
  weather: Weather = FAIR;
  /** Sees every message before the network does; `false` loses it. */
  filter: (message: Message<string>) => boolean = () => true;
  /** Delays a message further, by so many milliseconds at most. */
  slowness: (message: Message<string>) => number = () => 0;
  readonly traffic = { sent: 0, dropped: 0, repeated: 0, overtaken: 0 };
  readonly #overrides: Overrides;
  readonly #links: Links;
  #named = 0;

  constructor(
    seed: number,
    configuration: Configuration,
    { pace = () => 1, ...overrides }: Overrides & { readonly pace?: (random: Random) => number } = {},
  ) {
    this.random = new Random(seed);
    this.#overrides = overrides;
    this.#links = new Links(seed, this.schedule, () => this.weather, this.traffic);
    const members = configuration.type === "stable" ? configuration : configuration.to;
    for (const id of [...members.voters, ...members.learners]) {
      this.hosts.set(id, {
        id,
        disk: new Disk({ configuration }),
        clock: {
          offset: this.random.between(0, 10_000),
          pace: pace(this.random),
        },
        raft: undefined,
        life: 0,
        applied: 0,
        unfinished: [],
        flushing: false,
        wakesAt: undefined,
      });
      this.start(id);
    }
  }

  get ids(): readonly string[] {
    return [...this.hosts.keys()];
  }

  /** The leader of the highest term, if there is one. */
  get leader(): string | undefined {
    let found: { readonly id: string; readonly term: number } | undefined;
    for (const { raft } of this.hosts.values()) {
      const status = raft?.status;
      if (status?.role === "leader" && status.term > (found?.term ?? 0)) found = status;
    }
    return found?.id;
  }

  run(duration: number): void {
    this.schedule.runUntil(this.schedule.now + duration);
  }

  /** Runs until `condition` holds; throws if it does not within `limit`. Returns how long it took. */
  runUntil(condition: () => boolean, limit: number): number {
    const start = this.schedule.now;
    while (!condition()) {
      if (this.schedule.now - start >= limit) throw new Error(`not within ${limit} ms`);
      this.run(1);
    }
    return this.schedule.now - start;
  }

  host(id: string): Host {
    const host = this.hosts.get(id);
    if (host === undefined) throw new Error(`no replica ${id}`);
    return host;
  }

  start(id: string): void {
    const host = this.host(id);
    if (host.raft !== undefined) return;
    host.applied = host.disk.applied;
    const now = this.#clock(host);
    const random = new Random(this.random.between(0, 2 ** 31)).next;
    host.raft = createRaft(optionsFor(id, host.disk, { random, ...this.#overrides, now }));
    this.#log(`${id} starts`);
    this.#drive(host);
  }

  crash(id: string): void {
    const host = this.host(id);
    if (host.raft === undefined) return;
    this.#log(`${id} crashes`);
    const writes = host.unfinished.filter((ready) => ready.persist !== undefined).length;
    host.disk.crash(this.random.between(0, writes));
    host.raft = undefined;
    host.life += 1;
    host.unfinished = [];
    host.flushing = false;
    host.wakesAt = undefined;
  }

  /** Cuts every link between `group` and the others. */
  partition(group: readonly string[]): void {
    for (const a of this.ids) {
      for (const b of this.ids) {
        if (group.includes(a) !== group.includes(b)) this.cutLink(a, b);
      }
    }
  }

  cutLink(from: string, to: string): void {
    this.#links.cut(from, to);
  }

  heal(): void {
    this.#links.heal();
  }

  /** Proposes `count` new commands at `id`; true if they were appended there. */
  propose(id: string, count = 1): boolean {
    const host = this.host(id);
    if (host.raft === undefined) return false;
    const commands = Array.from({ length: count }, () => `command-${this.#named++}`);
    host.raft.tick(this.#clock(host));
    const outcome = host.raft.propose(...commands);
    this.#drive(host);
    return outcome.type === "appended";
  }

  read(id: string): boolean {
    const host = this.host(id);
    if (host.raft === undefined) return false;
    const name = `read-${this.#named++}`;
    host.raft.tick(this.#clock(host));
    const started = host.raft.readIndex(name).type === "started";
    if (started) this.checks.asked(name);
    this.#drive(host);
    return started;
  }

  /** All replicas run, have applied the whole history and agree that it is all there is. */
  get converged(): boolean {
    return [...this.hosts.values()].every(
      ({ raft, applied }) => raft?.status.lastLog.index === applied && applied === this.checks.history.length,
    );
  }

  #clock(host: Host): number {
    return host.clock.offset + this.schedule.now * host.clock.pace;
  }

  /** Lets `host` do what it wants to do now, in the order that the contract prescribes. */
  #drive(host: Host): void {
    const { raft, disk } = host;
    if (raft === undefined) return;
    for (const ready of batchesOf(raft)) {
      for (const message of ready.sendNow) this.#transmit(message);
      if (ready.persist !== undefined) disk.write(ready.persist);
      host.applied = ready.persist?.snapshot?.last.index ?? host.applied;
      this.checks.applied(host.id, host.applied, ready.committed);
      host.applied += ready.committed.length;
      for (const result of ready.reads) this.checks.answered(result);
      host.unfinished.push(ready);
      if (this.weather.flush[1] === 0) this.#finish(host, host.unfinished.length);
    }
    this.checks.observed(raft.status, disk);
    this.#flushLater(host);
    this.#wakeLater(host);
  }

  #flushLater(host: Host): void {
    if (host.flushing || host.unfinished.length === 0) return;
    host.flushing = true;
    const { life } = host;
    const batches = this.random.between(1, host.unfinished.length);
    this.schedule.after(this.random.between(...this.weather.flush), () => {
      if (host.life !== life) return;
      host.flushing = false;
      this.#finish(host, Math.min(batches, host.unfinished.length));
      this.#drive(host);
    });
  }

  /** The oldest `count` batches are durable. */
  #finish(host: Host, count: number): void {
    const finished = host.unfinished.splice(0, count);
    const last = finished.at(-1);
    if (last === undefined || host.raft === undefined) return;
    host.disk.flush(finished.filter((ready) => ready.persist !== undefined).length);
    host.raft.advance({ persisted: last.sequence, applied: host.applied });
    if (host.applied <= host.disk.durable.lastIndex && this.random.chance(0.1))
      host.disk.applied = host.applied;
    for (const { sendAfterPersist } of finished) {
      for (const message of sendAfterPersist) {
        this.#transmit(message);
      }
    }
  }

  #wakeLater(host: Host): void {
    const due = host.raft?.wakeAt;
    if (due === undefined || due === host.wakesAt) return;
    host.wakesAt = due;
    const { life } = host;
    this.schedule.at((due - host.clock.offset) / host.clock.pace, () => {
      if (host.life !== life || host.wakesAt !== due) return;
      host.wakesAt = undefined;
      // Not this.#clock: a division may lose the last bit and wake the replica just too early.
      host.raft?.tick(due);
      this.#drive(host);
    });
  }

  #transmit(message: Message<string>): void {
    this.checks.promised(message, this.host(message.from).disk);
    this.#log(JSON.stringify(message));
    freeze(message);
    if (!this.filter(message)) return;
    const { from, to } = message;
    const further = this.random.between(0, this.slowness(message));
    this.#links.carry(from, to, () => this.#receive(this.host(to), message), further);
  }

  #receive(host: Host, message: Message<string>): void {
    if (host.raft === undefined) return;
    host.raft.tick(this.#clock(host));
    host.raft.step(message);
    this.#drive(host);
  }

  #log(line: string): void {
    this.transcript.push(`${this.schedule.now} ${line}`);
  }
}
