/** The client's methods over a channel: paths, queries, and which calls may be repeated. */

import { WAIT_S_MAX } from "../api/fields.ts";
import { endedStatuses, type TaskAnswer } from "../api/tasks.ts";
import { type Call, createChannel } from "./channel.ts";
import type { CallOptions, Client, ClientOptions, ReadOptions, WriteOptions } from "./client.ts";
import { followEvents } from "./event-stream.ts";
import { WorkHints } from "./hints.ts";
import { operationCalls } from "./operations.ts";
import { at, json, query } from "./paths.ts";

const WAIT_TIMEOUT_MS = 60_000;
/** A removal lets the member finish first. */
const REMOVAL_MS = 40_000;

/** Health answers 503 when it is `unhealthy`; a stopped replica's 503 is a problem. */
function isHealth(response: Response): boolean {
  return response.status === 503 && response.headers.get("content-type")?.includes("problem") !== true;
}

export function createClient(options: ClientOptions): Client {
  const channel = createChannel(options);

  async function get<Body>(path: string, options: CallOptions = {}, more: Partial<Call> = {}): Promise<Body> {
    const { signal, retry_for_ms } = options;
    return json(await channel({ method: "GET", path, signal, retry_for_ms, ...more }));
  }

  function post(path: string, body: unknown, options: CallOptions = {}, more: Partial<Call> = {}) {
    const { signal, retry_for_ms } = options;
    return channel({ method: "POST", path, body, signal, retry_for_ms, ...more });
  }

  /** A creating POST, which only its key makes safe to repeat. */
  async function create<Body>(path: string, body: unknown, options: WriteOptions = {}): Promise<Body> {
    const key = options.idempotency_key ?? crypto.randomUUID();
    return json(await post(path, body, options, { headers: { "idempotency-key": key } }));
  }

  function getTask(
    task_id: string,
    options: ReadOptions & { readonly wait?: number } = {},
  ): Promise<TaskAnswer> {
    const { wait, consistency } = options;
    const path = at`/api/v1/tasks/${task_id}` + query({ wait, consistency });
    return get(path, options, { wait_ms: (wait ?? 0) * 1_000 });
  }

  function replicaPath(replica: string | undefined, path: string): string {
    return replica === undefined ? path : at`/replicas/${replica}` + path;
  }

  return {
    tasks: {
      submitMerkle: (task, options) => create("/api/v1/tasks/merkle", task, options),
      submit: (circuit, body, options) => create(at`/api/v1/tasks/${circuit}`, body, options),
      get: getTask,
      list: ({ signal, retry_for_ms, ...filter } = {}) =>
        get(`/api/v1/tasks${query(filter)}`, {
          ...(signal === undefined ? {} : { signal }),
          ...(retry_for_ms === undefined ? {} : { retry_for_ms }),
        }),
      attempts: (task_id, options = {}) =>
        get(at`/api/v1/tasks/${task_id}/attempts` + query({ consistency: options.consistency }), options),
      proof: (task_id, options = {}) =>
        get(
          at`/api/v1/tasks/${task_id}/proof` +
            query({ consistency: options.consistency, file: options.file }),
          options,
        ),
      batch: (items, options) => create("/api/v1/tasks/batch", { items }, options),
      bulk: async (request, options) => json(await post("/api/v1/tasks/bulk", request, options)),
      cancel: async (task_id, options) =>
        json(await post(at`/api/v1/tasks/${task_id}/cancel`, undefined, options)),
      retry: async (task_id, options) =>
        json(await post(at`/api/v1/tasks/${task_id}/retry`, undefined, options)),
      async wait(task_id, options = {}) {
        const deadline = Date.now() + (options.timeout_ms ?? WAIT_TIMEOUT_MS);
        for (;;) {
          const left_s = Math.max(0, (deadline - Date.now()) / 1_000);
          const wait = Math.min(WAIT_S_MAX, Math.ceil(left_s * 10) / 10);
          const task = await getTask(task_id, { ...options, wait });
          if (endedStatuses.has(task.status) || Date.now() >= deadline) return task;
        }
      },
    },
    workers: {
      register: async (worker, options) => json(await post("/api/v1/workers", worker, options)),
      async pull(worker_id, pull, options) {
        const wait_ms = (pull.wait ?? 0) * 1_000;
        const response = await post(at`/api/v1/workers/${worker_id}/pull`, pull, options, { wait_ms });
        if (response.status === 204) return [];
        return (await json<{ readonly leases: [] }>(response)).leases;
      },
      hints: (worker_id, boot_id, signal) => new WorkHints(options, { worker_id, boot_id }, signal),
      heartbeat: async (worker_id, beat, options) =>
        json(await post(at`/api/v1/workers/${worker_id}/heartbeat`, beat, options)),
      complete: async (lease_id, completion, options) =>
        json(await post(at`/api/v1/leases/${lease_id}/complete`, completion, options)),
      fail: async (lease_id, failure, options) =>
        json(await post(at`/api/v1/leases/${lease_id}/fail`, failure, options)),
      release: async (lease_id, release, options) =>
        json(await post(at`/api/v1/leases/${lease_id}/release`, release, options)),
      async drain(worker_id, options) {
        await json(await post(at`/api/v1/workers/${worker_id}/drain`, {}, options));
      },
      async remove(worker_id, { signal, retry_for_ms } = {}) {
        const path = at`/api/v1/workers/${worker_id}`;
        await channel({ method: "DELETE", path, signal, retry_for_ms });
      },
      get: (worker_id, options = {}) =>
        get(at`/api/v1/workers/${worker_id}` + query({ consistency: options.consistency }), options),
      list: ({ consistency, limit, cursor, ...options } = {}) =>
        get(`/api/v1/workers${query({ consistency, limit, cursor })}`, options),
    },
    events: {
      append: (event, options) => create("/events", { event }, options),
      list: ({ after, limit, include, wait, consistency, ...options } = {}) =>
        get(`/events${query({ after, limit, include, wait, consistency })}`, options, {
          wait_ms: (wait ?? 0) * 1_000,
        }),
      stream: (options) => followEvents(channel, options),
    },
    operations: operationCalls(channel, options),
    circuits: {
      list: (options) => get("/api/v1/circuits", options),
      get: (circuit, options) => get(at`/api/v1/circuits/${circuit}`, options),
      verify: async (check, options) => json(await post("/api/v1/proofs/verify", check, options)),
    },
    cluster: {
      get: (options) => get("/api/v1/cluster", options),
      add: async (member, options) => json(await post("/api/v1/cluster/members", member, options)),
      promote: async (node_id, options) =>
        json(await post(at`/api/v1/cluster/members/${node_id}/promote`, undefined, options)),
      async remove(node_id, { signal, retry_for_ms } = {}) {
        const path = at`/api/v1/cluster/members/${node_id}`;
        const wait_ms = REMOVAL_MS;
        return json(await channel({ method: "DELETE", path, wait_ms, signal, retry_for_ms }));
      },
      transferLeadership: async (to, options) =>
        json(await post("/api/v1/cluster/leader/transfer", to === undefined ? {} : { to }, options)),
    },
    service: (options) => get("/", options),
    health: (replica, options) =>
      get(replicaPath(replica, "/health"), { retry_for_ms: 0, ...options }, { accept: isHealth }),
    status: (replica, options) => get(replicaPath(replica, "/status"), { retry_for_ms: 0, ...options }),
    async ready({ signal } = {}) {
      const response = await channel({
        method: "GET",
        path: "/readyz",
        accept: ({ status }) => status === 503,
        signal,
        retry_for_ms: 0,
      });
      await response.body?.cancel();
      return response.ok;
    },
    async metrics(replica, { signal, retry_for_ms = 0 } = {}) {
      const path = replicaPath(replica, "/metrics");
      return (await channel({ method: "GET", path, signal, retry_for_ms })).text();
    },
    async fault(replica, action, options) {
      await json(await post(at`/api/v1/faults/${replica}`, { action }, options));
    },
  };
}
