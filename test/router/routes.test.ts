/** The contract's conventions on a real cluster: real router, real replicas, real workerd. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, followersOf, leaderOf, ready, startCluster } from "../cluster/harness.ts";

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
      const {
        status: seen,
        body,
        headers,
      } = await cluster.json(path, { headers: { "x-request-id": "my-id-7" } });
      expect([path, seen, headers.get("x-request-id"), body.request_id]).toEqual([
        path,
        status,
        "my-id-7",
        "my-id-7",
      ]);
    }
  });

  it("has a request id of its own where none, or an unfit one, was given", async () => {
    for (const headers of [{}, { "x-request-id": "two words" }, { "x-request-id": "x".repeat(200) }]) {
      const answer = await cluster.json("/livez", { headers });
      expect(answer.headers.get("x-request-id")).toMatch(UUID);
      expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
    }
  });

  it("may be read by a page of another origin", async () => {
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
      ["POST", "/api/v1/tasks/batch"],
      ["POST", "/api/v1/tasks/nonsense"],
      ["GET", "/openapi.json"],
      ["GET", "/api/v1/cluster"],
      ["PUT", "/api/v1/operations/a"],
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
      ] as const) {
        const { status, body } = await cluster.json(path, send(text));
        expect([send.name, path, status, body.code]).toEqual([send.name, path, 413, "too-large"]);
      }
    }
  });
});

describe("a merkle task", () => {
  it("is accepted with 202 and the address where it can be watched", async () => {
    const { status, body, headers } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    expect(status).toBe(202);
    expect(Object.keys(body)).toEqual(["success", "task_id", "status", "message", "request_id"]);
    expect(body).toMatchObject({ success: true, status: "pending" });
    expect(body.task_id).toMatch(UUID);
    expect(headers.get("location")).toBe(`/api/v1/tasks/${body.task_id}`);
    expect(headers.has("x-cache")).toBe(false);
  });

  it("submitted again, in any spelling of the same content, is the same task", async () => {
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0xABCDE", "1"] });
    for (const again of [
      { leaves: ["0x0abcde", "0x01"], leaf_index: 0 },
      { leaf_index: 0, leaves: ["ABCDE", "01"], priority: 5 },
    ]) {
      const { status, body, headers } = await cluster.post("/api/v1/tasks/merkle", again);
      expect([status, body.status, headers.get("x-cache")]).toEqual([200, "cached", "HIT"]);
      expect(body.task_id).toBe(first.body.task_id);
    }
    const { status, body } = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0x0abcde", "0x0001"] });
    expect(status).toBe(202);
    expect(body.task_id).not.toBe(first.body.task_id);
  });

  it.each([
    [{}, "leaves"],
    [{ leaves: [] }, "leaves"],
    [{ leaves: "0x01" }, "leaves"],
    [{ leaves: Array.from({ length: 1001 }, () => "01") }, "leaves has 1001 leaves"],
    [{ leaves: ["01", ""] }, "leaves[1]"],
    [{ leaves: ["01", 5] }, "leaves[1]"],
    [{ leaves: ["0xzz"] }, "leaves[0]"],
    [{ leaves: [`0x${"0".repeat(65)}`] }, "leaves[0]"],
    [{ leaves: ["0x123..."] }, "dots stand for digits"],
    [{ leaves: ["01"], leaf_index: 1 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: -1 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: 0.5 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: "0" }, "leaf_index"],
    [{ leaves: ["01"], priority: 200 }, "priority"],
    [{ leaves: ["01"], max_attempts: 0 }, "max_attempts"],
  ])("that is invalid is 400, naming the field (%#: $1)", async (body, name) => {
    const answer = await cluster.post("/api/v1/tasks/merkle", body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(name);
    expect(answer.body.errors).not.toHaveLength(0);
  });

  it("can be read at every replica as soon as it was accepted", async () => {
    const { body: task } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const { status, body, headers } = await cluster.json(`${prefix}/api/v1/tasks/${task.task_id}`);
      expect([prefix, status, body.status]).toEqual([prefix, 200, "pending"]);
      expect(Number(headers.get("x-raft-applied-index"))).toBeGreaterThan(0);
    }
  });

  it("is 400 by an id that is none, 404 by one that nobody has", async () => {
    expect((await cluster.json("/api/v1/tasks/17")).status).toBe(400);
    const { status, body } = await cluster.json(`/api/v1/tasks/${crypto.randomUUID()}`);
    expect([status, body.error]).toEqual([404, "Task not found"]);
  });

  it("is accepted once under one idempotency key", async () => {
    const leaves = fresh();
    const key = { "idempotency-key": "task-key-1" };
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves }, key);
    const again = await cluster.post("/api/v1/tasks/merkle", { leaves }, key);
    expect([again.status, again.body.task_id, again.headers.get("idempotency-replayed")]).toEqual([
      202,
      first.body.task_id,
      "true",
    ]);
    const other = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() }, key);
    expect([other.status, other.body.code]).toEqual([422, "idempotency-key-reused"]);
  });

  it("waits no longer than asked for", async () => {
    const { body: task } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    for (const [query, headers] of [
      ["?wait=0.3", {}],
      ["", { prefer: "respond-async, wait=1" }],
    ] as const) {
      const begun = Date.now();
      const { body } = await cluster.json(`/api/v1/tasks/${task.task_id}${query}`, { headers });
      expect(body.status).toBe("pending");
      expect(Date.now() - begun).toBeGreaterThanOrEqual(290);
      expect(Date.now() - begun).toBeLessThan(4_000);
    }
  });

  it("comes in pages, newest first, each once", async () => {
    for (let i = 0; i < 3; i++) await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    const seen: string[] = [];
    let cursor = "";
    do {
      const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await cluster.json<{
        items: { task_id: string; created_at: string }[];
        next_cursor?: string;
      }>(`/api/v1/tasks?limit=2&status=pending${query}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ task_id, created_at }) => `${created_at} ${task_id}`));
      cursor = body.next_cursor ?? "";
    } while (cursor !== "");
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(new Set(seen).size).toBe(seen.length);
    const times = seen.map((line) => line.split(" ")[0] ?? "");
    expect(times).toEqual(times.toSorted().toReversed());
  });
});

describe("an event", () => {
  const event = { Critical: { ScoreUpdate: { player_id: "p", score: 3, timestamp: 1 } } };

  it("is committed at the index that the answer names, and survives with every number as written", async () => {
    const text =
      '{"Critical":{"Ledger":{"big":12345678901234567890,"exact":1.10,"deep":[[1e400]],"__proto__":{"a":1}}}}';
    const { status, body } = await cluster.post("/events", `{ "event": ${text} }`);
    expect(status).toBe(200);
    expect(body.message).toBe(`Event committed at log index ${body.log_index}`);
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const list = await (await cluster.fetch(`${prefix}/events?after=${Number(body.seq) - 1}`)).text();
      expect(list).toBe(`{"events":[${text}],"count":1}`);
    }
  });

  it("is a second event when repeated without a key, and the first answer again with one", async () => {
    const plain = [await cluster.post("/events", { event }), await cluster.post("/events", { event })];
    expect(plain[1]?.body.seq).toBe(Number(plain[0]?.body.seq) + 1);
    const keyed = [];
    for (let i = 0; i < 2; i++)
      keyed.push(await cluster.post("/events", { event }, { "idempotency-key": "event-key-1" }));
    expect(keyed[1]?.body.log_index).toBe(keyed[0]?.body.log_index);
    expect(keyed.map(({ headers }) => headers.get("idempotency-replayed"))).toEqual([null, "true"]);
  });

  it("that is refused says so in the fields that older clients read", async () => {
    for (const [body, status] of [
      [{ event: { Critical: { PlayerJoin: {} } } }, 400],
      [{ event: { Ephemeral: { PlayerMove: { player_id: 1, x: 0, y: 0, z: 0, timestamp: 0 } } } }, 503],
      ["nonsense", 400],
    ] as const) {
      const answer = await cluster.post("/events", body);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ success: false, message: answer.body.detail, log_index: null });
    }
  });

  it("nested deeper than can be written down is 400", async () => {
    const deep = `{"event":{"Critical":{"Deep":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}}}`;
    expect((await cluster.post("/events", deep)).status).toBe(400);
  });
});

describe("circuits", () => {
  it("are published with schema, verifying key, its hash and how it was made", async () => {
    const { body } = await cluster.json<{ items: { name: string }[] }>("/api/v1/circuits");
    expect(body.items.map(({ name }) => name)).toContain("merkle");
    const { body: merkle } = await cluster.json("/api/v1/circuits/merkle");
    expect(merkle).toMatchObject({ name: "merkle", circuit_type: "merkle_proof", setup: "dev-single-party" });
    expect(merkle.vk_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(merkle.verifying_key).toMatchObject({ protocol: "groth16", curve: "bn128" });
    expect((await cluster.json("/api/v1/circuits/nope")).status).toBe(404);
  });

  it("check a proof without any task", async () => {
    const { status, body } = await cluster.post("/api/v1/proofs/verify", {
      circuit: "merkle",
      proof: { pi_a: ["1", "2", "1"] },
      public_inputs: ["1", "2", "3"],
    });
    expect([status, body.valid]).toEqual([200, false]);
    expect(body.reason).toEqual(expect.any(String));
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
