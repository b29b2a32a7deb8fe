/**
 * A whole cluster on real workerd through miniflare: router and replicas, SQLite on disk. Reached over HTTP on a
 * loopback port, as any client would. It proves what runs in one process here; it does not prove the platform's
 * output gate across machines, nor its eviction.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";
import { bundleWorker } from "../support/bundle.ts";

export interface ClusterOptions {
  readonly variables?: Readonly<Record<string, string>>;
  /** Where state is kept; a fresh directory, removed at the end, if absent. */
  readonly directory?: string;
}

export interface Cluster {
  readonly url: string;
  /** Every line that the Worker logged, oldest first. */
  readonly logs: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Body and status of a JSON answer. */
  json<Body = Record<string, unknown>>(
    path: string,
    init?: RequestInit,
  ): Promise<{ status: number; body: Body; headers: Headers }>;
  post<Body = Record<string, unknown>>(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Body; headers: Headers }>;
  fault(replica: string, action: string, more?: Record<string, number>): Promise<void>;
  /** Ends every process and starts again on the same storage. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "troika-test-")));
  const logs: string[] = [];
  const contents = await bundleWorker();
  const variables = { CLUSTER_ID: "test", REPLICAS: "3", FAULTS: "on", ...options.variables };
  const env = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, { type: "text" as const, value }]),
  );
  const boot = async (): Promise<Miniflare> => {
    const miniflare = new Miniflare({
      host: "127.0.0.1",
      port: 0,
      resourcePersistencePath: directory,
      log: new Log(LogLevel.NONE),
      logRequests: false,
      telemetry: { enabled: false },
      handleStructuredLogs: ({ message }) => logs.push(message),
      workers: [
        {
          config: {
            name: "troika",
            compatibilityDate: "2026-11-01",
            manifest: {
              mainModule: "worker.js",
              modulesRoot: "/",
              modules: { "worker.js": { type: "esm", contents } },
            },
            env: { ...env, REPLICA: { type: "durable-object", worker: "troika", exportName: "Replica" } },
            exports: { Replica: { type: "durable-object", storage: "sqlite" } },
          },
        },
      ],
    });
    await miniflare.ready;
    return miniflare;
  };
  let miniflare = await boot();
  let url = (await miniflare.ready).origin;

  const cluster: Cluster = {
    get url() {
      return url;
    },
    logs,
    fetch: (path, init) => fetch(new URL(path, url), init),
    json: async <Body>(path: string, init?: RequestInit) => {
      const response = await cluster.fetch(path, init);
      return { status: response.status, body: (await response.json()) as Body, headers: response.headers };
    },
    post: (path, body, headers = {}) =>
      cluster.json(path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
    fault: async (replica, action, more = {}) => {
      const { status, body } = await cluster.post(`/api/v1/faults/${replica}`, { action, ...more });
      if (status !== 200) throw new Error(`fault ${action} on ${replica}: ${status} ${JSON.stringify(body)}`);
    },
    restart: async () => {
      await miniflare.dispose();
      miniflare = await boot();
      url = (await miniflare.ready).origin;
    },
    stop: async () => {
      await miniflare.dispose();
      if (!options.directory) await rm(directory, { recursive: true, force: true });
    },
  };
  return cluster;
}

/** Polls until `condition` gives something; the error says what was waited for and what was seen last. */
export async function eventually<Result>(
  what: string,
  condition: () => Promise<Result | undefined | false>,
  timeoutMs = 10_000,
): Promise<Result> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const result = await condition();
      if (result) return result;
      last = result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (Date.now() < deadline);
  throw new Error(`not within ${timeoutMs} ms: ${what}; last seen: ${String(last)}`);
}

export const REPLICAS = ["coordinator-1", "coordinator-2", "coordinator-3"] as const;

export function ready(cluster: Cluster, timeoutMs = 15_000): Promise<boolean> {
  return eventually(
    "the cluster is ready",
    async () => (await cluster.fetch("/readyz")).status === 200,
    timeoutMs,
  );
}

/** The one leader that every running replica agrees on. */
export function leaderOf(cluster: Cluster): Promise<string> {
  return eventually("one leader that a majority names", async () => {
    const votes = new Map<string, number>();
    for (const name of REPLICAS) {
      const { status, body } = await cluster.json<{ raft?: { leader_id?: string; is_leader?: boolean } }>(
        `/replicas/${name}/health`,
      );
      const leader = status === 200 ? body.raft?.leader_id : undefined;
      if (leader) votes.set(leader, (votes.get(leader) ?? 0) + 1);
    }
    return [...votes].find(([, count]) => count >= 2)?.[0];
  });
}
