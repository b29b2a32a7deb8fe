/** A worker pool beside a measurement: a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endsWithUs } from "./children.ts";

export interface Pool {
  /** Lets it finish what it has begun. */
  close(): Promise<void>;
}

/** @param threads that prove at once */
export function startPool(url: string, worker_id: string, threads = 1): Pool {
  const program = new URL("../worker-sim/main.ts", import.meta.url).pathname;
  const pool = endsWithUs(
    spawn(process.execPath, [program, "pool"], {
      env: { ...process.env, TROIKA_URL: url, CONCURRENCY: String(threads), WORKER_ID: worker_id },
      stdio: ["ignore", "ignore", "inherit"],
    }),
  );
  return {
    async close() {
      if (pool.exitCode !== null || pool.signalCode !== null) return;
      const gone = once(pool, "exit");
      pool.kill("SIGTERM");
      await gone;
    },
  };
}
