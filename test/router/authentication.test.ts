/** Tokens, and what happens where none are configured: on a real Worker, since the host decides. */
import { createHash } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isLoopback } from "../../src/router/authentication.ts";
import { type Cluster, ready, startCluster } from "../cluster/harness.ts";

const OPEN = ["/", "/livez", "/readyz", "/health", "/replicas/coordinator-2/health"];
const CLOSED = [
  ["GET", "/status"],
  ["GET", "/metrics"],
  ["GET", "/events"],
  ["POST", "/events"],
  ["GET", "/api/v1/tasks"],
  ["POST", "/api/v1/tasks/merkle"],
  ["POST", "/api/v1/workers/w/pull"],
  ["POST", "/api/v1/leases/x.1/complete"],
  ["POST", "/api/v1/faults/coordinator-1"],
  ["GET", "/replicas/coordinator-2/api/v1/tasks"],
  ["POST", "/replicas/coordinator-2/events"],
] as const;

/** `fetch` does not let a client choose its Host. */
function askAs(
  host: string,
  url: string,
  method: string,
  path: string,
): Promise<{ status: number; code: unknown }> {
  return new Promise((resolve, reject) => {
    const call = request(new URL(path, url), { method, headers: { host } }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, code: (JSON.parse(text) as { code?: unknown }).code });
      });
    });
    call.on("error", reject);
    call.end();
  });
}

describe("with tokens", () => {
  const sha256 = (token: string): string => createHash("sha256").update(token).digest("hex");
  let cluster: Cluster;
  beforeAll(async () => {
    const tokens = [
      { name: "ci", role: "submitter", sha256: sha256("let-me-in") },
      { name: "ops", role: "operator", sha256: sha256("me-too").toUpperCase() },
    ];
    cluster = await startCluster({ variables: { TROIKA_TOKENS: JSON.stringify(tokens) } });
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  it("every route but root, liveness, readiness and health is 401 without one, and says how to ask", async () => {
    for (const [method, path] of CLOSED) {
      const { status, body, headers } = await cluster.json(path, { method });
      expect([path, status, body.code]).toEqual([path, 401, "unauthorized"]);
      expect(headers.get("www-authenticate")).toMatch(/^Bearer realm="troika"/);
    }
    for (const path of OPEN) expect([path, (await cluster.fetch(path)).status]).toEqual([path, 200]);
  });

  it("an unknown one, or one in another form, is 401", async () => {
    for (const authorization of [
      "Bearer nobody",
      "Bearer ",
      "Basic let-me-in",
      "let-me-in",
      `Bearer ${sha256("let-me-in")}`,
    ]) {
      const { status } = await cluster.json("/status", { headers: { authorization } });
      expect([authorization, status]).toEqual([authorization, 401]);
    }
  });

  it("a known one is let in", async () => {
    for (const authorization of ["Bearer let-me-in", "bearer me-too"]) {
      expect((await cluster.json("/status", { headers: { authorization } })).status).toBe(200);
    }
  });

  it("idempotency keys of different tokens are different keys", async () => {
    const event = { event: { Critical: { Shared: {} } } };
    const answers = [];
    for (const token of ["let-me-in", "me-too", "let-me-in"]) {
      const headers = { authorization: `Bearer ${token}`, "idempotency-key": "same" };
      answers.push((await cluster.post("/events", event, headers)).body.seq);
    }
    expect(answers).toEqual([1, 2, 1]);
  });

  it("any page may ask that has one", async () => {
    const headers = { origin: "https://example.com", authorization: "Bearer let-me-in" };
    const read = await cluster.json("/status", { headers });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    const write = await cluster.post("/events", { event: { Critical: { FromAPage: {} } } }, headers);
    expect(write.status).toBe(200);
  });

  it("none of them, and no header, is ever logged", () => {
    expect(cluster.logs.join("\n")).not.toMatch(/let-me-in|me-too|Bearer/);
  });
});

describe("without tokens", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  it("a loopback host is open", async () => {
    for (const host of ["localhost:8080", "127.0.0.1", "[::1]:8080"]) {
      expect([host, (await askAs(host, cluster.url, "GET", "/status")).status]).toEqual([host, 200]);
    }
  });

  const FOREIGN = [
    "https://example.com",
    "http://localhost.example.com",
    "http://10.0.0.1",
    "null",
    "file://",
  ];

  it("a page of another machine can neither write nor read an answer", async () => {
    const before = await cluster.json("/status");
    for (const origin of FOREIGN) {
      const event = JSON.stringify({ event: { Critical: { FromAPage: {} } } });
      for (const [method, path, body] of [
        ["POST", "/events", event],
        ["POST", "/api/v1/workers", "{}"],
        ["POST", "/api/v1/faults/coordinator-1", '{"action":"stop"}'],
        ["POST", "/replicas/coordinator-2/events", event],
        ["DELETE", "/api/v1/workers/w", undefined],
        ["POST", "/nowhere", "{}"],
      ] as const) {
        // As a browser sends it without asking first.
        const headers = { origin, "content-type": "text/plain" };
        const reply = await cluster.json(path, { method, headers, ...(body === undefined ? {} : { body }) });
        expect([origin, path, reply.status, reply.body.code]).toEqual([
          origin,
          path,
          403,
          "origin-not-allowed",
        ]);
        expect(reply.headers.has("access-control-allow-origin")).toBe(false);
      }
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        const { headers } = await cluster.fetch("/events", { method, headers: { origin } });
        expect([origin, method, headers.has("access-control-allow-origin")]).toEqual([origin, method, false]);
        expect(headers.has("access-control-allow-methods")).toBe(false);
      }
    }
    const after = await cluster.json("/status");
    expect(after.body.last_log_index).toBe(before.body.last_log_index);
  });

  it("a page of this machine may do both", async () => {
    for (const origin of [
      "http://localhost:3000",
      "http://127.0.0.1:8080",
      "http://[::1]",
      "https://a.localhost",
    ]) {
      const reply = await cluster.post("/events", { event: { Critical: { FromAPage: {} } } }, { origin });
      expect([origin, reply.status]).toEqual([origin, 200]);
      expect(reply.headers.get("access-control-allow-origin")).toBe(origin);
      expect(reply.headers.get("vary")).toBe("origin");
      const preflight = await cluster.fetch("/events", { method: "OPTIONS", headers: { origin } });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
      expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    }
  });

  it("any other host is 503 not-configured, save the open routes", async () => {
    for (const [method, path] of CLOSED) {
      const answer = await askAs("troika.example.com", cluster.url, method, path);
      expect([path, answer]).toEqual([path, { status: 503, code: "not-configured" }]);
    }
    for (const path of OPEN) {
      expect([path, (await askAs("troika.example.com", cluster.url, "GET", path)).status]).toEqual([
        path,
        200,
      ]);
    }
  });
});

describe("a loopback host", () => {
  it("is recognised by its whole name", () => {
    for (const host of ["localhost", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]"]) {
      expect([host, isLoopback(host)]).toEqual([host, true]);
    }
    for (const host of [
      "localhost.example.com",
      "127.0.0.1.nip.io",
      "10.0.0.1",
      "mylocalhost",
      "[::2]",
      "",
    ]) {
      expect([host, isLoopback(host)]).toEqual([host, false]);
    }
  });
});
