/**
 * A whole cluster on real workerd through miniflare: router and replicas, SQLite on disk. Reached over HTTP on a
 * loopback port, as any client would. It proves what runs in one process here; it does not prove the platform's
 * output gate across machines, nor its eviction.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";
import type { Asked } from "../../src/replica/rpc.ts";
import { bundleWorker } from "../support/bundle.ts";

const CLUSTER_ID = "test";

export interface ClusterOptions {
  readonly variables?: Readonly<Record<string, string>>;
  /** Where state is kept; a fresh directory, removed at the end, if absent. */
  readonly directory?: string;
}

export interface Reply<Body> {
  readonly status: number;
  /** Parsed; undefined where the answer has no body. */
  readonly body: Body;
  readonly text: string;
  readonly headers: Headers;
}

export interface Cluster {
  readonly url: string;
  readonly directory: string;
  /** The configured replicas, `coordinator-1` and on. */
  readonly names: readonly string[];
  /** Every line that the Worker logged, oldest first. */
  readonly logs: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A JSON answer. */
  json<Body = Record<string, unknown>>(path: string, init?: RequestInit): Promise<Reply<Body>>;
  /** A body that is a string is sent as it stands. */
  post<Body = Record<string, unknown>>(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<Reply<Body>>;
  fault(replica: string, action: string): Promise<void>;
  /** Asks one replica past the router, as a router or a peer would. No client can. */
  call(replica: string, path: string, body: unknown): Promise<Record<string, unknown>>;
  /** Ends every process, does what is to be done meanwhile, and starts again on the same storage. */
  restart(whileDown?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

async function reply<Body>(response: {
  readonly status: number;
  readonly headers: unknown;
  text(): Promise<string>;
}): Promise<Reply<Body>> {
  const text = await response.text();
  const body = (text === "" ? undefined : JSON.parse(text)) as Body;
  return { status: response.status, body, text, headers: response.headers as Headers };
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { code, wasm } = await bundleWorker();
  const compiled = Object.entries(wasm).map(
    ([name, contents]) => [name, { type: "wasm", contents }] as const,
  );
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "troika-test-")));
  const logs: string[] = [];
  const variables: Readonly<Record<string, string>> = {
    CLUSTER_ID,
    REPLICAS: "3",
    FAULTS: "on",
    ...options.variables,
  };
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
              modules: { "worker.js": { type: "esm", contents: code }, ...Object.fromEntries(compiled) },
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
    directory,
    names: Array.from({ length: Number(variables.REPLICAS) }, (_, index) => `coordinator-${index + 1}`),
    logs,
    fetch: (path, init) => fetch(new URL(path, url), init),
    json: async (path, init) => reply(await cluster.fetch(path, init)),
    post: (path, body, headers = {}) =>
      cluster.json(path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
    fault: async (replica, action) => {
      const { status, text } = await cluster.post(`/api/v1/faults/${replica}`, { action });
      if (status !== 200) throw new Error(`fault ${action} on ${replica}: ${status} ${text}`);
    },
    call: async (replica, path, body) => {
      const namespace = await miniflare.getDurableObjectNamespace("REPLICA");
      const stub = namespace.get(namespace.idFromName(`${variables.CLUSTER_ID}/${replica}`));
      const { ask } = stub as unknown as Asked;
      const text = await ask.call(stub, path, JSON.stringify(body));
      if (text === undefined) throw new Error(`${replica} does not hear its peers`);
      return JSON.parse(text);
    },
    restart: async (whileDown) => {
      await miniflare.dispose();
      await whileDown?.();
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

export function ready(cluster: Cluster, timeoutMs = 15_000): Promise<boolean> {
  return eventually(
    "the cluster is ready",
    async () => (await cluster.fetch("/readyz")).status === 200,
    timeoutMs,
  );
}

/** Every replica answers, knows the leader and has nothing to complain about. */
export function allHealthy(cluster: Cluster): Promise<boolean> {
  return eventually("every replica is healthy", async () => {
    const healths = await Promise.all(cluster.names.map((name) => cluster.json(`/replicas/${name}/health`)));
    return healths.every(({ body }) => body.status === "healthy");
  });
}

/** Every replica has applied whatever any of them holds. For when nobody writes. */
export function settled(cluster: Cluster): Promise<boolean> {
  return eventually("every replica has applied everything", async () => {
    const statuses = await Promise.all(cluster.names.map((name) => cluster.json(`/replicas/${name}/status`)));
    const last = Math.max(...statuses.map(({ body }) => Number(body.last_log_index)));
    return statuses.every(({ body }) => body.commit_index === last && body.applied_index === last);
  });
}

/** The one leader that a majority of the replicas names. */
export function leaderOf(cluster: Cluster): Promise<string> {
  return eventually("one leader that a majority names", async () => {
    const votes = new Map<string, number>();
    for (const name of cluster.names) {
      const { status, body } = await cluster.json<{ raft?: { leader_id?: string } }>(
        `/replicas/${name}/health`,
      );
      const leader = status === 200 ? body.raft?.leader_id : undefined;
      if (leader) votes.set(leader, (votes.get(leader) ?? 0) + 1);
    }
    return [...votes].find(([, count]) => count > cluster.names.length / 2)?.[0];
  });
}

export async function followersOf(cluster: Cluster): Promise<readonly string[]> {
  const leader = await leaderOf(cluster);
  return cluster.names.filter((name) => name !== leader);
}

export function event(kind: string, body: object): { readonly event: object } {
  return { event: { Critical: { [kind]: body } } };
}

/**
 * Writes as the contract tells clients to: repeated under one key until it is acknowledged, for as long as the answer
 * says that a repeat is safe.
 */
export async function acknowledged<Body = Record<string, unknown>>(
  cluster: Cluster,
  path: string,
  body: object,
  key: string,
): Promise<Body> {
  for (const deadline = Date.now() + 20_000; ; ) {
    const reply = await cluster.post<Body>(path, body, { "idempotency-key": key });
    if (reply.status < 300) return reply.body;
    if (reply.status < 503 || Date.now() > deadline) throw new Error(`${key}: ${reply.status} ${reply.text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
