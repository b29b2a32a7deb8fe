/**
 * What a route says of itself: the one source of `GET /openapi.json`, of docs/api.md, and of who may call it. A route
 * without a declaration does not compile.
 */
import type { z } from "zod";
import type { Role } from "../api/configuration.ts";
import type { ProblemCode } from "../api/problem.ts";

/** `open` needs no token, `any` one of any role. An operator may call what the other roles may. */
export type Access = "open" | "any" | Role;

export const tags = {
  Tasks: "Submitting proof tasks, and what becomes of them.",
  Provers: "The protocol of a prover: register, pull, heartbeat, complete.",
  Events: "The replicated, ordered event log.",
  Operations: "Idempotent operations by an id of the client's own.",
  Circuits: "What can be proved, and checking a proof.",
  Cluster: "What the replicas say of themselves, and what an operator does to them.",
} as const;
export type Tag = keyof typeof tags;

/** Headers of answers, by their meaning. */
export const answerHeaders = {
  Location: "Where what was made can be read.",
  "X-Cache": "`HIT` where a task with the same content was known already.",
  "Idempotency-Replayed": "`true` where this is the first answer to the same `Idempotency-Key`, given again.",
  "X-Raft-Applied-Index": "The index up to which the replica that answers had applied the log.",
  ETag: "For `If-None-Match`.",
} as const;

export interface DeclaredAnswer {
  /** One phrase. */
  readonly is: string;
  /** Absent: the answer has no body. Fields that a schema does not name may be added at any time. */
  readonly body?: z.ZodType;
  /** `application/json` where absent. */
  readonly type?: string;
  readonly headers?: readonly (keyof typeof answerHeaders)[];
}

export interface Declaration {
  /** Unique, in camel case: the name of the method in a generated client. */
  readonly id: string;
  readonly tag: Tag;
  /** One phrase, without a full stop. */
  readonly summary: string;
  /** Markdown: what the schemas cannot say. */
  readonly details?: string;
  /** Parameters of the address, as they are validated. */
  readonly query?: z.ZodObject;
  /** As it is validated. */
  readonly body?: z.ZodType;
  /** `application/json` where absent. */
  readonly bodyType?: string;
  /** Takes `Idempotency-Key`. */
  readonly keyed?: true;
  /** By status; problems are declared below. */
  readonly answers: Readonly<Record<number, DeclaredAnswer>>;
  /**
   * Problems of this route alone. What any route may answer is added: 400 and 413 where it has a body or parameters,
   * 401, 403 and 429 where it needs a token, 500.
   */
  readonly problems?: readonly ProblemCode[];
}

/** What keeps a read from being answered. */
export const READ_PROBLEMS = [
  "no-leader",
  "not-founded",
  "storage-lost",
  "overloaded",
  "version-unknown",
  "replica-stopped",
  "replica-unreachable",
] as const satisfies readonly ProblemCode[];

/** What keeps a write from being acknowledged. After any but the last, nothing has happened. */
export const WRITE_PROBLEMS = [
  ...READ_PROBLEMS,
  "import-in-progress",
  "commit-outcome-unknown",
] as const satisfies readonly ProblemCode[];
