/** Who takes part in the group, by the configuration in force, and whom of them this replica hears. */
import type { Command } from "../coordinator/commands.ts";
import { isQuorum, type Raft, type Configuration as RaftConfiguration, replicasOf } from "../raft/index.ts";
import { nameOf } from "./names.ts";
import type { Observation } from "./observations.ts";
import { Partitions } from "./partitions.ts";
import type { Peers } from "./peers.ts";
import type { Reigns } from "./reigns.ts";

export interface MembersOptions {
  readonly id: string;
  readonly raft: Raft<Command>;
  readonly peers: Peers;
  readonly reigns: Reigns;
  readonly now: () => number;
  readonly heartbeat_ms: number;
  readonly loyalty_ms: number;
  readonly partition_detection_ms: number;
  readonly observe: (observation: Observation) => void;
}

export class Members {
  readonly partitions: Partitions;
  readonly #options: MembersOptions;
  #lookedAt = 0;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.partitions = new Partitions(options.partition_detection_ms);
  }

  get configuration(): RaftConfiguration {
    const { raft, id } = this.#options;
    const { configuration } = raft.status;
    if (!configuration) throw new Error(`${id} has no configuration, though it was founded`);
    return configuration;
  }

  /** Raft identities of everybody who receives the log, this replica included. */
  get ids(): readonly string[] {
    return replicasOf(this.configuration);
  }

  /** Whether a member has been heard within the loyalty period. */
  reaches(member: string): boolean {
    return this.#heardSince(member, this.#options.now() - this.#options.loyalty_ms);
  }

  /** Whether a majority has been heard within the loyalty period; this replica hears itself. */
  get reachesMajority(): boolean {
    return isQuorum(this.configuration, (member) => this.reaches(member));
  }

  /**
   * How many have been heard within the detection period. In a group that has been asleep since `asleepSince` nobody is
   * missed: there the period before it counts, and of whom nothing was heard then nothing is held against.
   */
  reachable(asleepSince: number | undefined): number {
    const { now, peers, partition_detection_ms } = this.#options;
    const since = (asleepSince ?? now()) - partition_detection_ms;
    return this.ids.filter(
      (member) =>
        this.#heardSince(member, since) || (asleepSince !== undefined && peers.heardAt(member) === 0),
    ).length;
  }

  /** Looks for partitions as of `now` on the engine's clock: often enough for the detection period, and not more often. */
  look(now: number): void {
    const { id, peers, reigns, heartbeat_ms, observe } = this.#options;
    if (now - this.#lookedAt < heartbeat_ms) return;
    this.#lookedAt = now;
    const { role, leader } = reigns.current;
    const others = this.ids.filter((member) => member !== id);
    const changes = this.partitions.look({
      now,
      leads: role === "leader",
      peers: new Map(others.map((member) => [member, peers.heardAt(member)])),
      leaderlessSince: leader === undefined ? reigns.leaderlessSince : undefined,
    });
    for (const { type, peer = id } of changes) {
      const node_id = nameOf(peer);
      if (type === "recovered") {
        observe({ type: "partition.recovered", node_id, new_leader: nameOf(leader ?? id) });
      } else {
        const health = role === "leader" && this.reachesMajority ? "healthy" : "unhealthy";
        observe({ type: "partition.detected", node_id, health });
      }
    }
  }

  #heardSince(member: string, since: number): boolean {
    const { id, peers } = this.#options;
    return member === id || peers.heardAt(member) >= since;
  }
}
