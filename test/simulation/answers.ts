/** Who waits at one replica for a command to be applied or for a read to be granted. */
import type { ReadResult } from "../../src/raft/index.ts";
import type { Machine, SimEntry } from "./machine.ts";

/** Tells a client. */
export type Answer = () => void;

export type ReadAnswer = { readonly type: "value"; readonly value: number } | { readonly type: "aborted" };

interface Read {
  readonly key: number;
  /** What the answer must not be older than. */
  readonly tell: (answer: ReadAnswer, index: number) => void;
}

export class Answers {
  readonly #commands = new Map<number, (effective: boolean) => void>();
  readonly #reads = new Map<string, Read>();
  #granted: { readonly index: number; readonly read: Read }[] = [];

  forget(): void {
    this.#commands.clear();
    this.#reads.clear();
    this.#granted = [];
  }

  get waiting(): number {
    return this.#commands.size + this.#reads.size + this.#granted.length;
  }

  command(operation: number, tell: (effective: boolean) => void): void {
    this.#commands.set(operation, tell);
  }

  read(id: string, key: number, tell: Read["tell"]): void {
    this.#reads.set(id, { key, tell });
  }

  isAsked(id: string): boolean {
    return this.#reads.has(id);
  }

  /** Applies entries; what is to be said because of them. */
  applying(machine: Machine, entries: readonly SimEntry[]): Answer[] {
    const answers: Answer[] = [];
    for (const entry of entries) {
      machine.apply(entry);
      if (entry.type !== "command") continue;
      const { operation } = entry.command;
      const tell = this.#commands.get(operation);
      if (tell === undefined) continue;
      this.#commands.delete(operation);
      const effective = machine.outcomeOf(operation) === true;
      answers.push(() => tell(effective));
    }
    return answers;
  }

  /** What is to be said of reads whose fate is known and whose index is applied. */
  reading(machine: Machine, results: readonly ReadResult[]): Answer[] {
    const answers: Answer[] = [];
    for (const result of results) {
      const read = this.#reads.get(result.id);
      // Whoever asked has given up.
      if (read === undefined) continue;
      this.#reads.delete(result.id);
      if (result.type === "granted") this.#granted.push({ index: result.index, read });
      else answers.push(() => read.tell({ type: "aborted" }, 0));
    }
    if (this.#granted.length === 0) return answers;
    const early = this.#granted.filter(({ index }) => index > machine.applied);
    for (const { index, read } of this.#granted) {
      if (index > machine.applied) continue;
      const value = machine.read(read.key);
      answers.push(() => read.tell({ type: "value", value }, index));
    }
    this.#granted = early;
    return answers;
  }
}
