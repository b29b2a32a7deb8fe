/** The worker pool beside a local cluster: a process of its own, below the cluster's priority. */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type KeptRunning, keepRunning } from "./kept-running.ts";
import { type Layout, routerUrl } from "./layout.ts";
import type { Logs } from "./logs.ts";

const NICE = 10;
/** The pool's metrics are so far above the router's port, and just below the replicas'. */
const METRICS_PORT_OFFSET = 9;
/** For the proofs under way when the pool is told to end; whatever takes longer is given back. */
const DRAIN_MS = 8_000;
const GRACE_MS = DRAIN_MS + 4_000;

export interface LocalPool extends KeptRunning {
  /** Calls `listener` with each log line of the pool, until the returned function is called. */
  onLine(listener: (line: string) => void): () => void;
}

export interface LocalPoolOptions {
  readonly root: string;
  readonly layout: Layout;
  readonly logs: Logs;
  readonly threads: number;
  /** To trust, with https. */
  readonly certificateFile?: string;
  readonly say: (line: string) => void;
}

export function startPool({
  root,
  layout,
  logs,
  threads,
  certificateFile,
  say,
}: LocalPoolOptions): LocalPool {
  const listeners = new Set<(line: string) => void>();
  const kept = keepRunning({
    title: "The worker pool",
    program: {
      command: process.execPath,
      args: ["--no-warnings", join(root, "worker-sim", "troika.js"), "pool"],
      cwd: root,
      env: {
        ...process.env,
        TROIKA_URL: routerUrl(layout),
        CONCURRENCY: String(threads),
        DRAIN_MS: String(DRAIN_MS),
        METRICS_PORT: String(layout.routerPort + METRICS_PORT_OFFSET),
        ...(certificateFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificateFile }),
      },
      nice: NICE,
      grace_ms: GRACE_MS,
    },
    attach({ stdout, stderr }) {
      logs.attach(stdout, () => "pool");
      logs.attach(stderr, () => "pool");
      createInterface({ input: stdout }).on("line", (line) => {
        for (const listener of listeners) listener(line);
      });
    },
    say,
  });
  return {
    ...kept,
    onLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
