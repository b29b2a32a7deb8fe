/**
 * Majorities, of one membership or of two at once. Pure functions of a configuration: they know
 * nothing of logs, terms or messages, and count learners never.
 */
import type { Configuration, Membership } from "./membership.ts";
import type { ReplicaId } from "./vocabulary.ts";

/** The memberships that must each agree. */
function membershipsOf(configuration: Configuration): readonly Membership[] {
  return configuration.type === "stable" ? [configuration] : [configuration.from, configuration.to];
}

/** Everybody with a vote, each once, in the order in which the configuration lists them. */
export function votersOf(configuration: Configuration): readonly ReplicaId[] {
  return [...new Set(membershipsOf(configuration).flatMap((membership) => membership.voters))];
}

/** Everybody who receives the log, each once. */
export function replicasOf(configuration: Configuration): readonly ReplicaId[] {
  const learners = membershipsOf(configuration).flatMap((membership) => membership.learners);
  return [...new Set([...votersOf(configuration), ...learners])];
}

export function isVoter(configuration: Configuration | undefined, id: ReplicaId): boolean {
  return (
    configuration !== undefined &&
    membershipsOf(configuration).some((membership) => membership.voters.includes(id))
  );
}

/** How many of `voters` are more than half of them. */
export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Whether those for whom `agrees` holds are enough to elect. */
export function isQuorum(configuration: Configuration, agrees: (id: ReplicaId) => boolean): boolean {
  return membershipsOf(configuration).every(
    ({ voters }) => voters.filter(agrees).length >= majorityOf(voters.length),
  );
}

/**
 * The largest value that a quorum has reached: a commit index from matched indexes, a confirmed
 * round from echoed rounds, or the instant up to which a majority was heard.
 */
export function quorumReached(configuration: Configuration, reachedBy: (id: ReplicaId) => number): number {
  let reached = Number.POSITIVE_INFINITY;
  for (const { voters } of membershipsOf(configuration)) {
    const descending = voters.map(reachedBy).sort((a, b) => b - a);
    reached = Math.min(reached, descending[majorityOf(voters.length) - 1] ?? Number.NEGATIVE_INFINITY);
  }
  return reached;
}
