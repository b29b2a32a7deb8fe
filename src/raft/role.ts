/** What a replica is at the moment, with what it knows only while it is that. */
import type { Leadership } from "./leadership.ts";
import type { ReplicaId } from "./vocabulary.ts";

/** A campaign under way: asking whether an election could be won, or holding it. */
export interface Candidacy {
  readonly type: "pre-candidate" | "candidate";
  readonly votes: Map<ReplicaId, boolean>;
}

/** A learner follows like any other replica; the configuration, not the role, says that it has no vote. */
export type Role<Command> =
  | { readonly type: "follower" }
  | Candidacy
  | { readonly type: "leader"; readonly leadership: Leadership<Command> };
