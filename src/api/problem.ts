/**
 * Errors as `application/problem+json` (RFC 9457), with a closed set of codes. `success` and `error` are there for
 * clients of the systems before.
 */

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
  "not-found": { status: 404, title: "Not found", retryable: false },
  "task-not-found": { status: 404, title: "Task not found", retryable: false },
  "proof-not-found": { status: 404, title: "No proof yet", retryable: false },
  "circuit-unknown": { status: 404, title: "Circuit not found", retryable: false },
  "replica-unknown": { status: 404, title: "Replica not found", retryable: false },
  "worker-unknown": { status: 404, title: "Worker not registered", retryable: false },
  "lease-unknown": { status: 404, title: "Lease not found", retryable: false },
  "method-not-allowed": { status: 405, title: "Method not allowed", retryable: false },
  "lease-superseded": { status: 409, title: "Lease superseded", retryable: false },
  "count-mismatch": { status: 409, title: "Not as many as expected", retryable: false },
  "task-conflict": { status: 409, title: "The task's status does not allow it", retryable: false },
  "boot-superseded": { status: 409, title: "Worker process superseded", retryable: false },
  "proof-mismatch": { status: 409, title: "Another proof was accepted", retryable: false },
  "too-large": { status: 413, title: "Too large", retryable: false },
  "proof-invalid": { status: 422, title: "Proof invalid", retryable: false },
  "idempotency-key-reused": { status: 422, title: "Idempotency key reused", retryable: false },
  internal: { status: 500, title: "Internal error", retryable: true },
  misconfigured: { status: 500, title: "Configuration error", retryable: false },
  "no-leader": { status: 503, title: "No leader", retryable: true },
  "not-founded": { status: 503, title: "Group not founded yet", retryable: true },
  "storage-lost": { status: 503, title: "Replica lost its storage", retryable: true },
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
  /** Sent with a 503 as `Retry-After`, in whole seconds; 1 s where absent. */
  readonly retry_after_ms?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Fields beside those of the problem. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** The body of every error. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: ProblemCode;
  readonly retryable: boolean;
  readonly request_id: string;
  readonly errors?: readonly FieldError[];
  readonly success: false;
  readonly error: string;
}

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
    ...(failure.errors === undefined ? {} : { errors: failure.errors }),
    success: false,
    error: failure.detail,
    ...failure.extra,
  };
}

export function problemResponse(
  failure: Problem,
  request: { readonly instance: string; readonly request_id: string },
): Response {
  const { status } = kinds[failure.code];
  const headers = new Headers(failure.headers);
  headers.set("content-type", "application/problem+json");
  if (status === 503) {
    headers.set("retry-after", String(Math.max(1, Math.ceil((failure.retry_after_ms ?? 1_000) / 1_000))));
  }
  return new Response(JSON.stringify(problemBody(failure, request)), { status, headers });
}
