/**
 * What the router and a replica say to each other over a Durable Object stub: `POST https://replica/<path>` with a
 * JSON body. None of these paths can be reached through a public route. Every answer is 200 with one of the unions below; a
 * stub that throws leaves the outcome of the call unknown.
 *
 * | path         | request            | answer                                    |
 * |--------------|--------------------|-------------------------------------------|
 * | `/propose`   | {@link Propose}    | {@link Applied}, {@link Appended} or {@link Declined} |
 * | `/pull`      | {@link Pull}       | {@link Applied} or {@link Declined}       |
 * | `/heartbeat` | {@link WorkerHeartbeat} | {@link Answer}, {@link RefusedAnswer} or {@link Declined} |
 * | `/read`      | {@link Read}       | {@link Answer} or {@link Declined}        |
 * | `/events`    | {@link ReadEvents} | the public body of `GET /events`, streamed, with header `x-raft-applied-index`; {@link Compacted}; or {@link Declined} with status 409 |
 * | `/ephemeral` | {@link Ephemeral}  | {@link Answer} of the leader, or {@link Declined} |
 * | `/operations` | {@link ExportOperations} | every operation as JSON lines, streamed, headers as above; or {@link Declined} with status 409 |
 * | `/observe`   | {@link Observe}    | {@link Answer} or {@link Declined}; never waits for a leader, never wakes anybody |
 * | `/fault`     | {@link Fault}      | {@link Answer}; passes while stopped      |
 */
import type { Command, Nonce, Outcome, Refused } from "../coordinator/commands.ts";
import type { Query } from "../coordinator/views.ts";

/** A replica as people and the HTTP contract name it: `coordinator-1`. Its Raft identity is `name.incarnation`. */
export type ReplicaName = string;

export const REPLICA_HEADER = "x-troika-replica";
export const REQUEST_ID_HEADER = "x-request-id";

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

export type {
  HeartbeatResult,
  LeaseStanding,
  OperationView,
  Page,
  Query,
  QueryAnswers,
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

export interface Observe {
  readonly what: "health" | "status" | "metrics" | "leadership";
}

/** Result of observing `leadership`. */
export interface Leadership {
  readonly name: ReplicaName;
  readonly term: number;
  readonly leader?: ReplicaName;
  readonly leads: boolean;
  /** A write could commit now: leads, term established, heard from a majority within the loyalty period. */
  readonly ready: boolean;
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
