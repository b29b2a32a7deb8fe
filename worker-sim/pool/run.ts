/** A worker pool as a process: environment in, signals, exit code out. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { createClient } from "../../src/client/index.ts";
import { Problem } from "../cluster/problem.ts";
import { createProver } from "../prover/index.ts";
import { readPoolConfiguration } from "./configuration.ts";
import { createPoolLog } from "./log.ts";
import { PoolMetrics, serveMetrics } from "./metrics.ts";
import { createPool } from "./pool.ts";
import { PoolRefused } from "./presence.ts";

/**
 * Works until SIGTERM or SIGINT, then drains; a second signal ends it at once.
 * @throws {Problem} when the coordinator refuses this pool, or the environment is wrong.
 */
export async function runPool(env: NodeJS.ProcessEnv): Promise<void> {
  const { urls, token, worker_id, threads, prefetch, drain_ms, circuits, metrics_port } =
    readPoolConfiguration(env);
  const log = createPoolLog(worker_id);
  const prover = createProver({ threads, ...(circuits === undefined ? {} : { circuits }) });
  const metrics = new PoolMetrics();
  const pool = createPool({
    client: createClient({ urls, ...(token === undefined ? {} : { token }) }),
    prover,
    worker_id,
    boot_id: randomUUID(),
    threads,
    labels: { host: hostname(), pid: String(process.pid), threads: String(threads) },
    ...(prefetch === undefined ? {} : { prefetch }),
    ...(drain_ms === undefined ? {} : { drain_ms }),
    metrics,
    log,
  });
  let asked = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (asked) process.exit(1);
      asked = true;
      pool.drain();
    });
  }
  log("started", { urls: urls.join(","), threads, pid: process.pid });
  if (metrics_port !== undefined) {
    try {
      const { port } = await serveMetrics(metrics_port, () => metrics.render(pool));
      log("metrics", { port });
    } catch (error) {
      // To prove is worth more than to be watched.
      log("no metrics", { port: metrics_port, error: String(error) }, "warn");
    }
  }
  try {
    await pool.run();
  } catch (error) {
    if (error instanceof PoolRefused) throw new Problem(error.message);
    throw error;
  } finally {
    await prover.close();
  }
  log("ended");
  // A connection that is kept alive, or a thread that does not end, would hold the process.
  process.exit(0);
}
