/** A replica's metrics in Prometheus text. Names of the replaced systems are kept as they were. */

import { family, histogram, histograms, type Plain } from "../api/prometheus.ts";
import type { Counts } from "../coordinator/views.ts";
import { type Status, votersOf } from "../raft/index.ts";
import { nameOf } from "./names.ts";
import { partitionState, type ReplicaView } from "./observe.ts";

/** Stands for workers that are gone. No worker can have this name. */
const GONE = "(removed)";
const STATES: readonly Status["role"][] = ["follower", "pre-candidate", "candidate", "leader", "learner"];

/** What a record costs in memory, measured in V8: a merkle task with its proof, a small event. Inputs are counted apart. */
const TASK_BYTES = 4_000;
const EVENT_BYTES = 350;
const WORKER_BYTES = 1_500;

/** Roughly: tells a state that fills the isolate from one that does not. */
function stateBytes(counts: Counts, events: number): number {
  const tasks = Object.values(counts.tasks).reduce((sum, count) => sum + count, 0);
  const workers = counts.workers.total;
  return tasks * TASK_BYTES + counts.backlog.bytes * 2 + events * EVENT_BYTES + workers * WORKER_BYTES;
}

export function metricsOf(view: ReplicaView): string {
  const { name, engine, store } = view;
  const node = { node: name };
  const status = engine?.raft.status;
  const counts = engine?.coordinator.counts;
  const workers = counts?.workers;
  const configuration = status?.configuration;
  const voters = configuration ? votersOf(configuration) : [];
  const members = engine?.members.ids.length ?? 0;
  const last = status?.lastLog.index ?? 0;
  const before = counts?.tasks_assigned_before ?? 0;
  const assigned = [
    ...Object.entries(counts?.tasks_assigned ?? {}),
    ...(before === 0 ? [] : [[GONE, before] as const]),
  ];
  /** One of the cluster: the same on every replica, as far as it has applied the log. */
  const shared = (type: Plain, metric: string, help: string, value = 0) =>
    family(metric, type, help, [[value]]);
  /** One of this replica. */
  const own = (type: Plain, metric: string, help: string, value = 0) =>
    family(metric, type, help, [[value, node]]);
  return [
    shared("gauge", "coordinator_workers_total", "Registered workers.", workers?.total),
    shared("gauge", "coordinator_workers_active", "Workers heard within a lease period.", workers?.active),
    shared("gauge", "coordinator_workers_suspect", "Workers silent for one lease period.", workers?.suspect),
    shared("gauge", "coordinator_workers_dead", "Workers silent for two lease periods.", workers?.dead),
    shared("gauge", "coordinator_capacity_total", "Task slots of living workers.", counts?.capacity.total),
    shared("gauge", "coordinator_capacity_used", "Task slots that hold a lease.", counts?.capacity.used),
    family(
      "coordinator_scheduler_tasks_assigned",
      "counter",
      "Leases granted, by worker.",
      assigned.map(([worker, count]) => [count, { worker }] as const),
    ),
    shared(
      "counter",
      "coordinator_scheduler_assignments_failed",
      "Leases that ended without a result.",
      counts?.assignments_failed,
    ),
    shared("counter", "coordinator_scheduler_poll_cycles", "Pulls answered, empty or not.", engine?.pulls),
    own(
      "counter",
      "consensus_operations_replicated",
      "Entries known to be held by a majority.",
      status?.commit,
    ),
    own("counter", "consensus_operations_committed", "Entries committed.", status?.commit),
    own(
      "counter",
      "consensus_operations_failed",
      "Commands that were committed, and refused when they were applied.",
      counts?.commands_refused,
    ),
    own(
      "counter",
      "consensus_partitions_detected",
      "Times that a peer, or every leader, was silent for the detection period; since this instance started.",
      engine?.members.partitions.detected,
    ),
    own("gauge", "consensus_log_size", "Entries in the log.", store.log.lastIndex - store.log.firstIndex + 1),
    family(
      "consensus_leader_id",
      "gauge",
      "The leader this replica knows, as a label.",
      engine?.leader === undefined ? [] : [[1, { ...node, leader_id: nameOf(engine.leader) }]],
    ),
    own("gauge", "consensus_is_leader", "1 on the leader.", status?.role === "leader" ? 1 : 0),
    own("gauge", "consensus_current_term", "Raft term.", status?.term),
    own(
      "gauge",
      "consensus_partition_state",
      "0 healthy, 1 recovering, 2 partitioned.",
      { healthy: 0, recovering: 1, partitioned: 2 }[partitionState(view)],
    ),
    shared(
      "gauge",
      "cluster_healthy_nodes",
      "Members heard within the detection period, before the group fell asleep if it does.",
      engine?.members.reachable(engine.asleepSince),
    ),
    shared("gauge", "cluster_total_nodes", "Members of the group.", members),
    own(
      "gauge",
      "consensus_asleep",
      "1 while this replica takes part in nothing until it is asked for something: then nobody leads, and nothing is wrong.",
      engine?.asleep === true ? 1 : 0,
    ),
    family(
      "raft_state",
      "gauge",
      "1 for the role that this replica has.",
      STATES.map((state) => [status?.role === state ? 1 : 0, { ...node, state }] as const),
    ),
    own(
      "gauge",
      "raft_transferring",
      "1 while this leader hands leadership over.",
      status?.role === "leader" && status.successor !== undefined ? 1 : 0,
    ),
    own(
      "gauge",
      "raft_joint_configuration",
      "1 while two majorities must agree: a change of several members is under way.",
      configuration?.type === "joint" ? 1 : 0,
    ),
    own("gauge", "raft_voters", "Members that vote.", voters.length),
    own("gauge", "raft_learners", "Members that receive the log and do not vote.", members - voters.length),
    own("gauge", "raft_term", "Current term.", status?.term),
    histogram(
      "raft_append_latency_seconds",
      "From write to flush of a batch.",
      node,
      engine?.batches.appendLatency,
    ),
    histogram(
      "raft_commit_latency_seconds",
      "From append to apply of a command, on the leader.",
      node,
      engine?.batches.commitLatency,
    ),
    own("gauge", "raft_commit_index", "Highest index known to be committed.", status?.commit),
    own("gauge", "raft_applied_index", "Highest index applied.", engine?.appliedIndex),
    own(
      "counter",
      "raft_elections_won_total",
      "Elections won since this instance started.",
      engine?.reigns.won,
    ),
    family(
      "raft_peer_lag",
      "gauge",
      "Entries a follower lacks, as its leader knows.",
      status?.role === "leader"
        ? Array.from(status.progress, ([peer, { matched }]) => [
            last - matched,
            { ...node, peer: nameOf(peer) },
          ])
        : [],
    ),
    own("counter", "raft_batches_total", "Batches appended as leader.", engine?.batches.batches),
    own("counter", "raft_batched_commands_total", "Commands in those batches.", engine?.batches.commands),
    family(
      "troika_tasks",
      "gauge",
      "Tasks by status.",
      Object.entries(counts?.tasks ?? {}).map(([state, count]) => [count, { status: state }] as const),
    ),
    histogram(
      "troika_queue_wait_seconds",
      "From when a task could be handed out for the first time until it was.",
      {},
      engine?.workTimes.queueWait,
    ),
    histograms(
      "troika_proving_seconds",
      "From the grant of a lease to the accepted proof.",
      Array.from(engine?.workTimes.proving ?? [], ([circuit, times]) => [{ circuit }, times] as const),
    ),
    own(
      "gauge",
      "coordinator_state_bytes",
      "Memory that the replicated state takes, estimated.",
      counts === undefined ? 0 : stateBytes(counts, engine?.coordinator.eventCount ?? 0),
    ),
    shared("counter", "troika_events_total", "Critical events kept.", engine?.coordinator.eventCount),
    own("gauge", "troika_event_streams", "Event streams open here.", engine?.subscribers.streams),
    own(
      "gauge",
      "troika_invocation_subrequests_max",
      "Most subrequests that one invocation had to carry.",
      engine?.chain.longest,
    ),
    own(
      "counter",
      "storage_rows_written_total",
      "Rows written since this instance started.",
      store.rowsWritten,
    ),
    own("gauge", "storage_database_bytes", "Size of the database.", store.databaseBytes),
  ].join("");
}
