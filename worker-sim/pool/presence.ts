/** A pool's standing with the coordinator: registered, and again when it is not known any more; heard of in time. */
import { setTimeout as sleep } from "node:timers/promises";
import type { HeartbeatAnswer, HeartbeatRequest, Registered, Registration } from "../../src/api/workers.ts";
import { type Client, ClientError } from "../../src/client/index.ts";
import type { PoolLog } from "./log.ts";

const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 2_000;
const HEARTBEAT_RETRY_MS = 500;

/** The coordinator will have nothing to do with this pool. The message is one sentence. */
export class PoolRefused extends Error {
  override readonly name = "PoolRefused";
}

export function superseded(worker_id: string): PoolRefused {
  return new PoolRefused(
    `Another process has registered as worker ${worker_id}: give each pool a WORKER_ID of its own.`,
  );
}

/** Jittered, so that pools which lost the same leader do not return in step; cut short by the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
}

/** Pauses that double up to a limit. */
export function createBackoff(): { next(): number; reset(): void } {
  let ms = PAUSE_MS_FIRST;
  return {
    next() {
      const now_ms = ms;
      ms = Math.min(2 * ms, PAUSE_MS_MAX);
      return now_ms;
    },
    reset() {
      ms = PAUSE_MS_FIRST;
    },
  };
}

export interface Presence {
  /** One registration at a time, however many find that they need it. Resolves undefined when `signal` is aborted. */
  register(): Promise<Registered | undefined>;
  /** Beats until `signal` is aborted. */
  beat(): Promise<void>;
}

export interface PresenceOptions {
  readonly client: Client;
  readonly log: PoolLog;
  readonly registration: Registration;
  readonly signal: AbortSignal;
  readonly heldLeases: () => HeartbeatRequest["leases"];
  readonly onRegistered: (registered: Registered) => void;
  readonly onHeartbeat: (answer: HeartbeatAnswer) => void;
  /** While false an unknown worker stays unknown: it is on its way out. */
  readonly wanted: () => boolean;
  /** While true nothing needs to be said. */
  readonly resting: () => boolean;
}

/** Both methods reject with {@link PoolRefused}. */
export function createPresence(options: PresenceOptions): Presence {
  const { client, log, registration, signal } = options;
  const { worker_id, boot_id } = registration;
  let heartbeat_interval_ms = 0;
  let registering: Promise<Registered | undefined> | undefined;

  async function registerOnce(): Promise<Registered | undefined> {
    const backoff = createBackoff();
    while (!signal.aborted) {
      try {
        const registered = await client.workers.register(registration, { signal, retry_for_ms: 0 });
        const { lease_ms, circuits } = registered;
        heartbeat_interval_ms = registered.heartbeat_interval_ms;
        log("registered", {
          slots: registration.max_concurrent_tasks,
          lease_ms,
          circuits: circuits.join(","),
        });
        if (circuits.length === 0) {
          log(
            "no work will come: the coordinator verifies with other keys than this pool proves with",
            {},
            "warn",
          );
        }
        options.onRegistered(registered);
        return registered;
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!(error instanceof ClientError)) throw error;
        if (!error.retryable && error.status < 500) {
          throw new PoolRefused(`The coordinator refuses this pool: ${error.message}.`.replace(/\.\.$/, "."));
        }
        const pause_ms = backoff.next();
        if (pause_ms === PAUSE_MS_MAX) {
          log("registration has no answer yet", { code: error.code, error: error.message }, "warn");
        }
        await pause(pause_ms, signal);
      }
    }
    return undefined;
  }

  function register(): Promise<Registered | undefined> {
    registering ??= registerOnce().finally(() => {
      registering = undefined;
    });
    return registering;
  }

  async function beatOnce(): Promise<boolean> {
    const leases = options.heldLeases();
    try {
      options.onHeartbeat(
        await client.workers.heartbeat(worker_id, { boot_id, leases }, { signal, retry_for_ms: 0 }),
      );
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      if (!(error instanceof ClientError)) throw error;
      if (error.code === "boot-superseded") throw superseded(worker_id);
      if (error.code === "worker-unknown" && options.wanted()) await register();
      else log("heartbeat failed", { code: error.code, error: error.message }, "warn");
      return false;
    }
  }

  return {
    register,
    async beat() {
      while (!signal.aborted) {
        const answered = options.resting() || (await beatOnce());
        const wait_ms = answered
          ? heartbeat_interval_ms
          : Math.min(HEARTBEAT_RETRY_MS, heartbeat_interval_ms);
        await sleep(wait_ms, undefined, { signal }).catch(() => {});
      }
    },
  };
}
