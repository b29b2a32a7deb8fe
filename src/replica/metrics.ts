/** A replica's metrics in Prometheus text. Names of the replaced systems are kept as they were. */

import type { Status } from "../raft/index.ts";
import { Histogram } from "./histogram.ts";
import { partitionState, type ReplicaView } from "./observe.ts";
import { nameOf } from "./peers.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [value: number, labels?: Labels];

/** Stands for workers that are gone. No worker can have this name. */
const GONE = "(removed)";
const STATES: readonly Status["role"][] = ["follower", "pre-candidate", "candidate", "leader", "learner"];

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function family(
  name: string,
  type: "gauge" | "counter" | "summary",
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([value, labels = {}]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}${lines.length > 0 ? "\n" : ""}`;
}

/** In seconds. */
function histogram(name: string, help: string, labels: Labels, latency = new Histogram()): string {
  const { buckets, count, sum_s } = latency;
  const of = (suffix: string, value: number | string, more: Labels = {}): string => {
    const pairs = Object.entries({ ...labels, ...more }).map(
      ([label, text]) => `${label}="${escapeLabel(text)}"`,
    );
    return `${name}${suffix}{${pairs.join(",")}} ${value}`;
  };
  const lines = [
    ...buckets.map(([le, value]) => of("_bucket", value, { le })),
    of("_sum", sum_s.toFixed(3)),
    of("_count", count),
  ];
  return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${lines.join("\n")}\n`;
}

export function metricsOf(view: ReplicaView): string {
  const { name, engine, store } = view;
  const node = { node: name };
  const status = engine?.raft.status;
  const counts = engine?.coordinator.counts;
  const members = engine?.memberIds ?? [];
  const since = view.now - view.configuration.partition_detection_ms;
  const self = engine?.id;
  const healthy = members.filter((id) => id === self || (engine?.peers.heardAt(id) ?? 0) >= since).length;
  const leader =
    status?.leader === undefined ? [] : [[1, { ...node, leader_id: nameOf(status.leader) }] as const];
  const partition = { healthy: 0, recovering: 1, partitioned: 2 }[partitionState(view)];
  const progress = status?.role === "leader" ? [...status.progress] : [];
  const before = counts?.tasks_assigned_before ?? 0;
  const assigned = [
    ...Object.entries(counts?.tasks_assigned ?? {}),
    ...(before === 0 ? [] : [[GONE, before] as const]),
  ];
  const tasks = Object.entries(counts?.tasks ?? {});
  return [
    family("coordinator_workers_total", "gauge", "Registered workers.", [[counts?.workers.total ?? 0]]),
    family("coordinator_workers_active", "gauge", "Workers heard within a lease period.", [
      [counts?.workers.active ?? 0],
    ]),
    family("coordinator_workers_suspect", "gauge", "Workers silent for one lease period.", [
      [counts?.workers.suspect ?? 0],
    ]),
    family("coordinator_workers_dead", "gauge", "Workers silent for two lease periods.", [
      [counts?.workers.dead ?? 0],
    ]),
    family("coordinator_capacity_total", "gauge", "Task slots of living workers.", [
      [counts?.capacity.total ?? 0],
    ]),
    family("coordinator_capacity_used", "gauge", "Task slots that hold a lease.", [
      [counts?.capacity.used ?? 0],
    ]),
    family(
      "coordinator_scheduler_tasks_assigned",
      "counter",
      "Leases granted, by worker.",
      assigned.map(([worker, count]) => [count, { worker }] as const),
    ),
    family("coordinator_scheduler_assignments_failed", "counter", "Leases that ended without a result.", [
      [counts?.assignments_failed ?? 0],
    ]),
    family("coordinator_scheduler_poll_cycles", "counter", "Pulls answered, empty or not.", [
      [engine?.counters.pulls ?? 0],
    ]),
    family("consensus_operations_replicated", "counter", "Entries known to be held by a majority.", [
      [status?.commit ?? 0, node],
    ]),
    family("consensus_operations_committed", "counter", "Entries committed.", [[status?.commit ?? 0, node]]),
    family("consensus_operations_failed", "counter", "Commands refused when they were applied.", [
      [counts?.commands_refused ?? 0, node],
    ]),
    family(
      "consensus_partitions_detected",
      "counter",
      "Times that a peer, or every leader, was silent for the detection period; since this instance started.",
      [[engine?.partitions.detected ?? 0, node]],
    ),
    family("consensus_log_size", "gauge", "Entries in the log.", [
      [store.lastIndex - store.firstIndex + 1, node],
    ]),
    family("consensus_leader_id", "gauge", "The leader this replica knows, as a label.", leader),
    family("consensus_is_leader", "gauge", "1 on the leader.", [[status?.role === "leader" ? 1 : 0, node]]),
    family("consensus_current_term", "gauge", "Raft term.", [[status?.term ?? 0, node]]),
    family("consensus_partition_state", "gauge", "0 healthy, 1 recovering, 2 partitioned.", [
      [partition, node],
    ]),
    family("cluster_healthy_nodes", "gauge", "Members heard within the detection period.", [[healthy]]),
    family("cluster_total_nodes", "gauge", "Members of the group.", [[members.length]]),
    family(
      "raft_state",
      "gauge",
      "1 for the role that this replica has.",
      STATES.map((state) => [status?.role === state ? 1 : 0, { ...node, state }] as const),
    ),
    family("raft_term", "gauge", "Current term.", [[status?.term ?? 0, node]]),
    histogram("raft_append_latency_seconds", "From write to flush of a batch.", node, engine?.appendLatency),
    histogram(
      "raft_commit_latency_seconds",
      "From append to apply of a command, on the leader.",
      node,
      engine?.commitLatency,
    ),
    family("raft_commit_index", "gauge", "Highest index known to be committed.", [
      [status?.commit ?? 0, node],
    ]),
    family("raft_applied_index", "gauge", "Highest index applied.", [[engine?.appliedIndex ?? 0, node]]),
    family("raft_elections_won_total", "counter", "Elections won since this instance started.", [
      [engine?.counters.elections ?? 0, node],
    ]),
    family(
      "raft_peer_lag",
      "gauge",
      "Entries a follower lacks, as its leader knows.",
      progress.map(
        ([peer, { matched }]) =>
          [(status?.lastLog.index ?? 0) - matched, { ...node, peer: nameOf(peer) }] as const,
      ),
    ),
    family("raft_batches_total", "counter", "Batches appended as leader.", [
      [engine?.counters.batches ?? 0, node],
    ]),
    family("raft_batched_commands_total", "counter", "Commands in those batches.", [
      [engine?.counters.commands ?? 0, node],
    ]),
    family(
      "troika_tasks",
      "gauge",
      "Tasks by status.",
      tasks.map(([state, count]) => [count, { status: state }] as const),
    ),
    family("troika_events_total", "counter", "Critical events kept.", [
      [engine?.coordinator.eventCount ?? 0],
    ]),
    family(
      "troika_invocation_subrequests_max",
      "gauge",
      "Most subrequests that one invocation had to carry.",
      [[engine?.chain.longest ?? 0, node]],
    ),
    family("storage_rows_written_total", "counter", "Rows written since this instance started.", [
      [store.rowsWritten, node],
    ]),
    family("storage_database_bytes", "gauge", "Size of the database.", [[store.databaseBytes, node]]),
  ].join("");
}
