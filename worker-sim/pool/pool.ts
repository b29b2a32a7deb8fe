/**
 * A worker pool: registers, pulls leases, proves them in the prover's threads and delivers. Pulls, heartbeats and
 * deliveries live on the main thread, which never proves, so a busy pool stays in touch.
 *
 * It holds up to `threads + prefetch` leases and registers as many slots, so that a thread that gets free has its
 * next task at hand instead of waiting until the last one is verified and committed. The price: a prefetched task waits
 * for at most one proof although another pool might be idle.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, ClientError, type WorkHints } from "../../src/client/index.ts";
import type { Prover } from "../prover/index.ts";
import type { Delivery } from "./delivery.ts";
import { Holdings } from "./holdings.ts";
import type { PoolLog } from "./log.ts";
import { PoolMetrics } from "./metrics.ts";
import { createBackoff, createPresence, pause, superseded } from "./presence.ts";
import { Progress } from "./progress.ts";
import { createWorkshop } from "./workshop.ts";

const PREFETCH_DEFAULT = 1;
const PULL_WAIT_S = 20;
/** After an answer that brought only leases which are held already. */
const REPEATED_PAUSE_MS = 250;
/** For what is said on the way out: proofs that were made in time, releases, removal. */
const FAREWELL_MS = 5_000;

export interface PoolOptions {
  readonly client: Client;
  readonly prover: Prover;
  readonly worker_id: string;
  /** New for each process. */
  readonly boot_id: string;
  readonly threads: number;
  /** Leases held beyond what the threads prove; 1 where absent. */
  readonly prefetch?: number;
  readonly labels: Readonly<Record<string, string>>;
  /** How long proofs under way may take after `drain`; one lease period where absent. */
  readonly drain_ms?: number;
  readonly metrics?: PoolMetrics;
  readonly log: PoolLog;
}

export interface Pool {
  /** Leases held now, never more than `slots`. */
  readonly held: number;
  readonly slots: number;
  /** Works until drained. Rejects with `PoolRefused` when the coordinator will have nothing to do with this pool. */
  run(): Promise<void>;
  /** No more pulls; what is being proved is finished and delivered, the rest given back; then `run` resolves. */
  drain(): void;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

export function createPool(options: PoolOptions): Pool {
  const { client, prover, worker_id, boot_id, threads, log } = options;
  const holdings = new Holdings(threads + (options.prefetch ?? PREFETCH_DEFAULT));
  const drainAsked = Promise.withResolvers<void>();
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {});
  /** Ends everything. */
  const over = new AbortController();
  let draining = false;
  let lease_ms: number | undefined;
  let hints: WorkHints | undefined;
  /** Ends the pull under way; the next begins at once. */
  let pulling = new AbortController();

  const delivery: Delivery = { client, worker_id, boot_id, log, signal: over.signal };
  const progress = new Progress();
  const workshop = createWorkshop({
    delivery,
    holdings,
    prover,
    threads,
    progress,
    metrics: options.metrics ?? new PoolMetrics(),
    onError: broken.reject,
  });
  const presence = createPresence({
    client,
    log,
    registration: {
      worker_id,
      boot_id,
      max_concurrent_tasks: holdings.slots,
      circuits: prover.circuits.map(({ name, vk_hash }) => ({ name, vk_hash })),
      labels: { ...options.labels },
    },
    signal: over.signal,
    heldLeases: () =>
      holdings.jobs.map(({ lease: { lease_id, circuit }, proving_since }) => {
        const now = performance.now();
        const done = proving_since === undefined ? undefined : progress.of(circuit, now - proving_since);
        return { lease_id, ...(done === undefined ? {} : { progress: done }) };
      }),
    onRegistered(registered) {
      lease_ms = registered.lease_ms;
      workshop.take(registered.leases);
    },
    onHeartbeat({ leases, missing }) {
      for (const { lease_id, directive } of leases) {
        if (directive !== "continue") workshop.obey(lease_id, directive);
      }
      // Granted, but the answer never came here: a pull for all free slots brings it once more.
      if (missing.some((lease_id) => !holdings.knows(lease_id))) pulling.abort();
    },
    wanted: () => !draining,
    // An open socket is sign of life enough for a pool that holds nothing.
    resting: () => hints?.open === true && holdings.size === 0,
  });

  async function pullLoop(): Promise<void> {
    const backoff = createBackoff();
    while (!draining) {
      if (holdings.free === 0) {
        await holdings.changed();
        continue;
      }
      pulling = new AbortController();
      const { signal } = pulling;
      const listening = hints?.open === true;
      hints?.heard();
      try {
        const request = { boot_id, max: holdings.free, wait: listening ? 0 : PULL_WAIT_S };
        const leases = await client.workers.pull(worker_id, request, { signal, retry_for_ms: 0 });
        backoff.reset();
        if (workshop.take(leases) === 0 && leases.length > 0) await pause(REPEATED_PAUSE_MS, signal);
        // The leader says when to come again.
        if (leases.length === 0 && listening) await Promise.race([hints?.news(), aborted(signal)]);
      } catch (error) {
        if (signal.aborted) continue;
        if (!(error instanceof ClientError)) throw error;
        if (error.code === "boot-superseded") throw superseded(worker_id);
        if (error.code === "worker-unknown") await presence.register();
        else {
          log("pull failed", { code: error.code, error: error.message }, "warn");
          await pause(backoff.next(), signal);
        }
      }
    }
  }

  /** Proofs under way are finished if they end within the time; everything else goes back without spending an attempt. */
  async function wane(drain_ms: number): Promise<void> {
    log("draining", { held: holdings.size, drain_ms });
    const deadline = sleep(drain_ms, undefined, { signal: over.signal }).catch(() => {});
    // The coordinator is told before the pull is cut off: a lease granted in between would be held by nobody.
    const told = client.workers.drain(worker_id, { retry_for_ms: FAREWELL_MS, signal: over.signal });
    await Promise.race([told.catch(() => {}), deadline]);
    pulling.abort();
    workshop.close();
    await Promise.race([workshop.settled(), deadline]);
    workshop.abandon();
    await Promise.race([workshop.settled(), sleep(FAREWELL_MS)]);
    if (holdings.size > 0) log("left without an answer", { held: holdings.size }, "warn");
    const signal = AbortSignal.timeout(FAREWELL_MS);
    await client.workers.remove(worker_id, { retry_for_ms: 0, signal }).catch((error: unknown) => {
      log("not removed", { error: String(error) }, "warn");
    });
  }

  async function work(): Promise<void> {
    await Promise.race([presence.register(), drainAsked.promise]);
    if (lease_ms === undefined) return;
    hints = client.workers.hints(worker_id, boot_id, over.signal);
    for (const loop of [pullLoop(), presence.beat()]) loop.catch(broken.reject);
    await drainAsked.promise;
    await wane(options.drain_ms ?? lease_ms);
  }

  return {
    get held() {
      return holdings.size;
    },
    slots: holdings.slots,
    drain() {
      draining = true;
      drainAsked.resolve();
      holdings.wake();
    },
    async run() {
      try {
        await Promise.race([work(), broken.promise]);
      } finally {
        draining = true;
        over.abort();
        pulling.abort();
        holdings.wake();
        for (const { abort } of holdings.jobs) abort.abort();
      }
    },
  };
}
