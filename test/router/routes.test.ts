/** The contract's conventions on a real cluster: real router, real replicas, real workerd. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, followersOf, leaderOf, ready, settled, startCluster } from "../cluster/harness.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

let content = 0;
/** Leaves that no other test has submitted. */
function fresh(): readonly string[] {
  content += 1;
  return [`0x${content.toString(16).padStart(64, "0")}`];
}

async function lastIndex(): Promise<number> {
  const { body } = await cluster.json<{ last_log_index: number }>("/status");
  return body.last_log_index;
}

describe("every answer", () => {
  it("echoes the request id, in the header and in the body, also for errors", async () => {
    for (const [path, status] of [
      ["/", 200],
      ["/nowhere", 404],
      ["/api/v1/tasks/x", 400],
      ["/readyz", 200],
    ] as const) {
      for (const given of ["my-id-7", '{"span": "two words"}']) {
        const {
          status: seen,
          body,
          headers,
        } = await cluster.json(path, { headers: { "x-request-id": given } });
        expect([path, seen, headers.get("x-request-id"), body.request_id]).toEqual([
          path,
          status,
          given,
          given,
        ]);
      }
    }
  });

  it("has a request id of its own where none, or an unfit one, was given", async () => {
    for (const headers of [{}, { "x-request-id": "\u00e9" }, { "x-request-id": "x".repeat(200) }]) {
      const answer = await cluster.json("/livez", { headers });
      expect(answer.headers.get("x-request-id")).toMatch(UUID);
      expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
    }
  });

  it("may be read by whoever says no origin", async () => {
    for (const path of ["/health", "/nowhere"]) {
      expect((await cluster.fetch(path)).headers.get("access-control-allow-origin")).toBe("*");
    }
    const preflight = await cluster.fetch("/api/v1/tasks/merkle", { method: "OPTIONS" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("idempotency-key");
  });

  it("is one log line without a body or a parameter in it", async () => {
    await cluster.json("/api/v1/tasks?limit=3", { headers: { "x-request-id": "logged-1" } });
    const line = cluster.logs.find(
      (each) => each.includes("request_id=logged-1") && each.includes("replica=router"),
    );
    expect(line).toMatch(
      /level=info replica=router request_id=logged-1 method=GET path=\/api\/v1\/tasks status=200 ms=\d+$/,
    );
  });
});

describe("a path or method that does not exist", () => {
  it("is 404 in the shape of every error", async () => {
    const { status, body, headers } = await cluster.json("/api/v2/tasks");
    expect(status).toBe(404);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body).toMatchObject({
      code: "not-found",
      success: false,
      instance: "/api/v2/tasks",
      retryable: false,
    });
    expect(body.error).toBe(body.detail);
  });

  it("is 405 with Allow where another method exists", async () => {
    for (const [method, path, allow] of [
      ["DELETE", "/api/v1/tasks", "GET, HEAD"],
      ["PUT", "/events", "POST, GET, HEAD"],
      ["GET", "/api/v1/workers/w/pull", "POST"],
    ] as const) {
      const { status, headers, body } = await cluster.json(path, { method });
      expect([status, headers.get("allow"), body.code]).toEqual([405, allow, "method-not-allowed"]);
    }
  });

  it("is 404 for what this version does not have", async () => {
    for (const [method, path] of [
      ["POST", "/api/v1/tasks/nonsense"],
      ["GET", "/replicas"],
      ["GET", "/replicas/coordinator-9/health"],
    ] as const) {
      expect([
        path,
        (await cluster.json(path, { method, ...(method === "GET" ? {} : { body: "{}" }) })).status,
      ]).toEqual([path, 404]);
    }
  });

  it("answers HEAD as GET without its body", async () => {
    const head = await cluster.fetch("/health", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});

describe("messages between replicas, and commands that were verified", () => {
  it("reach nobody through any public route", async () => {
    const before = await lastIndex();
    const { body: task } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    const command = {
      v: 1,
      id: crypto.randomUUID(),
      type: "complete-lease",
      lease_id: `${task.task_id}.1`,
      worker_id: "w",
      proof: {},
      proof_digest: "x",
    };
    const prefixes = [
      "",
      ...cluster.names.map((name) => `/replicas/${name}`),
      "/replicas/coordinator-1/replicas/coordinator-2",
    ];
    const paths = [
      "/propose",
      "/pull",
      "/heartbeat",
      "/read",
      "/observe",
      "/fault",
      "/peer",
      "/peer/hello",
      "/peer/found",
      "/peer/read-index",
    ];
    for (const prefix of prefixes) {
      for (const path of paths) {
        for (const spelling of [path, `${path}/`, `${path}?x=/`, path.replace("p", "%70")]) {
          const { status } = await cluster.post(
            `${prefix}${spelling}`,
            { command, messages: [] },
            {
              "x-troika-replica": "coordinator-1",
            },
          );
          expect([prefix + spelling, status]).toEqual([prefix + spelling, 404]);
        }
      }
    }
    expect(await lastIndex()).toBe(before + 1);
    const { body } = await cluster.json(`/api/v1/tasks/${task.task_id}`);
    expect(body.status).toBe("pending");
  });
});

describe("a body", () => {
  it("is read as JSON whatever its content type says", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "nonsense"]) {
      const { status } = await cluster.post(
        "/api/v1/tasks/merkle",
        { leaves: fresh() },
        { "content-type": type },
      );
      expect(status).toBe(202);
    }
  });

  it.each([
    ["", "the body is empty; it must be a JSON object"],
    ["{leaves:[]}", "the body is not valid JSON"],
    ["[]", "the body must be an object"],
    ["null", "the body must be an object"],
    ['"x"', "the body must be an object"],
    ['{"leaves":["01"]}x', "the body is not valid JSON"],
  ])("that is %j is 400 with a sentence", async (body, sentence) => {
    const answer = await cluster.post("/api/v1/tasks/merkle", body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(sentence);
    expect(answer.body.success).toBe(false);
  });

  it("of bytes that are no UTF-8 is 400", async () => {
    const { status } = await cluster.json("/events", {
      method: "POST",
      body: new Uint8Array([0x7b, 0xff, 0x7d]),
    });
    expect(status).toBe(400);
  });

  it("above the limit is 413, whether it says its length or not", async () => {
    const big = JSON.stringify({ leaves: ["01"], padding: "x".repeat(1_100_000) });
    const huge = JSON.stringify({ worker_id: "w", proof: "x".repeat(5_300_000), public_inputs: [] });
    const small = JSON.stringify({ worker_id: "w", boot_id: "b", padding: "x".repeat(300_000) });
    const whole = (text: string): RequestInit => ({
      method: "POST",
      body: text,
      headers: { "content-type": "text/plain" },
    });
    const chunked = (text: string): RequestInit =>
      ({ method: "POST", body: new Blob([text]).stream(), duplex: "half" }) as RequestInit;
    for (const send of [whole, chunked]) {
      for (const [path, text] of [
        ["/api/v1/tasks/merkle", big],
        ["/events", big],
        ["/api/v1/leases/x.1/complete", huge],
        ["/api/v1/leases/x.1/fail", small],
        ["/api/v1/leases/x.1/release", small],
        ["/api/v1/workers", small],
        ["/api/v1/workers/w/pull", small],
        ["/api/v1/workers/w/heartbeat", small],
      ] as const) {
        const { status, body } = await cluster.json(path, send(text));
        expect([send.name, path, status, body.code]).toEqual([send.name, path, 413, "too-large"]);
      }
    }
  });
});

describe("health, status and metrics", () => {
  it("agree about leader, address and workers at every replica, and the router's are the leader's", async () => {
    const leader = await leaderOf(cluster);
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const { status, body } = await cluster.json<Record<string, Record<string, unknown>>>(
        `${prefix}/health`,
      );
      expect(status).toBe(200);
      expect(Object.keys(body).slice(0, 6)).toEqual([
        "status",
        "coordinator_id",
        "raft",
        "workers",
        "capacity",
        "scheduler",
      ]);
      expect(body).toMatchObject({ status: "healthy", raft: { leader_id: leader } });
      if (prefix === "") expect(body.coordinator_id).toBe(leader);
    }
    expect((await cluster.json("/status")).body).toMatchObject({ node_id: leader, is_leader: true });
    const metrics = await (await cluster.fetch("/metrics")).text();
    expect(metrics).toMatch(/^coordinator_workers_total \d+$/m);
    expect(metrics).toMatch(/^http_requests_total\{method="GET",route="\/health",status="200"\} \d+$/m);
  });
});

describe("metrics", () => {
  it("have every name that the contract lists, at every replica", async () => {
    for (const name of cluster.names) {
      const text = await (await cluster.fetch(`/replicas/${name}/metrics`)).text();
      for (const metric of [
        "coordinator_workers_total",
        "coordinator_workers_active",
        "coordinator_workers_suspect",
        "coordinator_workers_dead",
        "coordinator_capacity_total",
        "coordinator_capacity_used",
        "coordinator_scheduler_assignments_failed",
        "coordinator_scheduler_poll_cycles",
        "cluster_healthy_nodes",
        "cluster_total_nodes",
      ]) {
        expect(text).toMatch(new RegExp(`^${metric} \\d+$`, "m"));
      }
      for (const metric of [
        "consensus_operations_replicated",
        "consensus_operations_committed",
        "consensus_operations_failed",
        "consensus_log_size",
        "consensus_partitions_detected",
        "consensus_is_leader",
        "consensus_current_term",
        "consensus_partition_state",
        "raft_term",
        "raft_commit_index",
        "raft_applied_index",
        "raft_elections_won_total",
        "raft_append_latency_seconds_count",
        "raft_commit_latency_seconds_count",
        "storage_rows_written_total",
        "storage_database_bytes",
      ]) {
        expect(text).toMatch(new RegExp(`^${metric}\\{node="${name}"\\} \\d+$`, "m"));
      }
      expect(text).toMatch(/^consensus_leader_id\{node="[^"]+",leader_id="coordinator-\d"\} 1$/m);
      expect(text.match(/^raft_state\{node="[^"]+",state="[a-z-]+"\} 1$/gm)).toHaveLength(1);
    }
  });

  it("count how long a commit took in buckets that only grow", async () => {
    await cluster.post("/events", { event: { Critical: { A: {} } } });
    const text = await (await cluster.fetch("/metrics")).text();
    const counts = Array.from(
      text.matchAll(/^raft_commit_latency_seconds_bucket\{node="[^"]+",le="([^"]+)"\} (\d+)$/gm),
      ([, le, count]) => [le, Number(count)] as const,
    );
    expect(counts.at(-1)?.[0]).toBe("+Inf");
    expect(counts.at(-1)?.[1]).toBeGreaterThan(0);
    expect(counts.map(([, count]) => count)).toEqual(
      counts.map(([, count]) => count).toSorted((a, b) => a - b),
    );
  });

  it("count commands that were refused, the same at every replica", async () => {
    const failed = async (name: string) => {
      const text = await (await cluster.fetch(`/replicas/${name}/metrics`)).text();
      return Number(/^consensus_operations_failed\{.*\} (\d+)$/m.exec(text)?.[1]);
    };
    const leader = await leaderOf(cluster);
    const before = await failed(leader);
    expect((await cluster.post("/api/v1/workers/nobody/drain", {})).status).toBe(404);
    await settled(cluster);
    for (const name of cluster.names) expect([name, await failed(name)]).toEqual([name, before + 1]);
  });
});

describe("the description of the contract", () => {
  it("is served, and not sent again to whoever has it", async () => {
    const first = await cluster.fetch("/openapi.json");
    expect([first.status, first.headers.get("content-type")]).toEqual([200, "application/json"]);
    const { openapi, paths } = (await first.json()) as { openapi: string; paths: Record<string, unknown> };
    expect([openapi, Object.keys(paths).includes("/api/v1/tasks/{circuit}")]).toEqual(["3.1.0", true]);
    const etag = first.headers.get("etag") ?? "";
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await cluster.fetch("/openapi.json", { headers: { "if-none-match": known } });
      expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, etag, ""]);
    }
    const stale = await cluster.fetch("/openapi.json", { headers: { "if-none-match": '"other"' } });
    expect(stale.status).toBe(200);
  });

  it("has a page that asks no other host for anything", async () => {
    for (const prefix of ["", "/replicas/coordinator-2"]) {
      const page = await cluster.fetch(`${prefix}/docs`);
      expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
      const html = await page.text();
      const links = Array.from(html.matchAll(/(?:src|spec-url)="([^"]+)"/g), ([, link = ""]) => link);
      expect(links).toHaveLength(2);
      for (const link of links) {
        const url = new URL(link, `${cluster.url}${prefix}/docs`);
        const { status, headers } = await cluster.fetch(url.pathname);
        expect([url.origin, status]).toEqual([cluster.url, 200]);
        expect(headers.get("content-type")).toMatch(/^(text\/javascript|application\/json)/);
      }
    }
    const script = await (await cluster.fetch("/docs/viewer.js")).text();
    expect(script).toContain("openapi-explorer");
  });
});

describe("a stopped replica", () => {
  it("answers 503 on every route of its own, while the cluster goes on", async () => {
    const [other = ""] = await followersOf(cluster);
    await cluster.fault(other, "stop");
    try {
      for (const [method, path] of [
        ["GET", "/"],
        ["GET", "/livez"],
        ["GET", "/readyz"],
        ["GET", "/health"],
        ["GET", "/status"],
        ["GET", "/metrics"],
        ["GET", "/events"],
        ["GET", "/events?consistency=stale"],
        ["GET", "/api/v1/tasks"],
        ["GET", "/api/v1/tasks/17"],
        ["GET", "/api/v1/circuits"],
        ["POST", "/events"],
        ["POST", "/api/v1/tasks/merkle"],
        ["POST", "/api/v1/workers/w/pull"],
      ] as const) {
        const init =
          method === "GET"
            ? {}
            : {
                method,
                body: JSON.stringify({ event: { Critical: { A: {} } }, leaves: fresh(), boot_id: "b" }),
              };
        const { status, body } = await cluster.json(`/replicas/${other}${path}`, init);
        expect([path, status, body.code, "raft" in body]).toEqual([path, 503, "replica-stopped", false]);
      }
      expect((await cluster.post("/events", { event: { Critical: { A: {} } } })).status).toBe(200);
      expect((await cluster.json("/readyz")).status).toBe(200);
    } finally {
      await cluster.post(`/replicas/${other}/api/v1/faults/${other}`, { action: "start" });
    }
    expect((await cluster.json(`/replicas/${other}/livez`)).status).toBe(200);
  });

  it("can only be made by an action that exists, on a replica that exists", async () => {
    const unknown = await cluster.post("/api/v1/faults/coordinator-1", { action: "explode" });
    expect([unknown.status, unknown.body.error]).toEqual([
      400,
      "action must be one of stop, start, isolate, heal, reset, degrade",
    ]);
    expect((await cluster.post("/api/v1/faults/coordinator-9", { action: "stop" })).status).toBe(404);
  });
});
