/**
 * Clients: they write, compare and set, and read registers at any replica, follow its advice who
 * leads, repeat what was not answered, and remember when each operation began and ended.
 */
import type { Outcome, Refusal } from "../../src/raft/index.ts";
import type { Host } from "./host.ts";
import type { Operation } from "./linearizability.ts";
import type { Command } from "./machine.ts";
import { Random, streamOf } from "./random.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

interface Pending {
  readonly operation: number;
  readonly type: Operation["type"];
  readonly key: number;
  readonly expected?: number;
  readonly called: number;
  /** What its client decides by. */
  readonly luck: Random;
  answered?: number;
  result?: number | boolean;
}

/** Few enough that the search stays short even if all of them are under way at once. */
const OPERATIONS_PER_KEY = 10;
const MOST_HOPS = 3;
const PATIENCE_MS = 150;
const MOST_ATTEMPTS = 4;

export class Clients {
  readonly #world: World;
  readonly #hosts: readonly Host[];
  readonly #operations: Pending[] = [];
  /** Operations on each key in use; a key that was used enough makes room for a new one. */
  readonly #keys: { key: number; used: number }[] = [1, 2, 3, 4].map((key) => ({ key, used: 0 }));
  #lastKey = 4;
  #reads = 0;
  /** Names of reads whose fate is known: they may name other reads. */
  readonly #freeNames: string[] = [];
  answered = 0;

  constructor(world: World, hosts: readonly Host[]) {
    this.#world = world;
    this.#hosts = hosts;
  }

