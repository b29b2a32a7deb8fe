/** One call to one replica, and what its answer means for whoever forwards. */
import type { Refused } from "../coordinator/outcomes.ts";
import type { Declined, ReplicaName } from "../replica/rpc.ts";
import type { Transport } from "./transport.ts";

export type AttemptResult =
  /** A definite answer: the parsed body, or the response itself of a stream. */
  | { readonly type: "answer"; readonly value: unknown }
  | Declined
  /** The stub threw, or what came is no answer: whether anything happened is unknown. */
  | { readonly type: "broken"; readonly detail: string };

/** Marks an answer whose body is streamed to the client as it is. */
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

function isDeclined(value: unknown): value is Declined {
  return typeof value === "object" && value !== null && declinedTypes.has((value as { type?: unknown }).type);
}

/** Calls `replica`; `result` never rejects. Bounded by `timeout_ms`, if there is one, until the head of the answer is here. */
export function startAttempt(
  transport: Transport,
  replica: ReplicaName,
  call: {
    readonly path: string;
    readonly body: string;
    readonly request_id: string;
    readonly timeout_ms?: number;
    readonly location_hint?: string;
  },
): Attempt {
  const controller = new AbortController();
  const { timeout_ms } = call;
  const tooLate = (): void => controller.abort(new Error("no answer in time"));
  const timer = timeout_ms === undefined ? undefined : setTimeout(tooLate, timeout_ms);
  const inTime = (): void => {
    if (timer !== undefined) clearTimeout(timer);
  };
  const run = async (): Promise<AttemptResult> => {
    try {
      const response = await transport.call(replica, call.path, call.body, {
        signal: controller.signal,
        request_id: call.request_id,
        ...(call.location_hint === undefined ? {} : { location_hint: call.location_hint }),
      });
      inTime();
      if (!response.ok && response.status !== 409) {
        await response.body?.cancel();
        return { type: "broken", detail: `${replica} answered ${response.status}` };
      }
      if (response.headers.has(STREAM_HEADER)) return { type: "answer", value: response };
      const value: unknown = await response.json();
      return isDeclined(value) ? value : { type: "answer", value };
    } catch (error) {
      return {
        type: "broken",
        detail: `${replica}: ${error instanceof Error ? error.message : String(error)}`,
      };
    } finally {
      inTime();
    }
  };
  return { replica, result: run(), abandon: () => controller.abort(new Error("another replica answered")) };
}

/** Opens a WebSocket at `replica`. Never rejects. */
export async function openSocket(
  transport: Transport,
  replica: ReplicaName,
  path: string,
  request_id: string,
  deadline: number,
): Promise<
  | { readonly type: "open"; readonly response: Response }
  | Refused
  | Declined
  | { readonly type: "broken"; readonly detail: string }
> {
  try {
    const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
    const response = await transport.open(replica, path, { signal, request_id });
    if (response.status === 101) return { type: "open", response };
    return (await response.json()) as Refused | Declined;
  } catch (error) {
    return {
      type: "broken",
      detail: `${replica}: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}
