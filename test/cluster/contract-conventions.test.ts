/**
 * The Conventions of the HTTP contract on real workerd: what holds for every route. Who may call what is in
 * authentication.test.ts, what a group without a quorum answers in no-quorum.test.ts, what cannot be sent from outside in
 * sealed.test.ts, too many requests in test/router/rate-limit.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import { type Cluster, event, ready, startCluster } from "./harness.ts";
import { expectProblem } from "./problems.ts";
import { submitTask } from "./provers.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

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
  it.each([
    "/nothing",
    "/api/v1",
    "/api/v2/tasks",
    "/replicas",
    "/replicas/coordinator-1/nothing",
    "/replicas/coordinator-1/replicas/coordinator-2/health",
  ])("%s is 404 in the shape of every error", async (path) => {
    const reply = await cluster.json<ProblemBody>(path);
    expectProblem(reply, 404, "not-found");
    expect(reply.body.instance).toBe(path);
  });

  it("what does not exist at a path that does is 404 by a code of its own", async () => {
    const nobody = "00000000-0000-4000-8000-000000000000";
    expectProblem(await cluster.json("/replicas/coordinator-9/health"), 404, "replica-unknown");
    const missing = await cluster.json<ProblemBody>(`/api/v1/tasks/${nobody}`);
    expectProblem(missing, 404, "task-not-found");
    expect(missing.body.error).toBe("Task not found");
    expectProblem(await cluster.post("/api/v1/tasks/sudoku", {}), 404, "circuit-unknown");
    expectProblem(await cluster.json("/api/v1/workers/nobody"), 404, "worker-unknown");
    expectProblem(await cluster.json("/api/v1/operations/nothing"), 404, "operation-not-found");
    const release = await cluster.post<ProblemBody>("/api/v1/leases/a.1/release", { worker_id: "w" });
    expectProblem(release, 404, "lease-unknown");
  });

  it.each([
    ["/api/v1/tasks/42", "/task_id"],
    ["/api/v1/tasks/%00", "/task_id"],
    ["/api/v1/workers/no%20body", "/worker_id"],
    ["/api/v1/operations/-x", "/operation_id"],
  ])("GET %s, whose id cannot be one, is 400 and names it", async (path, pointer) => {
    const reply = await cluster.json<ProblemBody>(path);
    expectProblem(reply, 400, "invalid-request");
    expect(reply.body.detail).toMatch(new RegExp(`^${pointer.slice(1)} must be `));
    expect(reply.body.errors).toEqual([{ pointer, detail: reply.body.detail }]);
  });

  it("a path that is no percent-encoding is 400", async () => {
    expectProblem(await cluster.json("/api/v1/tasks/%ff"), 400, "invalid-request");
  });

  it.each([
    ["DELETE", "/api/v1/tasks", ["GET", "HEAD"]],
    ["PUT", "/api/v1/tasks/merkle", ["GET", "HEAD", "POST"]],
    ["GET", "/api/v1/leases/a/complete", ["POST"]],
    ["POST", "/health", ["GET", "HEAD"]],
    ["DELETE", "/replicas/coordinator-2/events", ["GET", "HEAD", "POST"]],
  ])("%s %s is 405 and says in Allow what there is", async (method, path, allowed) => {
    const reply = await cluster.json<ProblemBody>(path, { method });
    expectProblem(reply, 405, "method-not-allowed");
    expect(reply.headers.get("allow")?.split(", ").sort()).toEqual(allowed);
  });

  it("answers HEAD as GET without its body", async () => {
    const head = await cluster.fetch("/health", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});

describe("every read", () => {
  const PATHS = [
    "/events",
    "/api/v1/tasks",
    "/api/v1/tasks/TASK",
    "/api/v1/tasks/TASK/attempts",
    "/api/v1/workers",
    "/api/v1/workers/reader",
    "/api/v1/operations",
    "/api/v1/operations/read",
    "/api/v1/operations/export",
    "/api/v1/cluster/export",
  ];

  it("is answered by any replica from what it holds, and says up to which entry that is", async () => {
    const task_id = await submitTask(cluster);
    const worker = { worker_id: "reader", boot_id: "b", max_concurrent_tasks: 1, circuits: [] };
    expect((await cluster.post("/api/v1/workers", worker)).status).toBe(201);
    const operation = { method: "PUT", body: JSON.stringify({ type: "note", payload: 1 }) };
    const { body } = await cluster.json("/api/v1/operations/read", operation);
    for (const path of PATHS.map((each) => each.replace("TASK", task_id))) {
      for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
        for (const query of ["", "?consistency=linearizable", "?consistency=stale"]) {
          const response = await cluster.fetch(`${prefix}${path}${query}`);
          await response.text();
          const index = Number(response.headers.get("x-raft-applied-index"));
          expect([prefix, path, query, response.status]).toEqual([prefix, path, query, 200]);
          // What a replica holds may be old; what was acknowledged is in every other answer.
          if (query.endsWith("stale")) expect(index).toBeGreaterThan(0);
          else expect(index).toBeGreaterThanOrEqual(Number(body.log_index));
        }
      }
    }
  });

  it("is 400 by a consistency that there is none of", async () => {
    for (const path of PATHS.map((each) => each.replace("TASK", crypto.randomUUID()))) {
      const reply = await cluster.json<ProblemBody>(`${path}?consistency=eventual`);
      expect([path, reply.status, reply.body.detail]).toEqual([
        path,
        400,
        "consistency must be linearizable or stale",
      ]);
    }
  });
});

describe("a long poll and a list", () => {
  it.each([
    "/api/v1/tasks/00000000-0000-4000-8000-000000000000?wait=26",
    "/api/v1/tasks/00000000-0000-4000-8000-000000000000?wait=-1",
    "/events?after=0&wait=soon",
    "/api/v1/tasks?limit=0",
    "/api/v1/tasks?limit=501",
    "/api/v1/tasks?cursor=zzz",
    "/api/v1/tasks?cursor=-5",
    "/api/v1/tasks?cursor=1e3",
    "/api/v1/workers?limit=many",
    "/api/v1/workers?cursor=",
    "/api/v1/operations?limit=501",
    "/events?limit=0",
  ])("GET %s is 400 and names the parameter", async (path) => {
    const reply = await cluster.json<ProblemBody>(path);
    expectProblem(reply, 400, "invalid-request");
    const name = /(wait|limit|cursor)=/.exec(path)?.[1];
    expect(reply.body.errors).toEqual([
      { pointer: `/${name}`, detail: expect.stringMatching(`^${name} must be `) },
    ]);
  });

  it("lasts no longer than asked for, in the address or with Prefer", async () => {
    const task_id = await submitTask(cluster);
    for (const [query, headers] of [
      ["?wait=0.3", {}],
      ["", { prefer: "respond-async, wait=1" }],
    ] as const) {
      const begun = Date.now();
      const { body } = await cluster.json(`/api/v1/tasks/${task_id}${query}`, { headers });
      expect(body.status).toBe("pending");
      expect(Date.now() - begun).toBeGreaterThanOrEqual(290);
      expect(Date.now() - begun).toBeLessThan(4_000);
    }
  });
});

describe("a body", () => {
  it("is read as JSON whatever its content type says", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "nonsense"]) {
      const { status } = await cluster.post(
        "/api/v1/tasks/merkle",
        { leaves: [Buffer.from(type).toString("hex").slice(0, 64)] },
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
        ["/events", JSON.stringify(event("Big", { s: "x".repeat(1_048_576) }))],
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

describe("GET /openapi.json and GET /docs", () => {
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

describe("POST /api/v1/faults/{replica}", () => {
  it("can only be made by an action that exists, on a replica that exists", async () => {
    const unknown = await cluster.post("/api/v1/faults/coordinator-1", { action: "explode" });
    expect([unknown.status, unknown.body.error]).toEqual([
      400,
      "action must be one of stop, start, isolate, heal, reset, degrade",
    ]);
    expect((await cluster.post("/api/v1/faults/coordinator-9", { action: "stop" })).status).toBe(404);
  });
});
