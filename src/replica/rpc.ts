/**
 * What the router and a replica say to each other over a Durable Object stub: `ask(path, text)` with JSON text both ways,
 * and `POST https://replica/<path>` where the answer is streamed. None of these paths can be reached through a public
 * route. Every answer is one of the unions below; a stub that throws leaves the outcome of the call unknown.
 *
 * | path         | request            | answer                                    |
 * |--------------|--------------------|-------------------------------------------|
 * | `/propose`   | {@link Propose}    | {@link Applied}, {@link Appended} or {@link Declined} |
 * | `/pull`      | {@link Pull}       | {@link Applied} or {@link Declined}       |
 * | `/heartbeat` | {@link WorkerHeartbeat} | {@link Answer}, {@link RefusedAnswer} or {@link Declined} |
 * | `/read`      | {@link Read}       | {@link Answer} or {@link Declined}        |
 * | `/events`    | {@link ReadEvents} | the public body of `GET /events`, streamed, with header `x-raft-applied-index`; {@link Compacted}; or {@link Declined} with status 409 |
 * | `/membership` | {@link Change}    | {@link Changed}, {@link ChangeRefused} or {@link Declined}; of the leader |
 * | `/ephemeral` | {@link Ephemeral}  | {@link Answer} of the leader, or {@link Declined} |
 * | `/checkpoint` | an empty object | {@link Answer} of {@link CheckpointTaken} or {@link Declined}; of this replica alone |
 * | `/export`    | {@link ExportGroup} | every line of an export, streamed, headers as above; or {@link Declined} with status 409 |
 * | `/import`    | {@link ImportLines} | {@link Applied} with the outcome of the last line, or of the first that was refused; or {@link Declined} |
 * | `/operations` | {@link ExportOperations} | every operation as JSON lines, streamed, headers as above; or {@link Declined} with status 409 |
 * | `/observe`   | {@link Observe}    | {@link Answer} or {@link Declined}; never waits for a leader, never wakes anybody |
 * | `/fault`     | {@link Fault}      | {@link Answer}; passes while stopped      |
 */
import type { Command, Nonce } from "../coordinator/commands.ts";
import type { ExportLine } from "../coordinator/export.ts";
import type { Outcome, Refused } from "../coordinator/outcomes.ts";
import type { Query } from "../coordinator/views.ts";

/** A replica as people and the HTTP contract name it: `coordinator-1`. Its Raft identity is `name.incarnation`. */
export type ReplicaName = string;

/** Paths whose answers are streams. */
export const STREAMED: ReadonlySet<string> = new Set(["/events", "/operations", "/export"]);

/** The door to a replica for everything but streams and sockets. Undefined: it does not hear its peers now. */
export interface Asked {
  ask(path: string, text: string, request_id?: string): Promise<string | undefined>;
}

