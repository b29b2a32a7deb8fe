/**
 * One request until there is an answer: every address in turn, the one that answered last first. A refused
 * connection, a stopped replica and a 503 send it to the next one. Whoever makes a call has seen to it that repeating it
 * is harmless: by an id or a key of its own.
 */
import type { ClientOptions } from "./client.ts";
import { ClientError, errorFrom } from "./errors.ts";

export const RETRY_FOR_MS = 15_000;
export const PAUSE_MS_FIRST = 100;
export const PAUSE_MS_MAX = 2_000;
/** Beyond what the router itself takes for an answer. */
const ANSWER_MS = 10_000;

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the far side may take on purpose: a long poll. */
  readonly wait_ms?: number;
  /** The body may come in for as long as it likes: only the answer's beginning is waited for. */
  readonly streamed?: boolean;
  /** Which answers outside 2xx are no errors. */
  readonly accept?: (response: Response) => boolean;
  readonly signal?: AbortSignal | undefined;
  readonly retry_for_ms?: number | undefined;
}

export type Channel = (call: Call) => Promise<Response>;

/** Those that were given, without slashes at their ends. */
export function addresses(options: ClientOptions): readonly string[] {
  const list = [...(options.urls ?? []), ...(options.url ?? "").split(",")]
    .map((url) => url.trim().replace(/\/+$/, ""))
    .filter((url) => url !== "");
  if (list.length === 0) throw new Error("createClient needs at least one url");
  return list;
}

export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Aborts after `ms`, unless it is cleared before: `AbortSignal.timeout` would cut the body as well. */
function untilCleared(ms: number): { readonly signal: AbortSignal; readonly clear: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${ms} ms`)), ms);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** With its body here: one that breaks off is as good as no answer. */
async function whole(response: Response): Promise<Response> {
  const kept = response.clone();
  await response.arrayBuffer();
  return kept;
}

export function createChannel(options: ClientOptions): Channel {
  const urls = addresses(options);
  const send = options.fetch ?? fetch;
  let favourite = 0;

  async function attempt(url: string, call: Call): Promise<Response | ClientError> {
    const timeout_ms = (call.wait_ms ?? 0) + ANSWER_MS;
    const { signal: timeout, clear } = call.streamed
      ? untilCleared(timeout_ms)
      : { signal: AbortSignal.timeout(timeout_ms), clear: undefined };
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
    try {
      const response = await send(`${url}${call.path}`, {
        method: call.method,
        headers: {
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...call.headers,
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal,
      });
      clear?.();
      if (!response.ok && call.accept?.(response) !== true) return await errorFrom(response);
      return call.streamed ? response : await whole(response);
    } catch (cause) {
      clear?.();
      call.signal?.throwIfAborted();
      return new ClientError({
        code: "unreachable",
        status: 0,
        message: `${url} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`,
        retryable: true,
        cause,
      });
    }
  }

  /** Every address once; the first answer, or the error that says most. */
  async function round(call: Call): Promise<Response | ClientError> {
    let failure: ClientError | undefined;
    for (let i = 0; i < urls.length; i++) {
      const index = (favourite + i) % urls.length;
      const result = await attempt(urls[index] ?? "", call);
      if (!(result instanceof ClientError)) {
        favourite = index;
        return result;
      }
      // Another address is the same service, and would count it too.
      if (!result.retryable || result.code === "rate-limited") return result;
      if (failure === undefined || failure.code === "unreachable") failure = result;
    }
    return (
      failure ?? new ClientError({ code: "unreachable", status: 0, message: "no address", retryable: true })
    );
  }

  return async (call) => {
    const deadline = Date.now() + (call.retry_for_ms ?? options.retry_for_ms ?? RETRY_FOR_MS);
    for (let pause_ms = PAUSE_MS_FIRST; ; pause_ms = Math.min(pause_ms * 2, PAUSE_MS_MAX)) {
      const result = await round(call);
      if (!(result instanceof ClientError)) return result;
      const next_ms =
        result.code === "overloaded" || result.code === "rate-limited"
          ? Math.max(pause_ms, result.retry_after_ms ?? 0)
          : pause_ms;
      const jittered_ms = next_ms * (0.75 + Math.random() / 2);
      if (!result.retryable || Date.now() + jittered_ms > deadline) throw result;
      await pause(jittered_ms, call.signal);
    }
  };
}
