/**
 * What a replica says of itself: the bodies of health and status. From memory and stored hints alone: looking never
 * waits for a leader. Names and order of the keys are those that scripts for the replaced systems read.
 */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import type { Engine } from "./engine.ts";
import { nameOf } from "./names.ts";
import type { Store } from "./store.ts";

export interface ReplicaView {
  readonly name: string;
  readonly configuration: Configuration;
  readonly store: Store;
  readonly engine: Engine | undefined;
  /** Why this replica is not part of the group. */
  readonly waiting: string | undefined;
  readonly isolated: boolean;
  readonly now: number;
}

const STATES = {
  leader: "Leader",
  candidate: "Candidate",
  "pre-candidate": "Candidate",
  follower: "Follower",
  learner: "Follower",
} as const;

/** Whether this replica can, as far as it knows, have a write committed now. */
function reach(view: ReplicaView): "healthy" | "electing" | "cut-off" {
  const { engine, configuration, now } = view;
  if (!engine) return "cut-off";
  // Silence is not partition.
  if (engine.asleep) return "healthy";
  const { role, leader } = engine.raft.status;
  if (role === "leader") return engine.members.reachesMajority ? "healthy" : "electing";
  if (leader === undefined)
    return now - engine.reigns.leaderlessSince > configuration.partition_detection_ms
      ? "cut-off"
      : "electing";
  const silent = now - engine.peers.heardAt(leader);
  if (silent <= configuration.election_ms[1]) return "healthy";
  return silent > configuration.partition_detection_ms ? "cut-off" : "electing";
}

export function partitionState(view: ReplicaView): "healthy" | "recovering" | "partitioned" {
  const state = reach(view);
  if (state === "cut-off") return "partitioned";
  const { engine } = view;
  const behind = engine !== undefined && engine.appliedIndex < engine.raft.status.commit;
  return state === "healthy" && !behind ? "healthy" : "recovering";
}

function addressOf(name: string | undefined, configuration: Configuration): string {
  if (name === undefined) return "";
  const { local_port_base } = configuration;
  const place = replicaNames(configuration).indexOf(name);
  // Only the founding replicas have ports of their own.
  if (local_port_base === undefined || place < 0) return name;
  return `${name}:${local_port_base + place}`;
}

function reasonOf(view: ReplicaView): string | undefined {
  if (view.waiting !== undefined) return view.waiting;
  const state = reach(view);
  if (state === "healthy") return undefined;
  if (view.isolated) return "isolated by a fault: no peer hears this replica or is heard";
  return state === "electing"
    ? "no leader that reaches a majority is known; an election is due"
    : "no majority can be reached";
}

export function healthOf(view: ReplicaView): Record<string, unknown> {
  const { name, configuration, engine } = view;
  const status = engine?.raft.status;
  const leader = engine?.leader === undefined ? undefined : nameOf(engine.leader);
  const counts = engine?.coordinator.counts;
  const state = reach(view);
  const reason = reasonOf(view);
  return {
    status: state === "healthy" ? "healthy" : state === "electing" ? "degraded" : "unhealthy",
    coordinator_id: name,
    raft: {
      state: status ? STATES[status.role] : "Follower",
      is_leader: status?.role === "leader",
      leader_address: addressOf(leader, configuration),
      leader_id: leader ?? "",
      node_id: name,
      term: status?.term ?? 0,
      role: status?.role ?? "blank",
      commit_index: status?.commit ?? 0,
      applied_index: engine?.appliedIndex ?? 0,
      last_log_index: view.store.log.lastIndex,
      configuration: status?.configuration?.type ?? "none",
      ...(status?.role === "leader" && status.successor !== undefined
        ? { transferring_to: nameOf(status.successor) }
        : {}),
      partition_state: partitionState(view),
      asleep: engine?.asleep === true,
    },
    workers: counts?.workers ?? { total: 0, active: 0, suspect: 0, dead: 0 },
    capacity: counts?.capacity ?? { total: 0, used: 0, available: 0 },
    scheduler: {
      tasks_assigned: Object.values(counts?.tasks_assigned ?? {}).reduce(
        (sum, count) => sum + count,
        counts?.tasks_assigned_before ?? 0,
      ),
      assignments_failed: counts?.assignments_failed ?? 0,
      poll_cycles: engine?.pulls ?? 0,
    },
    ...(reason === undefined ? {} : { reason }),
  };
}

export function statusOf(view: ReplicaView): Record<string, unknown> {
  const { name, engine, store, now } = view;
  const status = engine?.raft.status;
  const leader = engine?.leader;
  const heard = leader === undefined || !engine ? 0 : engine.peers.heardAt(leader);
  return {
    node_id: name,
    is_leader: status?.role === "leader",
    current_leader: leader === undefined ? null : nameOf(leader),
    current_term: status?.term ?? 0,
    event_count: engine?.coordinator.eventCount ?? 0,
    role: status?.role ?? "blank",
    configuration: status?.configuration?.type ?? "none",
    commit_index: status?.commit ?? 0,
    applied_index: engine?.appliedIndex ?? 0,
    first_log_index: store.log.firstIndex,
    last_log_index: store.log.lastIndex,
    checkpoint_index: store.checkpoint?.last.index ?? 0,
    log_size: store.log.lastIndex - store.log.firstIndex + 1,
    voted_for: status?.vote === undefined ? null : nameOf(status.vote),
    database_bytes: store.databaseBytes,
    last_heartbeat_ms_ago: status?.role === "leader" ? 0 : heard > 0 ? now - heard : null,
    partition_state: partitionState(view),
    asleep: engine?.asleep === true,
  };
}
