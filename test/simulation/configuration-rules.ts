/**
 * The rules of membership: who may vote, which configuration may follow which, one change at a time
 * and none before the term is established, and that commits have the quorum they claim.
 */
import type { Configuration, Membership, SnapshotDescriptor, Status } from "../../src/raft/index.ts";
import type { Disk } from "./disk.ts";
import type { Host } from "./host.ts";
import type { SimEntry } from "./machine.ts";
import { Violation } from "./violation.ts";

interface Placed {
  readonly index: number;
  readonly configuration: Configuration;
}

export class ConfigurationRules {
  readonly #decided: () => readonly SimEntry[];
  readonly #effectsOnly: boolean;
  /** The configurations in each replica's log, oldest first. */
  readonly #placed = new Map<string, Placed[]>();
  /** The committed ones, and the one with which the group was founded. */
  readonly #committed: Placed[] = [];
  /** Disks that were lost after they acknowledged what was on them. */
  readonly #buried = new Map<string, Disk>();
  changes = 0;
  joint = 0;

  /** `effectsOnly`: when a leader makes changes is its own business. */
  constructor(decided: () => readonly SimEntry[], effectsOnly: boolean) {
    this.#decided = decided;
    this.#effectsOnly = effectsOnly;
  }

  bury(id: string, disk: Disk): void {
    this.#buried.set(id, disk);
  }