/** For a command that grants leases: made by whoever proposes it. */
export function newNonce(): Nonce {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface Propose {
  readonly command: Command;
  /** Answer {@link Appended} after so long, if it is no more than that by then; absent: wait for the end. */
  readonly wait_ms?: number;
}

/** It stands in the leader's log: it will be applied, or overwritten by another leader's entry. */
export interface Appended {
  readonly type: "appended";
  readonly index: number;
  readonly term: number;
  /** Held by a majority, as far as the leader knows. */
  readonly replicated?: boolean;
}

/** A worker asks for tasks. The replica waits up to `wait_ms` for one; an empty grant costs no log entry. */
export interface Pull {
  readonly command_id: string;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly max: number;
  readonly wait_ms: number;
}

export interface WorkerHeartbeat {
  readonly worker_id: string;
  readonly boot_id: string;
  readonly leases: readonly { readonly lease_id: string; readonly progress?: number }[];
}

export type { ExportLine } from "../coordinator/export.ts";
export type {
  HeartbeatResult,
  LeaseStanding,
  OperationView,
  Page,
  Query,
  QueryAnswers,
  TaskFilter,
  TaskView,
} from "../coordinator/views.ts";

/**
 * `linearizable`: after a read grant, from this replica's own applied state. `leader`: from the state of a replica
 * that believes it leads, without a round: for what is checked again on apply. `stale`: as it stands here.
 */
export type Consistency = "linearizable" | "leader" | "stale";

export interface Read {
  readonly query: Query;
  readonly consistency: Consistency;
}

export interface ReadEvents {
  /** Behind which to begin: a `seq`, the id of an item, or `latest`; absent: with the oldest that is kept. */
  readonly after?: string;
  readonly limit?: number;
  readonly consistency: Consistency;
  /** With the system's own events. */
  readonly system?: boolean;
  /** Wait so long for something to be there. */
  readonly wait_ms?: number;
  /** As server-sent events, without an end. */
  readonly follow?: boolean;
}

/** Some of what was asked for is no longer kept. */
export interface Compacted {
  readonly type: "compacted";
  readonly detail: string;
}

export interface Ephemeral {
  /** JSON text, as it is shown. */
  readonly event: string;
}

export interface ExportOperations {
  readonly consistency: Consistency;
}

export interface ExportGroup {
  readonly export_id: string;
  readonly consistency: Consistency;
}

/** Lines of an export, in their order. */
export interface ImportLines {
  readonly export_id: string;
  /** Number of the first one. */
  readonly first: number;
  /** At least one. */
  readonly items: readonly ExportLine[];
}

export interface Observe {
  readonly what: "health" | "status" | "metrics" | "leadership" | "cluster";
}

/** A change of who takes part, or of who leads. */
export type Change =
  | { readonly change: "add"; readonly node_id: ReplicaName; readonly location_hint?: string }
  | { readonly change: "promote" | "remove"; readonly node_id: ReplicaName }
  /** Without `to`: whoever holds the most. */
  | { readonly change: "transfer"; readonly to?: ReplicaName };

export type Changed =
  /** In force and committed since `log_index`; a change that was in force before names its own entry. */
  | { readonly type: "changed"; readonly node_id: ReplicaName; readonly log_index: number }
  | { readonly type: "transferred"; readonly leader: ReplicaName; readonly term: number };

/** Nothing was changed. */
export interface ChangeRefused {
  readonly type: "change-refused";
  readonly code:
    | "member-unknown"
    | "member-exists"
    | "member-of-another-group"
    | "not-a-voter"
    | "learner-behind"
    | "removal-unsafe"
    | "change-in-progress"
    | "replica-unreachable"
    | "transfer-failed";
  readonly detail: string;
}

/** Everything up to the entry `checkpoint_index` is in this replica's tables. */
export interface CheckpointTaken {
  readonly checkpoint_index: number;
}

/** Result of observing `leadership`. */
export interface Leadership {
  readonly name: ReplicaName;
  readonly term: number;
  readonly leader?: ReplicaName;
  readonly leads: boolean;
  /** A write could commit now: leads, term established, heard from a majority within the loyalty period. */
  readonly ready: boolean;
  /** Who takes part since the entry `members_index`, as far as this replica has applied the log. */
  readonly members?: readonly ReplicaName[];
  readonly members_index?: number;
  /** The group is silent, as far as this replica knows, and wakes when it is asked for something. */
  readonly asleep?: boolean;
}

export interface Fault {
  readonly action: "stop" | "start" | "isolate" | "heal" | "reset" | "degrade";
  readonly delay_ms?: number;
  readonly drop_rate?: number;
}

export interface Applied {
  readonly type: "applied";
  readonly index: number;
  readonly term: number;
  readonly outcome: Outcome;
  /** The first answer, given again because the client repeated its idempotency key. */
  readonly replayed: boolean;
}

export interface Answer<Result = unknown> {
  readonly type: "answer";
  readonly applied_index: number;
  readonly result: Result;
}

export type RefusedAnswer = Refused;

export type Declined =
  /** Ask `leader`. Nothing happened here. */
  | { readonly type: "not-leader"; readonly leader?: ReplicaName; readonly term: number }
  /** Nothing happened. */
  | {
      readonly type: "unavailable";
      readonly code:
        | "no-leader"
        | "overloaded"
        | "not-founded"
        | "storage-lost"
        | "removed"
        | "too-large"
        | "version-unknown";
      readonly detail: string;
      readonly retry_after_ms: number;
    }
  /** Appended, but leadership was lost before it was committed: it may commit later. Repeat under the same id. */
  | {
      readonly type: "outcome-unknown";
      readonly detail: string;
      /** Where it was appended, if that is known. */
      readonly place?: { readonly index: number; readonly term: number };
    }
  /** An operator stopped this replica. Nothing happened, except to what was already under way. */
  | { readonly type: "stopped" };
