/** What a call of the client throws. */
import { type FieldError, isProblemCode, type ProblemCode } from "../api/problem.ts";

export class ClientError extends Error {
  override readonly name = "ClientError";
  /** The code of the contract; `unreachable` when no address answered, `unexpected-answer` for one that is not ours. */
  readonly code: ProblemCode | "unreachable" | "unexpected-answer";
  /** HTTP status; 0 when no address answered. */
  readonly status: number;
  /** Repeating the same call may succeed. */
  readonly retryable: boolean;
  readonly request_id: string | undefined;
  readonly errors: readonly FieldError[];
  readonly retry_after_ms: number | undefined;

  constructor(fields: {
    readonly code: ClientError["code"];
    readonly status: number;
    readonly message: string;
    readonly retryable: boolean;
    readonly request_id?: string | undefined;
    readonly errors?: readonly FieldError[] | undefined;
    readonly retry_after_ms?: number | undefined;
    readonly cause?: unknown;
  }) {
    super(fields.message, { cause: fields.cause });
    this.code = fields.code;
    this.status = fields.status;
    this.retryable = fields.retryable;
    this.request_id = fields.request_id;
    this.errors = fields.errors ?? [];
    this.retry_after_ms = fields.retry_after_ms;
  }
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}

/** The error that an answer outside 2xx carries. Reads its body. */
export async function errorFrom(response: Response): Promise<ClientError> {
  const text = await response.text();
  const body = parsed(text);
  const retry_after_ms = retryAfter(response);
  if (body === undefined || !isProblemCode(body.code)) {
    return new ClientError({
      code: "unexpected-answer",
      status: response.status,
      message: `${response.url} answered ${response.status}: ${text.slice(0, 200)}`,
      retryable: response.status >= 500,
      retry_after_ms,
    });
  }
  return new ClientError({
    code: body.code,
    status: response.status,
    message: String(body.detail),
    retryable: body.retryable === true,
    request_id: typeof body.request_id === "string" ? body.request_id : undefined,
    errors: Array.isArray(body.errors) ? (body.errors as readonly FieldError[]) : undefined,
    retry_after_ms,
  });
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
