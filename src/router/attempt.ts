/** One call to one replica, and what its answer means for whoever forwards. */
import type { Refused } from "../coordinator/outcomes.ts";
import { type Declined, type ReplicaName, STREAMED } from "../replica/rpc.ts";
import type { Transport } from "./transport.ts";

export type AttemptResult =
  /** A definite answer: the parsed body, or the response itself of a stream. */
  | { readonly type: "answer"; readonly value: unknown }
  | Declined
  /** The stub threw, or what came is no answer: whether anything happened is unknown. */
  | { readonly type: "broken"; readonly detail: string };

/** On an answer whose body is streamed to the client as it is. */
export const STREAM_HEADER = "x-raft-applied-index";

const declinedTypes: ReadonlySet<unknown> = new Set([
  "not-leader",
  "unavailable",
  "outcome-unknown",
  "stopped",
]);

export interface Attempt {
  readonly replica: ReplicaName;
  readonly result: Promise<AttemptResult>;
  /** Gives up on it. Not for one that has answered: that would cut its body short. */
  abandon(): void;
}

export interface AttemptCall {
  readonly path: string;
  readonly body: string;
  readonly request_id: string;
  readonly timeout_ms?: number;
  readonly location_hint?: string | undefined;
}

function isDeclined(value: unknown): value is Declined {
  return typeof value === "object" && value !== null && declinedTypes.has((value as { type?: unknown }).type);
}

/** Calls `replica`; `result` never rejects. Bounded by `timeout_ms`, if there is one: of a stream, until its head is here. */
export function startAttempt(transport: Transport, replica: ReplicaName, call: AttemptCall): Attempt {
  if (STREAMED.has(call.path)) return startStream(transport, replica, call);
  const { path, body, request_id, timeout_ms, location_hint } = call;
  const result = transport
    .ask(replica, path, body, { request_id, location_hint })
    .then(settledBy)
    .catch((error: unknown) => brokenBy(replica, error));
  return {
    replica,
    result: timeout_ms === undefined ? result : within(timeout_ms, replica, result),
    // The runtime gives up on what is still under way when the request has been answered.
    abandon: () => {},
  };
}

function settledBy(text: string): AttemptResult {
  const value: unknown = JSON.parse(text);
  return isDeclined(value) ? value : { type: "answer", value };
}

function brokenBy(replica: ReplicaName, error: unknown): AttemptResult {
  return { type: "broken", detail: `${replica}: ${error instanceof Error ? error.message : String(error)}` };
}

async function within(
  timeout_ms: number,
  replica: ReplicaName,
  result: Promise<AttemptResult>,
): Promise<AttemptResult> {
  const tooLate = Promise.withResolvers<AttemptResult>();
  const timer = setTimeout(() => tooLate.resolve(brokenBy(replica, "no answer in time")), timeout_ms);
  try {
    return await Promise.race([result, tooLate.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Cut off when it is abandoned: nobody would read it. */
function startStream(
  transport: Transport,
  replica: ReplicaName,
  { path, body, timeout_ms }: AttemptCall,
): Attempt {
  const controller = new AbortController();
  const run = async (): Promise<AttemptResult> => {
    try {
      const response = await transport.stream(replica, path, body, controller.signal);
      if (response.ok) return { type: "answer", value: response };
      if (response.status === 409) return settledBy(await response.text());
      await response.body?.cancel();
      return brokenBy(replica, `it answered ${response.status}`);
    } catch (error) {
      return brokenBy(replica, error);
    }
  };
  const result = run();
  return {
    replica,
    result: timeout_ms === undefined ? result : within(timeout_ms, replica, result),
    abandon: () => controller.abort(new Error("another replica answered")),
  };
}

/** Opens a WebSocket at `replica`. Never rejects. */
export async function openSocket(
  transport: Transport,
  replica: ReplicaName,
  path: string,
  deadline: number,
): Promise<
  | { readonly type: "open"; readonly response: Response }
  | Refused
  | Declined
  | { readonly type: "broken"; readonly detail: string }
> {
  try {
    const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
    const response = await transport.open(replica, path, signal);
    if (response.status === 101) return { type: "open", response };
    return (await response.json()) as Refused | Declined;
  } catch (error) {
    return brokenBy(replica, error) as Extract<AttemptResult, { readonly type: "broken" }>;
  }
}
