/**
 * A worker pool: registers, pulls leases, proves them in the prover's threads and delivers. Pulls, heartbeats and
 * deliveries live here on the main thread, which never proves, so a busy pool stays in touch.
 *
 * It holds up to `threads + PREFETCHED` leases and registers as many slots, so that a thread that gets free has its
 * next task at hand instead of waiting for the verification and commit of the last one. The price: a prefetched task
 * waits for at most one proof although another pool might be idle.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { LeaseOffer, Registered } from "../../src/api/workers.ts";
import { type Client, ClientError } from "../../src/client/index.ts";
import { type Proved, type Prover, ProverError } from "../prover/index.ts";
import { type Delivery, deliverFailure, deliverProof, giveBack } from "./delivery.ts";
import { Holdings, type Job } from "./holdings.ts";
import type { PoolLog } from "./log.ts";

const PREFETCHED = 1;
const PULL_WAIT_S = 20;
const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 2_000;
/** After an answer that brought only leases that are held already. */
const REPEATED_PAUSE_MS = 250;
const HEARTBEAT_RETRY_MS = 500;
/** For what is said on the way out: results of proofs that had ended in time, releases, removal. */
const FAREWELL_MS = 5_000;

export interface PoolOptions {
  readonly client: Client;
  readonly prover: Prover;
  readonly worker_id: string;
  /** New for each process. */
  readonly boot_id: string;
  readonly threads: number;
  readonly labels: Readonly<Record<string, string>>;
  /** How long proofs under way may take after `drain`; one lease period where absent. */
  readonly drain_ms?: number;
  readonly log: PoolLog;
}

export interface Pool {
  /** Leases held now. */
  readonly held: number;
  readonly slots: number;
  /** Works until drained. Rejects with {@link PoolRefused} when the coordinator will have nothing to do with it. */
  run(): Promise<void>;
  /** No more pulls; what is being proved is finished and delivered, the rest given back; then `run` resolves. */
  drain(): void;
}

/** The message is one sentence. */
export class PoolRefused extends Error {
  override readonly name = "PoolRefused";
}