  /**
   * Operations as the checker wants them. One without an answer counts if it was decided, and as
   * answered when it was: whatever begins later must not miss it, and the search stays short.
   */
  get operations(): readonly Operation[] {
    const { checks } = this.#world;
    return this.#operations.flatMap(({ answered, result, luck: _, ...begun }) => {
      if (answered !== undefined) return { ...begun, answered, ...(result !== undefined && { result }) };
      const decided = checks.decidedAt(begun.operation);
      return decided === undefined ? [] : { ...begun, answered: decided };
    });
  }

  write(host: Host, luck: Random, compares = false): void {
    const pending = this.#begin(compares ? "compare-and-set" : "write", host, luck);
    this.#propose(host, pending, 0);
  }

  /** Several at once, in one proposal. */
  burst(host: Host, luck: Random, count: number): void {
    const pending = Array.from({ length: count }, () => this.#begin("write", host, luck));
    host.event((raft) => {
      for (const one of pending) this.#await(host, one);
      this.#judge(raft.propose(...pending.map(commandOf)), host, pending[count - 1], MOST_HOPS);
    });
  }

  read(host: Host, luck: Random): void {
    const pending = this.#begin("read", host, luck);
    this.#ask(host, pending, 0);
  }

  #begin(type: Operation["type"], host: Host, client: Random): Pending {
    const luck = new Random(streamOf(0, Math.floor(client.next() * 2 ** 31)));
    const place = luck.between(0, this.#keys.length - 1);
    const slot = this.#keys[place] ?? { key: 0, used: 0 };
    slot.used += 1;
    const { key } = slot;
    if (slot.used === OPERATIONS_PER_KEY) {
      this.#lastKey += 1;
      this.#keys[place] = { key: this.#lastKey, used: 0 };
    }
    const pending: Pending = {
      operation: this.#operations.length + 1,
      type,
      key,
      called: this.#world.checks.nextInstant(),
      luck,
      ...(type === "compare-and-set" && { expected: host.machine.read(key) }),
    };
    this.#operations.push(pending);
    return pending;
  }

  #propose(host: Host, pending: Pending, attempts: number, hops = 0): void {
    const { schedule } = this.#world;
    const { luck } = pending;
    host.event((raft) => {
      this.#await(host, pending);
      const refused = this.#judge(raft.propose(commandOf(pending)), host, pending, hops);
      if (refused !== undefined && refused !== host) {
        schedule.after(luck.between(1, 5), () => this.#propose(refused, pending, attempts, hops + 1));
      }
    });
    if (hops > 0 || attempts >= MOST_ATTEMPTS) return;
    schedule.after(PATIENCE_MS * (attempts + 1), () => {
      if (pending.answered === undefined && luck.chance(0.5)) {
        this.#propose(this.#anybody(luck), pending, attempts + 1);
      }
    });
  }

  /** Where the client is sent by a refusal. */
  #judge(outcome: Outcome, host: Host, pending: Pending | undefined, hops: number): Host | undefined {
    if (outcome.type === "appended" && pending !== undefined) {
      this.#world.checks.appended(host, outcome.position, pending.operation);
    }
    if (outcome.type === "forwarded") this.#world.figures.forwarded += 1;
    if (outcome.type !== "refused" || hops >= MOST_HOPS) return undefined;
    const { refusal } = outcome;
    host.note(41, () => `${host.id} refuses: ${refusal.type}`);
    const hint = leaderNamed(refusal);
    return this.#hosts.find(({ id }) => id === hint);
  }

  #await(host: Host, pending: Pending): void {
    host.answers.command(pending.operation, (effective) => {
      if (pending.answered !== undefined) return;
      pending.answered = this.#world.checks.nextInstant();
      if (pending.type === "compare-and-set") pending.result = effective;
      this.answered += 1;
      this.#world.figures.writes += 1;
      host.note(42, () => `${host.id} answers operation ${pending.operation}: ${effective}`);
    });
  }

  #ask(host: Host, pending: Pending, attempts: number, hops = 0): void {
    const { schedule, knobs } = this.#world;
    const { luck } = pending;
    host.event((raft) => {
      const reused = knobs.options.forwardRequests ? undefined : this.#freeNames.pop();
      const id = reused ?? `read-${this.#reads++}`;
      const floor = this.#world.checks.history.length;
      const outcome = raft.readIndex(id);
      host.note(43, () => `${host.id} is asked for ${id}: ${outcome.type}`);
      if (outcome.type === "refused") {
        const other = this.#judge(outcome, host, undefined, hops);
        if (reused !== undefined) this.#freeNames.push(id);
        if (other !== undefined && other !== host) {
          schedule.after(luck.between(1, 5), () => this.#ask(other, pending, attempts, hops + 1));
        }
        return;
      }
      host.answers.read(id, pending.key, (answer, index) => {
        if (outcome.type === "started" && !knobs.options.forwardRequests) this.#freeNames.push(id);
        if (answer.type === "aborted" || pending.answered !== undefined) return;
        if (index < floor) {
          const detail = `${host.id} answers ${id} as of ${index}, ${floor} was applied before it was asked`;
          throw new Violation("a read misses nothing that was decided before it began", detail, [host.id]);
        }
        pending.answered = this.#world.checks.nextInstant();
        pending.result = answer.value;
        this.answered += 1;
        const { figures } = this.#world;
        figures.reads += 1;
        if (knobs.options.reads.type === "lease") figures.leaseReads += 1;
        host.note(44, () => `${host.id} answers ${id} as of ${index}: ${answer.value}`);
      });
    });
    if (hops > 0 || attempts >= MOST_ATTEMPTS) return;
    schedule.after(PATIENCE_MS * (attempts + 1), () => {
      if (pending.answered === undefined && luck.chance(0.5)) {
        this.#ask(this.#anybody(luck), pending, attempts + 1);
      }
    });
  }

  /** A replica that runs, if there is one. */
  #anybody(luck: Random): Host {
    const running = this.#hosts.filter(({ raft }) => raft !== undefined);
    const place = luck.between(0, Math.max(running.length - 1, 0));
    const [first] = this.#hosts;
    if (first === undefined) throw new Error("there are no replicas");
    return running[place] ?? first;
  }
}

/** Where a refusal sends whoever asked. */
export function leaderNamed(refusal: Refusal): string | undefined {
  if (refusal.type === "not-leader") return refusal.leader;
  return refusal.type === "transferring" ? refusal.successor : undefined;
}

function commandOf({ operation, key, expected }: Pending): Command {
  return { operation, key, ...(expected !== undefined && { expected }) };
}
