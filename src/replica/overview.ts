/** The group as one replica sees it: who takes part, who holds what, what may fail, and what an operator should know. */
import { replicaNames } from "../api/configuration.ts";
import { isVoter, majorityOf, type Progress, votersOf } from "../raft/index.ts";
import type { Engine } from "./engine.ts";
import { incarnationOf, nameOf } from "./names.ts";
import { partitionState, type ReplicaView } from "./observe.ts";

interface MemberView {
  readonly node_id: string;
  readonly incarnation: string;
  readonly role: "leader" | "follower" | "learner";
  /** Where the platform was asked to run it; null if nowhere in particular. */
  readonly region: string | null;
  /** How far its log is known to agree with the leader's; null where this replica cannot know. */
  readonly match_index: number | null;
  /** Null for the replica that answers, and where it was never heard. */
  readonly last_contact_ms_ago: number | null;
  /** Heard within the detection period; null where this replica cannot know: followers hear the leader alone. */
  readonly reachable: boolean | null;
}

export function clusterOf(view: ReplicaView): Record<string, unknown> {
  const { name, configuration, engine, waiting } = view;
  const { cluster_id } = configuration;
  if (!engine) return { node_id: name, cluster_id, members: [], warnings: [waiting ?? "stopped"] };
  const { status } = engine.raft;
  const { members, asleepSince } = engine;
  const now = members.configuration;
  const groups = now.type === "joint" ? [now.from.voters, now.to.voters] : [now.voters];
  const views = members.ids.map((id) => memberView(view, engine, id));
  const voters = votersOf(now);
  const reached = (ids: readonly string[]): number =>
    ids.filter((id) => views.some((member) => idOfView(member) === id && member.reachable === true)).length;
  const leads = status.role === "leader";
  return {
    node_id: name,
    cluster_id,
    leader: engine.leader === undefined ? null : nameOf(engine.leader),
    term: status.term,
    commit_index: status.commit,
    applied_index: engine.appliedIndex,
    configuration: now.type,
    configuration_index: engine.coordinator.configuredIndex,
    voters: voters.length,
    quorum: Math.max(...groups.map((group) => majorityOf(group.length))),
    /** Of the voters, when all of them can be reached. */
    failure_tolerance: Math.min(...groups.map((group) => group.length - majorityOf(group.length))),
    /** As things stand; negative without a quorum. */
    failures_tolerated_now: leads
      ? Math.min(...groups.map((group) => reached(group) - majorityOf(group.length)))
      : null,
    partition_state: partitionState(view),
    asleep: asleepSince !== undefined,
    ...(leads && status.successor !== undefined ? { transferring_to: nameOf(status.successor) } : {}),
    members: views,
    warnings: warningsOf(views, voters.length, now.type === "joint"),
  };
}

function idOfView({ node_id, incarnation }: MemberView): string {
  return `${node_id}.${incarnation}`;
}

function memberView(view: ReplicaView, engine: Engine, id: string): MemberView {
  const { configuration, now } = view;
  const { status } = engine.raft;
  const node_id = nameOf(id);
  const leads = status.role === "leader";
  const own = id === engine.id;
  const progress: Progress | undefined = leads ? status.progress.get(id) : undefined;
  const heardAt = engine.peers.heardAt(id);
  // While all are silent nobody is missed, and of whom nothing was heard before nothing is known.
  const since = engine.asleepSince ?? now;
  const known = own || ((leads || id === engine.leader) && (heardAt > 0 || engine.asleepSince === undefined));
  const named = configuration.location_hints[replicaNames(configuration).indexOf(node_id)];
  return {
    node_id,
    incarnation: incarnationOf(id),
    role:
      id === engine.leader ? "leader" : isVoter(engine.members.configuration, id) ? "follower" : "learner",
    region: engine.coordinator.location(node_id) ?? named ?? null,
    match_index: own ? view.store.log.lastIndex : (progress?.matched ?? null),
    last_contact_ms_ago: own || heardAt === 0 ? null : now - heardAt,
    reachable: known ? own || since - heardAt <= configuration.partition_detection_ms : null,
  };
}

function warningsOf(views: readonly MemberView[], voters: number, joint: boolean): readonly string[] {
  const warnings: string[] = [];
  if (voters === 1) warnings.push("one voter: no failure is tolerated");
  else if (voters % 2 === 0 && !joint) {
    warnings.push(
      `${voters} voters: an even number tolerates no more failures than ${voters - 1}, and needs more of them to agree`,
    );
  }
  if (joint) warnings.push("a change of the members is under way: two majorities must agree");
  for (const member of views) {
    const { node_id, reachable, role, incarnation } = member;
    if (reachable === false) warnings.push(`${node_id} has not been heard for the detection period`);
    const other = views.some((one) => one !== member && one.node_id === node_id);
    if (other && role === "learner") {
      warnings.push(`${node_id} is being replaced: promoting incarnation ${incarnation} removes the old one`);
    }
  }
  return warnings;
}
