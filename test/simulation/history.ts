/**
 * What the group has decided and who led it: one leader a term, complete leaders, and one history
 * that every state machine applies.
 */
import type { LogPosition, Ready } from "../../src/raft/index.ts";
import type { ConfigurationRules } from "./configuration-rules.ts";
import { keyOf, same } from "./entries.ts";
import type { Figures } from "./figures.ts";
import type { Host } from "./host.ts";
import { type Command, digestAfter, type SimEntry } from "./machine.ts";
import type { Knobs } from "./scenario.ts";
import { Violation } from "./violation.ts";

export class History {
  /** Entry `index` at `index - 1`. */
  readonly entries: SimEntry[] = [];
  /** The term in which each was committed, or a later one: that of the first replica to know of it. */
  readonly #committedIn: number[] = [];
  /** Of the state machine after each of them. */
  readonly #digests: number[] = [];
  readonly #leaders = new Map<number, string>();
  /** Which operation a client was told stands at a position. */
  readonly #appended = new Map<number, { readonly operation: number; readonly by: string }>();
  /** When each operation was first decided, in the order of events that clients see. */
  readonly #decided = new Map<number, number>();
  #instants = 0;
  readonly #hosts: readonly Host[];
  readonly #knobs: Knobs;
  readonly #figures: Figures;
  readonly #rules: ConfigurationRules;

  constructor(hosts: readonly Host[], knobs: Knobs, figures: Figures, rules: ConfigurationRules) {
    this.#hosts = hosts;
    this.#knobs = knobs;
    this.#figures = figures;
    this.#rules = rules;
  }

  /** The replica has applied what the batch says, and may say so. */
  delivered(host: Host, { committed, persist }: Ready<Command>): void {
    for (const entry of committed) {
      const decided = this.entries[entry.index - 1];
      if (decided === undefined) this.#decide(host, entry);
      else if (decided !== entry && !same(decided, entry)) {
        throw new Violation(
          "all state machines apply the same",
          `${host.id} applies another entry at ${entry.index}: term ${entry.term}, not ${decided.term}`,
          [host.id],
        );
      }
    }
    if ((committed.length > 0 || persist?.snapshot !== undefined) && !this.#knobs.gated)
      this.demandDigest(host);
  }

  demandDigest(host: Host): void {
    const { applied, digest } = host.machine;
    if (applied === 0 || applied > this.entries.length || this.#digests[applied - 1] === digest) return;
    throw new Violation("all state machines apply the same", `${host.id} has another state at ${applied}`, [
      host.id,
    ]);
  }

  #decide(host: Host, entry: SimEntry): void {
    const before = this.entries.at(-1);
    if (this.entries.length !== entry.index - 1) {
      throw new Violation("nothing is applied that was not decided before", `${host.id}: ${entry.index}`, [
        host.id,
      ]);
    }
    if ((before?.term ?? 0) > entry.term || (before?.time ?? 0) > entry.time) {
      throw new Violation("terms and times never go back along the log", `at ${entry.index}`, [host.id]);
    }
    this.#rules.deciding(host, this.#hosts, entry);
    const operation = this.#appended.get(keyOf(entry))?.operation;
    if (operation !== undefined && (entry.type !== "command" || entry.command.operation !== operation)) {
      throw new Violation("a position names one entry", `${entry.index} of term ${entry.term}`, [host.id]);
    }
    this.entries.push(entry);
    host.note(45, () => `entry ${entry.index}@${entry.term} is decided: ${host.id} is the first to apply it`);
    const committedIn = host.disk.hardState.term;
    this.#committedIn.push(committedIn);
    this.#digests.push(digestAfter(this.#digests.at(-1) ?? 0, entry));
    if (entry.type === "command" && !this.#decided.has(entry.command.operation)) {
      this.#decided.set(entry.command.operation, this.nextInstant());
    }
    for (const other of this.#hosts) {
      const { status } = other;
      if (status?.role !== "leader" || status.term <= committedIn) continue;
      this.#demandComplete(other, entry, status.term);
    }
  }

  decidedAt(operation: number): number | undefined {
    return this.#decided.get(operation);
  }

  /** Orders what clients see strictly. */
  nextInstant(): number {
    this.#instants += 1;
    return this.#instants;
  }

  /** A client was told where its command, the last of several, stands. */
  appended(host: Host, position: LogPosition, operation: number): void {
    this.#appended.set(keyOf(position), { operation, by: host.id });
  }

  /** What a host that lost its last writes told its clients may be untrue. */
  torn(host: Host): void {
    const end = keyOf({ index: host.disk.lastIndex + 1, term: 0 });
    for (const [key, { by }] of this.#appended) {
      if (by === host.id && key >= end) this.#appended.delete(key);
    }
  }

  leads(host: Host, term: number): void {
    const known = this.#leaders.get(term);
    if (known === host.id) return;
    if (known !== undefined) {
      throw new Violation("one leader a term", `${known} and ${host.id} both lead term ${term}`, [
        known,
        host.id,
      ]);
    }
    this.#leaders.set(term, host.id);
    this.#figures.elections += 1;
    host.note(46, () => `${host.id} leads term ${term}`);
    host.world.elected(host);
    const last = this.entries[this.#committedIn.findLastIndex((committedIn) => committedIn < term)];
    if (last !== undefined) this.#demandComplete(host, last, term);
  }

  /**
   * By log matching the newest committed entry vouches for all before it. What counts is when it was
   * committed, not its own term: one of an old term may become committed long after a leader without
   * it was elected.
   */
  #demandComplete(host: Host, { index, term }: SimEntry, reign: number): void {
    if (index < host.disk.firstIndex - 1 || host.disk.termAt(index) === term) return;
    throw new Violation(
      "a leader holds everything committed before its term",
      `${host.id} leads term ${reign} without entry ${index} of term ${term}`,
      [host.id],
    );
  }
}