export function createPool(options: PoolOptions): Pool {
  const { client, prover, worker_id, boot_id, threads, log } = options;
  const holdings = new Holdings(threads + PREFETCHED);
  /** Ends pulling and heartbeats. */
  const drained = new AbortController();
  /** Ends everything. */
  const over = new AbortController();
  const drainAsked = Promise.withResolvers<void>();
  const refused = Promise.withResolvers<never>();
  refused.promise.catch(() => {});
  let draining = false;
  let lease_ms = 0;
  let heartbeat_interval_ms = 0;
  let registering: Promise<void> | undefined;
  /** Ends the pull under way, which begins anew. */
  let pull = new AbortController();
  const work = new Set<Promise<void>>();
  const delivery: Delivery = { client, worker_id, log, signal: over.signal };

  function refuse(message: string): void {
    refused.reject(new PoolRefused(message));
  }

  function superseded(): void {
    refuse(`Another process has registered as worker ${worker_id}: give each pool a WORKER_ID of its own.`);
  }

  /** One registration at a time, however many calls found that they need it. */
  function register(): Promise<void> {
    registering ??= registerOnce().finally(() => {
      registering = undefined;
    });
    return registering;
  }

  async function registerOnce(): Promise<void> {
    const registration = {
      worker_id,
      boot_id,
      max_concurrent_tasks: holdings.slots,
      circuits: prover.circuits.map(({ name, vk_hash }) => ({ name, vk_hash })),
      labels: { ...options.labels },
    };
    const registered = await retried("registration", (signal) =>
      client.workers.register(registration, { signal, retry_for_ms: 0 }),
    );
    if (registered === undefined) return;
    onRegistered(registered);
  }

  function onRegistered(registered: Registered): void {
    lease_ms = registered.lease_ms;
    heartbeat_interval_ms = registered.heartbeat_interval_ms;
    log("registered", { slots: holdings.slots, threads, lease_ms, circuits: registered.circuits.join(",") });
    if (registered.circuits.length === 0) {
      log(
        "no work will come: the coordinator verifies with other keys than this pool proves with",
        {},
        "warn",
      );
    }
    take(registered.leases);
  }

  /** Until it succeeds or the pool drains; an error that repeating does not mend refuses the pool. */
  async function retried<Answer>(
    what: string,
    attempt: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    for (
      let pause_ms = PAUSE_MS_FIRST;
      !drained.signal.aborted;
      pause_ms = Math.min(2 * pause_ms, PAUSE_MS_MAX)
    ) {
      try {
        return await attempt(drained.signal);
      } catch (error) {
        if (drained.signal.aborted) return undefined;
        if (!(error instanceof ClientError)) throw error;
        if (!error.retryable && error.status < 500) {
          refuse(`The coordinator refuses this pool's ${what}: ${error.message}`);
          return undefined;
        }
        if (pause_ms === PAUSE_MS_MAX)
          log(`${what} has no answer yet`, { code: error.code, error: error.message }, "warn");
        await pause(pause_ms);
      }
    }
    return undefined;
  }

  /** Shortened by draining; jittered, so that pools which lost the same leader do not return in step. */
  async function pause(ms: number): Promise<void> {
    await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal: drained.signal }).catch(() => {});
  }

  /** How many of them are new. */
  function take(leases: readonly LeaseOffer[]): number {
    let fresh = 0;
    for (const lease of leases) {
      if (holdings.knows(lease.lease_id)) continue;
      fresh++;
      const job = draining ? undefined : holdings.add(lease);
      if (job === undefined) track(giveBack(delivery, lease));
      else log("assigned", { task_id: lease.task_id, lease_id: lease.lease_id, attempt: lease.attempt });
    }
    proveWaiting();
    return fresh;
  }

  function track(doing: Promise<void>): void {
    const guarded = doing.catch((error: unknown) => {
      if (!over.signal.aborted) refused.reject(error);
    });
    work.add(guarded);
    void guarded.then(() => work.delete(guarded));
  }

  function proveWaiting(): void {
    for (const job of holdings.jobs) {
      if (holdings.jobs.filter(({ state }) => state === "proving").length >= threads) return;
      if (job.state !== "waiting") continue;
      job.state = "proving";
      track(proveAndDeliver(job));
    }
  }

  async function proveAndDeliver(job: Job): Promise<void> {
    const { lease, abort } = job;
    const { circuit, task_id, input } = lease;
    let proved: Proved | undefined;
    let failure: ProverError | undefined;
    try {
      proved = await prover.prove({ circuit, task_id, input }, { signal: abort.signal });
    } catch (error) {
      if (!abort.signal.aborted && !(error instanceof ProverError)) throw error;
      if (error instanceof ProverError) failure = error;
    }
    if (abort.signal.aborted) {
      forget(job);
      return;
    }
    job.state = "delivering";
    // The thread is free from here on; the slot is not, until the coordinator has answered.
    proveWaiting();
    if (proved !== undefined) await deliver(job, proved);
    else if (failure !== undefined) await report(job, failure);
    forget(job);
  }

  function forget(job: Job): void {
    holdings.remove(job);
    proveWaiting();
  }

  async function deliver(job: Job, proved: Proved): Promise<void> {
    const { lease } = job;
    const { task_id, lease_id } = lease;
    log("proved", { task_id, lease_id, duration_ms: proved.duration_ms });
    const began = Date.now();
    const delivered = await deliverProof(delivery, lease, proved, () => (draining ? 0 : 1));
    if (delivered.type === "completed") {
      const { answer } = delivered;
      log("completed", {
        task_id,
        lease_id,
        delivery_ms: Date.now() - began,
        late: answer.accepted_late ? 1 : undefined,
      });
      // Only now is the slot free, and the next lease may take it.
      holdings.remove(job);
      take(answer.leases);
      return;
    }
    const { code, message } = delivered;
    log(
      "proof not taken",
      { task_id, lease_id, code, error: message },
      code === "lease-superseded" ? "info" : "error",
    );
    if (code === "invalid-request" || code === "too-large") {
      await deliverFailure(delivery, lease, { error_code: "not-deliverable", message, retryable: true });
    }
    if (code === "boot-superseded") superseded();
  }

  async function report(job: Job, { code, message, retryable }: ProverError): Promise<void> {
    const { task_id, lease_id } = job.lease;
    log("failed", { task_id, lease_id, code, error: message }, "error");
    await deliverFailure(delivery, job.lease, {
      error_code: code,
      message: message.slice(0, 2_000),
      retryable,
    });
  }

  async function pullLoop(): Promise<void> {
    let pause_ms = PAUSE_MS_FIRST;
    while (!draining) {
      if (holdings.free === 0) {
        await Promise.race([holdings.changed(), drainAsked.promise]);
        continue;
      }
      pull = new AbortController();
      const signal = AbortSignal.any([pull.signal, drained.signal]);
      try {
        const request = { boot_id, max: holdings.free, wait: PULL_WAIT_S };
        const leases = await client.workers.pull(worker_id, request, { signal, retry_for_ms: 0 });
        pause_ms = PAUSE_MS_FIRST;
        if (take(leases) === 0 && leases.length > 0) await pause(REPEATED_PAUSE_MS);
      } catch (error) {
        if (signal.aborted) continue;
        if (!(error instanceof ClientError)) throw error;
        if (error.code === "worker-unknown") await register();
        else if (error.code === "boot-superseded") return superseded();
        else {
          if (pause_ms === PAUSE_MS_FIRST)
            log("pull failed", { code: error.code, error: error.message }, "warn");
          await pause(pause_ms);
          pause_ms = Math.min(2 * pause_ms, PAUSE_MS_MAX);
        }
      }
    }
  }

  /** Goes on while the pool drains: what is still being proved must keep its lease. */
  async function heartbeatLoop(): Promise<void> {
    while (!over.signal.aborted) {
      const sent = await beat();
      const wait_ms = sent ? heartbeat_interval_ms : Math.min(HEARTBEAT_RETRY_MS, heartbeat_interval_ms);
      await sleep(wait_ms, undefined, { signal: over.signal }).catch(() => {});
    }
  }

  async function beat(): Promise<boolean> {
    const leases = holdings.jobs.map(({ lease }) => ({ lease_id: lease.lease_id }));
    try {
      const answer = await client.workers.heartbeat(
        worker_id,
        { boot_id, leases },
        { signal: over.signal, retry_for_ms: 0 },
      );
      for (const { lease_id, directive } of answer.leases)
        if (directive !== "continue") obey(lease_id, directive);
      // Leases whose grant never reached us: asking for all free slots brings them once more.
      if (answer.missing.some((lease_id) => !holdings.knows(lease_id))) pull.abort();
      return true;
    } catch (error) {
      if (over.signal.aborted) return true;
      if (!(error instanceof ClientError)) throw error;
      if (error.code === "boot-superseded") superseded();
      else if (error.code === "worker-unknown" && !draining) await register();
      else log("heartbeat failed", { code: error.code, error: error.message }, "warn");
      return false;
    }
  }

  /** A proof that is made already is delivered all the same: the coordinator may take it late, or says no at once. */
  function obey(lease_id: string, directive: "cancel" | "lost"): void {
    const job = holdings.get(lease_id);
    if (job === undefined || job.state === "delivering") return;
    log("told to stop", { task_id: job.lease.task_id, lease_id, directive });
    job.abort.abort();
    if (job.state === "waiting") forget(job);
  }

  /** Proofs under way are finished if they end within the time; everything else goes back without spending an attempt. */
  async function wane(): Promise<void> {
    const drain_ms = options.drain_ms ?? lease_ms;
    log("draining", { held: holdings.size, drain_ms });
    const deadline = sleep(drain_ms, undefined, { signal: over.signal }).catch(() => {});
    // The coordinator first: a pull that is cut off before it knows would leave leases behind that nobody holds.
    await Promise.race([
      client.workers
        .drain(worker_id, { retry_for_ms: Math.min(drain_ms, FAREWELL_MS), signal: over.signal })
        .catch(() => {}),
      deadline,
    ]);
    drained.abort();
    for (const job of holdings.jobs) if (job.state === "waiting") release(job);
    await Promise.race([settled(), deadline]);
    for (const job of holdings.jobs) if (job.state === "proving") release(job);
    await Promise.race([settled(), sleep(FAREWELL_MS)]);
    if (holdings.size > 0) log("left without an answer", { held: holdings.size }, "warn");
    await client.workers
      .remove(worker_id, { retry_for_ms: 0, signal: AbortSignal.timeout(FAREWELL_MS) })
      .catch(() => {});
  }

  async function settled(): Promise<void> {
    while (work.size > 0) await Promise.all(work);
  }

  function release(job: Job): void {
    job.abort.abort();
    holdings.remove(job);
    track(giveBack(delivery, job.lease));
  }

  return {
    get held() {
      return holdings.size;
    },
    slots: holdings.slots,
    drain() {
      if (draining) return;
      draining = true;
      drainAsked.resolve();
    },
    async run() {
      try {
        await Promise.race([register(), refused.promise, drainAsked.promise]);
        const loops = lease_ms === 0 ? [] : [pullLoop(), heartbeatLoop()];
        for (const loop of loops) loop.catch((error: unknown) => refused.reject(error));
        await Promise.race([drainAsked.promise, refused.promise]);
        if (lease_ms !== 0) await Promise.race([wane(), refused.promise]);
      } finally {
        draining = true;
        drained.abort();
        over.abort();
        for (const job of holdings.jobs) job.abort.abort();
      }
    },
  };
}
