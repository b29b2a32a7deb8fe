/**
 * The stage on which a scenario is played: replicas that do nothing but what the script makes them
 * do, one clock, and a network in which every message stays in flight until it is told to arrive.
 * Disks are fast: whatever is written is durable before anything else happens.
 */
import type { Configuration, Outcome, Raft } from "../../../src/raft/index.ts";
import { describe } from "../../simulation/transcript.ts";
import type { DiskStart } from "../harness/disk.ts";
import { type Overrides, Replica, type TestMessage } from "../harness/replica.ts";
import { effectsOf, outcomeInWords } from "./words.ts";

/** Messages on their way from one replica to another; an absent end stands for all of them. */
export interface Link {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

const MOST_MESSAGES = 1_000;
/** A replica that started later waits longer for its leader: nobody's patience is left to chance. */
const PATIENCE_STEP = 1 / 8;

export class Stage {
  now = 0;
  readonly replicas = new Map<string, Replica>();
  readonly #configuration: Configuration;
  readonly #down = new Set<string>();
  #overrides: Overrides = {};
  #inFlight: TestMessage[] = [];
  #lossy: readonly Link[] = [];
  /** Overtaken by everything else until they are told to arrive. */
  #late: readonly TestMessage[] = [];
  delivered = 0;
  lost = 0;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
  }

  /** For replicas that start from now on. */
  configure(overrides: Overrides): void {
    this.#overrides = { ...this.#overrides, ...overrides };
  }

  /** A new replica with what `start` puts on its disk, or one that died and comes back with its own. */
  start(id: string, start: DiskStart & { readonly waiting?: boolean } = {}): void {
    const known = this.replicas.get(id);
    if (known !== undefined) {
      if (!this.#down.delete(id)) throw new Error(`${id} runs already`);
      known.now = this.now;
      known.restart();
      this.event(id);
      return;
    }
    const place = this.replicas.size;
    const configuration = start.waiting === true ? undefined : this.#configuration;
    const replica = new Replica(
      id,
      { ...start, configuration },
      { ...this.#overrides, random: () => place * PATIENCE_STEP, now: this.now },
    );
    this.replicas.set(id, replica);
    this.event(id);
  }

  crash(id: string): void {
    this.get(id);
    this.#down.add(id);
  }

  isDown(id: string): boolean {
    return this.#down.has(id);
  }

  /** One that runs. */
  get(id: string): Replica {
    const replica = this.replicas.get(id);
    if (replica === undefined) throw new Error(`there is no replica ${id}`);
    if (this.#down.has(id)) throw new Error(`${id} is down`);
    return replica;
  }

  get running(): readonly string[] {
    return [...this.replicas.keys()].filter((id) => !this.#down.has(id));
  }

  /** One event at `id`, and in words what came of it. */
  event(id: string, input: (raft: Raft<string>) => Outcome | undefined = () => undefined): readonly string[] {
    const replica = this.get(id);
    const before = { status: replica.status, disk: replica.disk.durable };
    const batches = replica.batches.length;
    replica.now = this.now;
    replica.raft.tick(this.now);
    const outcome = input(replica.raft);
    this.#inFlight.push(...replica.pump());
    const said = outcome === undefined ? [] : [outcomeInWords(outcome)];
    return [...said, ...effectsOf(before, replica.status, replica.batches.slice(batches))];
  }

  /** Loses what is in flight on `link` now. */
  drop(link: Link): readonly string[] {
    const dropped = this.#inFlight.filter((message) => travels(message, link));
    this.#inFlight = this.#inFlight.filter((message) => !travels(message, link));
    return dropped.map((message) => this.#lose(message, "lost"));
  }

  /** Delivers what is in flight on `link` now, and nothing that is said in answer. */
  deliver(link: Link): readonly string[] {
    const arriving = this.#inFlight.filter((message) => travels(message, link));
    this.#inFlight = this.#inFlight.filter((message) => !arriving.includes(message));
    return arriving.flatMap((message) => this.#arrive(message));
  }

  /** Delivers everything, and the answers. */
  settle(): readonly string[] {
    const lines: string[] = [];
    for (let count = 0; ; count += 1) {
      const message = this.#inFlight.shift();
      if (message === undefined) return lines;
      if (count === MOST_MESSAGES) throw new Error(`there is no end to it: ${describe(message)}`);
      lines.push(...this.#arrive(message));
    }
  }

  /** What is in flight on `link` now is overtaken by everything else. */
  delay(link: Link): readonly string[] {
    const delayed = this.#inFlight.filter((message) => travels(message, link));
    this.#inFlight = this.#inFlight.filter((message) => !delayed.includes(message));
    this.#late = [...this.#late, ...delayed];
    return delayed.map((message) => `${describe(message)} — late`);
  }

  /** What was late arrives. */
  catchUp(): readonly string[] {
    const arriving = this.#late;
    this.#late = [];
    return arriving.flatMap((message) => this.#arrive(message));
  }

  /** From now on what arrives over these links is lost. */
  cut(links: readonly Link[]): void {
    this.#lossy = [...this.#lossy, ...links];
  }

  /** All links are good again. */
  heal(): void {
    this.#lossy = [];
  }

  #arrive(message: TestMessage): readonly string[] {
    if (this.#lossy.some((link) => travels(message, link))) return [this.#lose(message, "lost")];
    if (!this.running.includes(message.to)) return [this.#lose(message, `lost: ${message.to} is down`)];
    this.delivered += 1;
    const effects = this.event(message.to, (raft) => {
      raft.step(message);
      return undefined;
    });
    return [describe(message), ...effects.map((effect) => `    ${message.to} ${effect}`)];
  }

  #lose(message: TestMessage, why: string): string {
    this.lost += 1;
    return `${describe(message)} — ${why}`;
  }
}

function travels(message: TestMessage, { from, to }: Link): boolean {
  return (from ?? message.from) === message.from && (to ?? message.to) === message.to;
}
