/**
 * Where leases become proofs: at most `threads` at a time, each delivered when it is made. The workshop decides nothing
 * about the pool: it is handed leases, told to stop, and says when there is no more to do.
 */
import type { LeaseOffer } from "../../src/api/workers.ts";
import { type Proved, type Prover, ProverError } from "../prover/index.ts";
import { type Delivery, deliverFailure, deliverProof, giveBack } from "./delivery.ts";
import type { Holdings, Job } from "./holdings.ts";
import type { PoolMetrics } from "./metrics.ts";
import type { Progress } from "./progress.ts";

export interface Workshop {
  /** Takes what is new among the leases, and gives back what there is no room for. Returns how many were new. */
  take(leases: readonly LeaseOffer[]): number;
  /** The coordinator's word about a lease. */
  obey(lease_id: string, directive: "cancel" | "lost"): void;
  /** From now on nothing new is taken, and what waits goes back. */
  close(): void;
  /** Stops what is being proved, and gives it back. */
  abandon(): void;
  /** Resolves when everything that was begun has had its answer. */
  settled(): Promise<void>;
}

export interface WorkshopOptions {
  readonly delivery: Delivery;
  readonly holdings: Holdings;
  readonly prover: Prover;
  readonly threads: number;
  readonly progress: Progress;
  readonly metrics: PoolMetrics;
  /** Something impossible happened: the pool must end. */
  readonly onError: (error: unknown) => void;
}

export function createWorkshop(options: WorkshopOptions): Workshop {
  const { delivery, holdings, prover, threads, progress, metrics, onError } = options;
  const { log } = delivery;
  const work = new Set<Promise<void>>();
  let closed = false;

  function track(doing: Promise<void>): void {
    const guarded = doing.catch((error: unknown) => {
      if (!delivery.signal.aborted) onError(error);
    });
    work.add(guarded);
    void guarded.then(() => work.delete(guarded));
  }

  function proveWaiting(): void {
    let proving = holdings.jobs.filter(({ state }) => state === "proving").length;
    for (const job of holdings.jobs) {
      if (proving >= threads) return;
      if (job.state !== "waiting") continue;
      job.state = "proving";
      job.proving_since = performance.now();
      proving++;
      track(proveAndDeliver(job));
    }
  }

  function forget(job: Job): void {
    holdings.remove(job);
    proveWaiting();
  }

  function giveUp(job: Job): void {
    job.abort.abort();
    forget(job);
    metrics.ended("returned");
    track(giveBack(delivery, job.lease));
  }

  async function proveAndDeliver(job: Job): Promise<void> {
    const result = await prove(job);
    if (job.abort.signal.aborted) return forget(job);
    job.state = "delivering";
    // The thread is free from here on; the slot is not, until the coordinator has answered.
    proveWaiting();
    if (result instanceof ProverError) await reportFailure(job, result);
    else await deliver(job, result);
    forget(job);
  }

  /** What it resolves with after an abort has no meaning. */
  async function prove({ lease, abort }: Job): Promise<Proved | ProverError> {
    const { circuit, task_id, input } = lease;
    try {
      return await prover.prove({ circuit, task_id, input }, { signal: abort.signal });
    } catch (error) {
      if (error instanceof ProverError) return error;
      if (abort.signal.aborted) return new ProverError("prover-crashed", "told to stop");
      throw error;
    }
  }

  async function deliver(job: Job, proved: Proved): Promise<void> {
    const { lease } = job;
    const { task_id, lease_id } = lease;
    log("proved", { task_id, lease_id, duration_ms: proved.duration_ms });
    progress.took(lease.circuit, proved.duration_ms);
    metrics.proved(lease.circuit, proved.duration_ms);
    const proved_at = Date.now();
    const delivered = await deliverProof(delivery, lease, proved, () => (closed ? 0 : 1));
    if (delivered.type === "completed") {
      const { answer } = delivered;
      metrics.ended("taken");
      const late = answer.accepted_late === true ? "yes" : undefined;
      log("completed", { task_id, lease_id, delivery_ms: Date.now() - proved_at, late });
      // Only now is the slot free, and the next lease may have it.
      holdings.remove(job);
      take(answer.leases);
      return;
    }
    const { code, message } = delivered;
    metrics.ended("refused");
    const level = code === "lease-superseded" ? "info" : "error";
    log("proof not taken", { task_id, lease_id, code, error: message }, level);
    if (code === "invalid-request" || code === "too-large") {
      await deliverFailure(delivery, lease, { error_code: "not-deliverable", message, retryable: true });
    }
  }

  async function reportFailure({ lease }: Job, { code, message, retryable }: ProverError): Promise<void> {
    const { task_id, lease_id } = lease;
    log("failed", { task_id, lease_id, code, error: message }, "error");
    metrics.ended("failed");
    await deliverFailure(delivery, lease, { error_code: code, message: message.slice(0, 2_000), retryable });
  }

  function take(leases: readonly LeaseOffer[]): number {
    let fresh = 0;
    for (const lease of leases) {
      const { task_id, lease_id, attempt } = lease;
      if (holdings.knows(lease_id)) continue;
      fresh++;
      const job = closed ? undefined : holdings.add(lease);
      if (job === undefined) track(giveBack(delivery, lease));
      else log("assigned", { task_id, lease_id, attempt });
    }
    proveWaiting();
    return fresh;
  }

  return {
    take,
    obey(lease_id, directive) {
      const job = holdings.get(lease_id);
      // A proof that is made already is delivered all the same: it may be taken late, or refused at once.
      if (job === undefined || job.state === "delivering") return;
      log("told to stop", { task_id: job.lease.task_id, lease_id, directive });
      job.abort.abort();
      if (job.state === "waiting") forget(job);
    },
    close() {
      closed = true;
      for (const job of holdings.jobs) if (job.state === "waiting") giveUp(job);
    },
    abandon() {
      for (const job of holdings.jobs) if (job.state === "proving") giveUp(job);
    },
    async settled() {
      while (work.size > 0) await Promise.all(work);
    },
  };
}
