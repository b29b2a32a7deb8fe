/**
 * The replicated state machine of the simulation: registers that are written, compared and set, and
 * read. A command carries the number of the operation it stands for and takes effect once, however
 * often it is in the log: clients repeat what was not answered.
 */
import type { Entry } from "../../src/raft/index.ts";

export interface Command {
  /** Names the operation for ever; also the value written, so that no two writes look alike. */
  readonly operation: number;
  readonly key: number;
  /** Set only if the register holds this; written in any case if absent. */
  readonly expected?: number;
}

export type SimEntry = Entry<Command>;

/** Every command weighs the same: what limits do can then be counted in commands. */
export const COMMAND_BYTES = 10;

export class Machine {
  applied = 0;
  /** Folds in everything applied: equal digests at an index, equal states. */
  digest = 0;
  readonly #values: Map<number, number>;
  readonly #done: Map<number, boolean>;

  constructor(from?: Machine) {
    this.#values = new Map(from === undefined ? undefined : from.#values);
    this.#done = new Map(from === undefined ? undefined : from.#done);
    if (from === undefined) return;
    this.applied = from.applied;
    this.digest = from.digest;
  }

  apply(entry: SimEntry): void {
    this.applied = entry.index;
    this.digest = digestAfter(this.digest, entry);
    if (entry.type !== "command") return;
    const { operation, key, expected } = entry.command;
    if (this.#done.has(operation)) return;
    const effective = expected === undefined || this.read(key) === expected;
    this.#done.set(operation, effective);
    if (effective) this.#values.set(key, operation);
  }

  /** `0` before the first write. */
  read(key: number): number {
    return this.#values.get(key) ?? 0;
  }

  /** Whether an operation took effect; `undefined` if it was not applied. */
  outcomeOf(operation: number): boolean | undefined {
    return this.#done.get(operation);
  }
}

export function digestAfter(digest: number, entry: SimEntry): number {
  const what = entry.type === "command" ? entry.command.operation : entry.type.length;
  const bits = Math.imul(digest ^ Math.imul(entry.term, 0x9e3779b1) ^ what, 0x85ebca6b);
  return bits ^ (bits >>> 13);
}
