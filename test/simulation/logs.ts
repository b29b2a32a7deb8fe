/**
 * What is written on the disks: logs without gaps, that agree before any index at which they agree;
 * leaders that only append; votes and terms that never go back.
 *
 * Log matching is checked by induction: whoever writes an entry writes the one that anybody else
 * wrote at that term and index, after the same predecessor.
 */
import type { HardState, Persist, Raft, Status } from "../../src/raft/index.ts";
import { keyOf, same } from "./entries.ts";
import type { History } from "./history.ts";
import type { Host } from "./host.ts";
import type { Command, SimEntry } from "./machine.ts";
import type { Knobs } from "./scenario.ts";
import { Violation } from "./violation.ts";

interface Known {
  readonly entry: SimEntry;
  readonly before: number;
}

export class Logs {
  readonly #history: History;
  readonly #knobs: Knobs;
  readonly #entries = new Map<number, Known>();
  /** Entries that were sent to somebody. */
  readonly #sent = new Set<number>();
  readonly #votes = new Map<string, string>();
  /** Term and vote as last written, by replica. */
  readonly #hardStates = new Map<string, HardState>();

  constructor(history: History, knobs: Knobs) {
    this.#history = history;
    this.#knobs = knobs;
  }

  /** Before `persist` reaches the disk. */
  writing(host: Host, raft: Raft<Command>, { hardState, entries, snapshot }: Persist<Command>): void {
    if (hardState !== undefined) this.#neverBack(host, hardState);
    const [first] = entries;
    if (first === undefined) return;
    const status = raft.status;
    const end = snapshot?.last.index ?? host.disk.lastIndex;
    if (snapshot === undefined && first.index <= end) this.#overwrites(host, first, end, status);
    if (first.index > end + 1) {
      throw new Violation("logs have no gaps", `${host.id} ends at ${end}, writes ${first.index}`, [host.id]);
    }
    let before =
      first.index === 1
        ? 0
        : snapshot !== undefined && first.index === end + 1
          ? snapshot.last.term
          : host.disk.termAt(first.index - 1);
    let index = first.index;
    for (const entry of entries) {
      if (entry.index !== index)
        throw new Violation("logs have no gaps", `${host.id} at ${entry.index}`, [host.id]);
      this.#matches(host, entry, before ?? -1);
      before = entry.term;
      index += 1;
    }
  }

  /** Back to life, with what a crash left. */
  restarted(host: Host): void {
    // Only what a crash tore off may be missing, and nothing was said that depended on it.
    if (this.#hardStates.has(host.id)) this.#hardStates.set(host.id, host.disk.hardState);
  }

  sent(entries: readonly SimEntry[]): void {
    if (!this.#knobs.options.resumeLeadership) return;
    for (const entry of entries) this.#sent.add(keyOf(entry));
  }

  votes(voter: string, term: number, candidate: string): void {
    const key = `${voter} ${term}`;
    const known = this.#votes.get(key);
    if (known !== undefined && known !== candidate) {
      const detail = `${voter} votes for ${known} and ${candidate} in term ${term}`;
      throw new Violation("one vote a term", detail, [voter]);
    }
    this.#votes.set(key, candidate);
  }

  /**
   * Entries that a crash tore off. A leader that resumes its reign may put others in their places,
   * provided that nobody has seen them.
   */
  torn(host: Host, entries: readonly SimEntry[]): void {
    if (!this.#knobs.options.resumeLeadership) return;
    for (const entry of entries) {
      const key = keyOf(entry);
      if (!this.#sent.has(key)) this.#entries.delete(key);
    }
    this.#history.torn(host);
  }

  #neverBack(host: Host, { term, vote }: HardState): void {
    const before = this.#hardStates.get(host.id);
    if (before !== undefined) {
      const kept = term > before.term || (term === before.term && (before.vote ?? vote) === vote);
      if (!kept) {
        const [was, is] = [before, { term, vote }].map((state) => JSON.stringify(state));
        throw new Violation("term and vote never go back", `${host.id}: ${was}, then ${is}`, [host.id]);
      }
    }
    this.#hardStates.set(host.id, { term, commit: 0, ...(vote !== undefined && { vote }) });
  }

  #overwrites(host: Host, first: SimEntry, end: number, status: Status): void {
    const was = host.status;
    if (was?.role === "leader" && status.role === "leader" && was.term === status.term) {
      throw new Violation(
        "a leader only appends to its log",
        `${host.id} overwrites its entry ${first.index} in term ${status.term}`,
        [host.id],
      );
    }
    for (let index = first.index; index <= Math.min(end, this.#history.entries.length); index += 1) {
      const decided = this.#history.entries[index - 1];
      if (decided !== undefined && host.disk.termAt(index) === decided.term) {
        throw new Violation(
          "what is committed stays",
          `${host.id} overwrites entry ${index} of term ${decided.term}, which is committed`,
          [host.id],
        );
      }
    }
  }

  #matches(host: Host, entry: SimEntry, before: number): void {
    const key = keyOf(entry);
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { entry, before });
      return;
    }
    if (known.before !== before || !same(known.entry, entry)) {
      throw new Violation(
        "logs that agree at an index agree before it",
        `${host.id} writes another entry ${entry.index} of term ${entry.term}, or after another one`,
        [host.id],
      );
    }
  }
}