  founded(configuration: Configuration): void {
    if (this.#committed.length === 0) this.#committed.push({ index: 0, configuration });
  }

  /** The newest committed configuration. */
  get current(): Configuration | undefined {
    return this.#committed.at(-1)?.configuration;
  }

  /** In force at the end of a replica's log, as written. */
  inForce(host: Host): Configuration | undefined {
    return this.#placed.get(host.id)?.at(-1)?.configuration;
  }

  /** Whether a replica knows the configuration in force at an index. */
  isKnown(host: Host, index: number): boolean {
    return (this.#placed.get(host.id)?.[0]?.index ?? Number.POSITIVE_INFINITY) <= index;
  }

  restarted(host: Host): void {
    const { configuration, snapshot } = host.disk.restored;
    const base = snapshot?.last.index ?? 0;
    const placed: Placed[] = configuration === undefined ? [] : [{ index: base, configuration }];
    for (let index = Math.max(host.disk.firstIndex, base + 1); index <= host.disk.lastIndex; index += 1) {
      const entry = host.disk.entryAt(index);
      if (entry?.type === "configuration") placed.push({ index, configuration: entry.configuration });
    }
    this.#placed.set(host.id, placed);
  }

  /** A snapshot carries the configuration in force where it ends, and what it covers is committed. */
  installed(host: Host, { last, configuration }: SnapshotDescriptor): void {
    const history = this.#decided();
    if (last.index > history.length || history[last.index - 1]?.term !== last.term) {
      throw new Violation("a snapshot holds only what is committed", `${host.id} installs ${last.index}`, [
        host.id,
      ]);
    }
    const there = this.#committed.findLast(({ index }) => index <= last.index)?.configuration;
    if (there !== undefined && !sameConfiguration(there, configuration)) {
      throw new Violation(
        "a snapshot carries the configuration in force where it ends",
        `${host.id} installs ${last.index} with ${JSON.stringify(configuration)}, not ${JSON.stringify(there)}`,
        [host.id],
      );
    }
    this.#placed.set(host.id, [{ index: last.index, configuration }]);
  }

  writing(host: Host, status: Status, entries: readonly SimEntry[]): void {
    const placed = this.#placed.get(host.id) ?? [];
    const start = entries[0]?.index ?? 0;
    while ((placed.at(-1)?.index ?? -1) >= start) placed.pop();
    for (const entry of entries) {
      if (entry.type !== "configuration") continue;
      const before = placed.at(-1);
      this.#follows(host, before?.configuration, entry.configuration);
      if (!this.#effectsOnly && status.role === "leader" && status.term === entry.term) {
        if (before !== undefined && before.index > status.commit) {
          throw new Violation(
            "one change of membership at a time",
            `${host.id} appends one at ${entry.index} while that at ${before.index} is not committed`,
            [host.id],
          );
        }
        if (host.disk.termAt(status.commit) !== status.term) {
          throw new Violation(
            "no change of membership before the term is established",
            `${host.id} appends one at ${entry.index} in term ${status.term}, committed ${status.commit}`,
            [host.id],
          );
        }
      }
      placed.push({ index: entry.index, configuration: entry.configuration });
    }
    this.#placed.set(host.id, placed);
  }

  #follows(host: Host, before: Configuration | undefined, after: Configuration): void {
    for (const { voters, learners } of membershipsOf(after)) {
      if (voters.length === 0 || voters.some((voter) => learners.includes(voter))) {
        throw new Violation("a configuration has voters, and nobody is both", JSON.stringify(after), [
          host.id,
        ]);
      }
    }
    if (before === undefined) return;
    const allowed =
      before.type === "joint"
        ? after.type === "stable" && sameMembership(before.to, after)
        : after.type === "joint"
          ? sameMembership(after.from, before)
          : difference(before.voters, after.voters) <= 1;
    if (allowed) return;
    throw new Violation(
      "one vote changes at a time, or two memberships agree",
      `${host.id} writes ${JSON.stringify(after)} after ${JSON.stringify(before)}`,
      [host.id],
    );
  }

  /**
   * An entry becomes known as committed: a quorum holds it, under the configuration in force there or
   * under a later one that some replica already has.
   */
  deciding(host: Host, hosts: readonly Host[], entry: SimEntry): void {
    if (entry.type === "configuration") {
      this.#committed.push({ index: entry.index, configuration: entry.configuration });
      this.changes += 1;
      if (entry.configuration.type === "joint") this.joint += 1;
    }
    const holds = (id: string) =>
      hosts.some((other) => other.id === id && other.disk.holds(entry)) ||
      this.#buried.get(id)?.holds(entry) === true;
    const current = this.#committed.at(-1)?.configuration;
    if (current === undefined || isQuorum(current, holds)) return;
    for (const placed of this.#placed.values()) {
      if (
        placed.some(({ index, configuration }) => index >= entry.index - 1 && isQuorum(configuration, holds))
      )
        return;
    }
    if (this.#committed.some(({ configuration }) => isQuorum(configuration, holds))) return;
    throw new Violation(
      "what is committed is on a majority",
      `${host.id} takes entry ${entry.index} of term ${entry.term} for committed`,
      [host.id],
    );
  }

  /** Only who votes may ask for votes. */
  campaigns(host: Host): void {
    const placed = this.#placed.get(host.id);
    if (placed?.some(({ configuration }) => isVoter(configuration, host.id)) === true) return;
    throw new Violation("only a voter campaigns", host.id, [host.id]);
  }

  /** A leader that removed itself, or its vote, steps down once that is committed. */
  observed(host: Host, status: Status): void {
    if (status.role !== "leader") return;
    const newest = this.#placed.get(host.id)?.at(-1);
    if (newest === undefined || newest.index > Math.min(status.commit, host.machine.applied)) return;
    if (newest.configuration.type === "joint" || isVoter(newest.configuration, host.id)) return;
    throw new Violation("a leader without a vote steps down", `${host.id} in term ${status.term}`, [host.id]);
  }
}

function membershipsOf(configuration: Configuration): readonly Membership[] {
  return configuration.type === "stable" ? [configuration] : [configuration.from, configuration.to];
}

/** Everybody who takes part, with or without a vote. */
export function membersOf(configuration: Configuration): ReadonlySet<string> {
  return new Set(membershipsOf(configuration).flatMap(({ voters, learners }) => [...voters, ...learners]));
}

export function isVoter(configuration: Configuration, id: string): boolean {
  return membershipsOf(configuration).some(({ voters }) => voters.includes(id));
}

/** Counted here anew, so that a mistake in the core's own counting shows. */
export function isQuorum(configuration: Configuration, agrees: (id: string) => boolean): boolean {
  return membershipsOf(configuration).every(({ voters }) => 2 * voters.filter(agrees).length > voters.length);
}

function difference(a: readonly string[], b: readonly string[]): number {
  return a.filter((id) => !b.includes(id)).length + b.filter((id) => !a.includes(id)).length;
}

function sameMembership(a: Membership, b: Membership): boolean {
  return difference(a.voters, b.voters) + difference(a.learners, b.learners) === 0;
}

function sameConfiguration(a: Configuration, b: Configuration): boolean {
  if (a.type === "stable") return b.type === "stable" && sameMembership(a, b);
  return b.type === "joint" && sameMembership(a.from, b.from) && sameMembership(a.to, b.to);
}
