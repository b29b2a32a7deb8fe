/**
 * How a result gets to the coordinator: again and again until there is a definite answer, through losses of leader and
 * network. Finished work is worth a second of a core, and the lease is the fence that makes repeating harmless.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Completed, CompletionRequest, FailureRequest, LeaseOffer } from "../../src/api/workers.ts";
import { type Client, ClientError } from "../../src/client/index.ts";
import type { PoolLog } from "./log.ts";

/** The client's own patience; then it is logged, and begun again. */
const ROUND_MS = 30_000;
const PAUSE_MS = 2_000;

/** Answers about the lease or the proof, which no repeating changes. Anything else may be a passing state of affairs. */
const DEFINITE: ReadonlySet<string> = new Set([
  "lease-unknown",
  "lease-superseded",
  "proof-mismatch",
  "proof-invalid",
  "worker-unknown",
  "boot-superseded",
  "invalid-request",
  "too-large",
]);

/** Never rejects with a {@link ClientError} that is not definite; rejects when `signal` is aborted. */
export async function untilDefinite<Answer>(
  what: string,
  log: PoolLog,
  signal: AbortSignal,
  attempt: (options: { readonly signal: AbortSignal; readonly retry_for_ms: number }) => Promise<Answer>,
): Promise<Answer> {
  for (;;) {
    try {
      return await attempt({ signal, retry_for_ms: ROUND_MS });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ClientError) || DEFINITE.has(error.code)) throw error;
      log(`${what} has no answer yet`, { code: error.code, error: error.message }, "warn");
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }
}

export type Delivered =
  | { readonly type: "completed"; readonly answer: Completed }
  | { readonly type: "refused"; readonly code: string; readonly message: string };

export interface Delivery {
  readonly client: Client;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly log: PoolLog;
  readonly signal: AbortSignal;
}

export async function deliverProof(
  { client, worker_id, boot_id, log, signal }: Delivery,
  lease: LeaseOffer,
  proved: Pick<CompletionRequest, "proof" | "public_inputs" | "duration_ms">,
  nextMax: () => number,
): Promise<Delivered> {
  try {
    const answer = await untilDefinite("a completion", log, signal, (options) => {
      const max = nextMax();
      const completion = { worker_id, ...proved, ...(max === 0 ? {} : { next: { max, boot_id } }) };
      return client.workers.complete(lease.lease_id, completion, options);
    });
    return { type: "completed", answer };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { type: "refused", code: error.code, message: error.message };
  }
}

/** An answer that the lease is over is as good as an acknowledgement: what it says is only logged. */
export async function deliverFailure(
  { client, worker_id, log, signal }: Delivery,
  lease: LeaseOffer,
  failure: Omit<FailureRequest, "worker_id">,
): Promise<void> {
  try {
    await untilDefinite("a failure", log, signal, (options) =>
      client.workers.fail(lease.lease_id, { worker_id, ...failure }, options),
    );
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    log("failure not needed", { task_id: lease.task_id, code: error.code });
  }
}

export async function giveBack(
  { client, worker_id, log, signal }: Delivery,
  lease: LeaseOffer,
): Promise<void> {
  try {
    await untilDefinite("a release", log, signal, (options) =>
      client.workers.release(lease.lease_id, { worker_id }, options),
    );
    log("released", { task_id: lease.task_id, lease_id: lease.lease_id });
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    log("release not needed", { task_id: lease.task_id, code: error.code });
  }
}
