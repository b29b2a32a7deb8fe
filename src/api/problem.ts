/**
 * Errors as `application/problem+json` (RFC 9457), with a closed set of codes. `success` and `error` are there for
 * clients of the systems before.
 */
import { z } from "zod";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Whether repeating the same request may succeed. */
  readonly retryable: boolean;
}

const kinds = {
  "invalid-request": { status: 400, title: "Invalid request", retryable: false },
  unauthorized: { status: 401, title: "Authentication required", retryable: false },
  "origin-not-allowed": { status: 403, title: "Origin not allowed", retryable: false },
  "role-not-allowed": { status: 403, title: "Role not allowed", retryable: false },
  "not-found": { status: 404, title: "Not found", retryable: false },
  "task-not-found": { status: 404, title: "Task not found", retryable: false },
  "proof-not-found": { status: 404, title: "No proof yet", retryable: false },
  "circuit-unknown": { status: 404, title: "Circuit not found", retryable: false },
  "replica-unknown": { status: 404, title: "Replica not found", retryable: false },
  "member-unknown": { status: 404, title: "Member not found", retryable: false },
  "operation-not-found": { status: 404, title: "Operation not found", retryable: false },
  "worker-unknown": { status: 404, title: "Worker not registered", retryable: false },
  "lease-unknown": { status: 404, title: "Lease not found", retryable: false },
  "method-not-allowed": { status: 405, title: "Method not allowed", retryable: false },
  "lease-superseded": { status: 409, title: "Lease superseded", retryable: false },
  "count-mismatch": { status: 409, title: "Not as many as expected", retryable: false },
  "task-conflict": { status: 409, title: "The task's status does not allow it", retryable: false },
  "boot-superseded": { status: 409, title: "Worker process superseded", retryable: false },
  "member-exists": { status: 409, title: "Member already", retryable: false },
  "member-of-another-group": { status: 409, title: "Replica of another group", retryable: false },
  "not-a-voter": { status: 409, title: "Not a voter", retryable: false },
  "learner-behind": { status: 409, title: "Learner behind", retryable: true },
  "removal-unsafe": { status: 409, title: "Removal unsafe", retryable: true },
  "change-in-progress": { status: 409, title: "Change in progress", retryable: true },
  "group-not-empty": { status: 409, title: "Group not empty", retryable: false },
  "import-gap": { status: 409, title: "Lines are missing", retryable: false },
  "proof-mismatch": { status: 409, title: "Another proof was accepted", retryable: false },
  "events-compacted": { status: 410, title: "Events no longer kept", retryable: false },
  "too-large": { status: 413, title: "Too large", retryable: false },
  "proof-invalid": { status: 422, title: "Proof invalid", retryable: false },
  "idempotency-key-reused": { status: 422, title: "Idempotency key reused", retryable: false },
  "operation-id-reused": { status: 422, title: "Operation id reused", retryable: false },
  "operation-failed": { status: 422, title: "Operation failed", retryable: false },
  "import-invalid": { status: 422, title: "Line cannot be taken in", retryable: false },
  "upgrade-required": { status: 426, title: "WebSocket required", retryable: false },
  "rate-limited": { status: 429, title: "Too many requests", retryable: true },
  internal: { status: 500, title: "Internal error", retryable: true },
  misconfigured: { status: 500, title: "Configuration error", retryable: false },
  "no-leader": { status: 503, title: "No leader", retryable: true },
  "not-founded": { status: 503, title: "Group not founded yet", retryable: true },
  "storage-lost": { status: 503, title: "Replica lost its storage", retryable: true },
  removed: { status: 503, title: "Replica removed", retryable: true },
  "transfer-failed": { status: 503, title: "Leadership not handed over", retryable: true },
  "import-in-progress": { status: 503, title: "Import in progress", retryable: true },
  overloaded: { status: 503, title: "Overloaded", retryable: true },
  "version-unknown": { status: 503, title: "Replica runs older code", retryable: true },
  "replica-stopped": { status: 503, title: "Replica stopped", retryable: true },
  "replica-unreachable": { status: 503, title: "Replica unreachable", retryable: true },
  "not-configured": { status: 503, title: "Not configured", retryable: false },
  "not-available": { status: 503, title: "Not available in this version", retryable: false },
  "commit-outcome-unknown": { status: 504, title: "Commit outcome unknown", retryable: true },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof kinds;

export const problemCodes = Object.keys(kinds) as readonly ProblemCode[];

export function isProblemCode(text: unknown): text is ProblemCode {
  return typeof text === "string" && Object.hasOwn(kinds, text);
}

/** One field that is wrong. `pointer` is a JSON pointer into the body, `detail` a sentence that names the field. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** An expected failure, before it is known which request it answers. */
export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  /** Sent with a 429 or 503 as `Retry-After`, in whole seconds; 1 s where absent. */
  readonly retry_after_ms?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Fields beside those of the problem. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** A value, or the problem that stands in its place. */
export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

/** An answer of one piece, before it is a `Response`: that takes every header of it at once. */
export interface Reply {
  readonly status: number;
  /** Null: none. */
  readonly body: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The body of every error. */
export const problemSchema = z
  .looseObject({
    type: z.string().describe("`urn:troika:problem:` and the code."),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe("The path that was asked for."),
    code: z.string().describe("One of a closed set; look at this one."),
    retryable: z.boolean().describe("Repeating the same request may succeed."),
    request_id: z.string(),
    errors: z
      .array(z.object({ pointer: z.string(), detail: z.string() }))
      .optional()
      .describe("Each field that is wrong, by its JSON pointer."),
    success: z.literal(false),
    error: z.string().describe("The detail again."),
  })
  .meta({ id: "Problem" });
export type ProblemBody = z.output<typeof problemSchema> & { readonly code: ProblemCode };

export function problem(
  code: ProblemCode,
  detail: string,
  more: Omit<Problem, "code" | "detail"> = {},
): Problem {
  return { code, detail, ...more };
}

export function problemStatus(code: ProblemCode): number {
  return kinds[code].status;
}

export function problemTitle(code: ProblemCode): string {
  return kinds[code].title;
}

export function problemIsRetryable(code: ProblemCode): boolean {
  return kinds[code].retryable;
}

/** `instance` is the path that was asked for. */
export function problemBody(
  failure: Problem,
  request: { readonly instance: string; readonly request_id: string },
): ProblemBody {
  const { status, title, retryable } = kinds[failure.code];
  return {
    type: `urn:troika:problem:${failure.code}`,
    title,
    status,
    detail: failure.detail,
    instance: request.instance,
    code: failure.code,
    retryable,
    request_id: request.request_id,
    ...(failure.errors === undefined ? {} : { errors: [...failure.errors] }),
    success: false,
    error: failure.detail,
    ...failure.extra,
  };
}

export function problemReply(
  failure: Problem,
  request: { readonly instance: string; readonly request_id: string },
): Reply {
  const { status } = kinds[failure.code];
  const wait_ms = failure.retry_after_ms ?? 1_000;
  const retries = status === 429 || status === 503;
  return {
    status,
    body: JSON.stringify(problemBody(failure, request)),
    headers: {
      ...failure.headers,
      "content-type": "application/problem+json",
      ...(retries ? { "retry-after": String(Math.max(1, Math.ceil(wait_ms / 1_000))) } : {}),
    },
  };
}
