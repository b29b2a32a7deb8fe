/**
 * The arithmetic of membership changes: which configuration leads from one membership to another.
 * Pure, like the majorities in `quorum.ts`.
 */
import type {
  Configuration,
  JointConfiguration,
  Membership,
  MembershipChange,
  StableConfiguration,
} from "./membership.ts";
import type { ReplicaId } from "./vocabulary.ts";

export type ChangedMembership =
  | { readonly type: "changed"; readonly membership: Membership }
  | { readonly type: "invalid"; readonly reason: string };

/** `changes` are steps of one change, made together: each replica is named at most once. */
export function changedMembership(
  current: Membership,
  changes: readonly MembershipChange[],
): ChangedMembership {
  if (changes.length === 0) return { type: "invalid", reason: "no change is named" };
  const named = changes.map(({ replica }) => replica);
  for (const [place, change] of changes.entries()) {
    const reason = objection(current, change);
    if (reason !== undefined) return { type: "invalid", reason };
    if (named.indexOf(change.replica) < place) {
      return { type: "invalid", reason: `${change.replica} is named twice` };
    }
  }
  const making = (type: MembershipChange["type"]): readonly ReplicaId[] =>
    changes.filter((change) => change.type === type).map(({ replica }) => replica);
  const stays = (replica: ReplicaId): boolean => !named.includes(replica);
  const voters = [...current.voters.filter(stays), ...making("promote")];
  const learners = [...current.learners.filter(stays), ...making("demote"), ...making("add-learner")];
  if (voters.length === 0) return { type: "invalid", reason: "nobody would be left to vote" };
  return { type: "changed", membership: { voters, learners } };
}

function objection(
  { voters, learners }: Membership,
  { type, replica }: MembershipChange,
): string | undefined {
  const votes = voters.includes(replica);
  const learns = learners.includes(replica);
  switch (type) {
    case "add-learner":
      if (replica === "") return "a replica needs a name";
      return votes || learns ? `${replica} is a member already` : undefined;
    case "promote":
      return learns ? undefined : `${replica} is no learner`;
    case "demote":
      return votes ? undefined : `${replica} is no voter`;
    case "remove":
      return votes || learns ? undefined : `${replica} is no member`;
  }
}

/**
 * Majorities before and after overlap if one vote at most is gained or lost; otherwise both must
 * agree while the change is under way (thesis, §4.1 and §4.3).
 */
export function configurationTowards(
  from: Membership,
  to: Membership,
  leave: JointConfiguration["leave"],
): Configuration {
  const gained = to.voters.filter((voter) => !from.voters.includes(voter));
  const lost = from.voters.filter((voter) => !to.voters.includes(voter));
  if (gained.length + lost.length <= 1) return stable(to);
  const { voters, learners } = from;
  return { type: "joint", from: { voters, learners }, to, leave };
}

export function stable({ voters, learners }: Membership): StableConfiguration {
  return { type: "stable", voters, learners };
}
