/** Everybody a leader replicates to, as the configuration in force says, and what a majority of them has reached. */
import type { Configurations } from "./configurations.ts";
import type { Configuration } from "./membership.ts";
import type { Timing } from "./options.ts";
import { PeerProgress } from "./progress.ts";
import { isVoter, quorumReached, replicasOf } from "./quorum.ts";
import type { Progress } from "./status.ts";
import type { LogIndex, Millis, ReplicaId } from "./vocabulary.ts";

export class Peers {
  readonly #id: ReplicaId;
  readonly #configurations: Configurations;
  readonly #timing: Timing;
  readonly #progress = new Map<ReplicaId, PeerProgress>();

  constructor(id: ReplicaId, configurations: Configurations, timing: Timing) {
    this.#id = id;
    this.#configurations = configurations;
    this.#timing = timing;
  }

  get #configuration(): Configuration {
    const { current } = this.#configurations;
    if (current === undefined) throw new Error(`${this.#id} leads without a configuration`);
    return current;
  }

  /** The configuration in force may be another one. Newcomers are first sent what stands at `next`. */
  reconfigured(next: LogIndex, now: Millis): void {
    const members = replicasOf(this.#configuration).filter((member) => member !== this.#id);
    for (const peer of this.#progress.keys()) {
      if (!members.includes(peer)) this.#progress.delete(peer);
    }
    for (const peer of members) {
      if (!this.#progress.has(peer)) this.#progress.set(peer, new PeerProgress(next, now, this.#timing));
    }
  }

  get(peer: ReplicaId): PeerProgress | undefined {
    return this.#progress.get(peer);
  }

  entries(): Iterable<[ReplicaId, PeerProgress]> {
    return this.#progress.entries();
  }

  values(): Iterable<PeerProgress> {
    return this.#progress.values();
  }

  votes(peer: ReplicaId): boolean {
    return isVoter(this.#configuration, peer);
  }

  /** The largest value that a majority has reached; `own` is the leader's, if it votes. */
  reached(own: number, reachedBy: (peer: PeerProgress) => number): number {
    return quorumReached(this.#configuration, (voter) => {
      if (voter === this.#id) return own;
      const progress = this.#progress.get(voter);
      return progress === undefined ? Number.NEGATIVE_INFINITY : reachedBy(progress);
    });
  }

  get view(): ReadonlyMap<ReplicaId, Progress> {
    return new Map(Array.from(this.#progress, ([id, peer]) => [id, peer.view]));
  }
}
