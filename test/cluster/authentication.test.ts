/** Who may ask what: every route by the access that it declares. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import { mayCall } from "../../src/router/authentication.ts";
import { routes } from "../../src/router/table.ts";
import { type Cluster, event, ready, startCluster } from "./harness.ts";
import { raw } from "./raw.ts";

const TOKENS = { submitter: "token-of-ada", prover: "token-of-bob", operator: "token-of-cid" } as const;
const TROIKA_TOKENS = JSON.stringify(
  Object.entries(TOKENS).map(([role, token]) => ({
    name: `${role}-1`,
    role,
    // In either case.
    sha256: createHash("sha256")
      .update(token)
      .digest("hex")
      [role === "prover" ? "toUpperCase" : "toLowerCase"](),
  })),
);

const open = ["/", "/livez", "/readyz", "/health"];
const closed = [
  ["GET", "/status"],
  ["GET", "/metrics"],
  ["GET", "/events"],
  ["POST", "/events"],
  ["GET", "/api/v1/tasks"],
  ["POST", "/api/v1/tasks/merkle"],
  ["GET", "/api/v1/tasks/00000000-0000-4000-8000-000000000000"],
  ["GET", "/api/v1/workers"],
  ["POST", "/api/v1/workers"],
  ["POST", "/api/v1/workers/w/pull"],
  ["POST", "/api/v1/leases/a.1/complete"],
  ["GET", "/api/v1/circuits"],
  ["POST", "/api/v1/proofs/verify"],
  ["POST", "/api/v1/faults/coordinator-1"],
] as const;
const prefixes = ["", "/replicas/coordinator-2"];

describe("with tokens", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ variables: { TROIKA_TOKENS } });
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test("what tells whether the service lives needs none", async () => {
    for (const path of prefixes.flatMap((prefix) => open.map((each) => prefix + each))) {
      expect((await cluster.fetch(path)).status, path).toBe(200);
    }
  });

  test.each(closed)("%s %s is 401 without one, and asks for it", async (method, path) => {
    for (const prefix of prefixes) {
      const init = method === "POST" ? { method, body: "{}" } : {};
      const reply = await cluster.json<ProblemBody>(prefix + path, init);
      expect([reply.status, reply.body.code], prefix).toEqual([401, "unauthorized"]);
      expect(reply.headers.get("www-authenticate")).toMatch(/^Bearer /);
      expect(reply.headers.get("content-type")).toBe("application/problem+json");
    }
  });

  test.each<[string, string]>([
    ["an unknown token", "Bearer somebody-else"],
    ["a token with something behind it", `Bearer ${TOKENS.operator}x`],
    ["another case", `Bearer ${TOKENS.operator.toUpperCase()}`],
    ["no token", "Bearer"],
    ["two tokens", `Bearer ${TOKENS.operator} ${TOKENS.prover}`],
    ["another scheme", `Basic ${Buffer.from(`a:${TOKENS.operator}`).toString("base64")}`],
    [
      "the hash in place of the token",
      `Bearer ${createHash("sha256").update(TOKENS.operator).digest("hex")}`,
    ],
  ])("%s is 401", async (_, authorization) => {
    const reply = await cluster.json<ProblemBody>("/status", { headers: { authorization } });
    expect([reply.status, reply.body.code]).toEqual([401, "unauthorized"]);
  });

  test("the scheme is written in any case", async () => {
    const headers = { authorization: `bearer ${TOKENS.submitter}` };
    expect((await cluster.fetch("/status", { headers })).status).toBe(200);
  });

  test("a token in the address is none", async () => {
    const { status } = await cluster.json(`/status?token=${TOKENS.operator}&access_token=${TOKENS.operator}`);
    expect(status).toBe(401);
  });

  test("any known token is let in, at the router and at each replica", async () => {
    for (const token of Object.values(TOKENS)) {
      for (const path of ["/status", ...cluster.names.map((name) => `/replicas/${name}/status`)]) {
        expect((await cluster.fetch(path, { headers: bearer(token) })).status).toBe(200);
      }
    }
    const written = await cluster.post("/events", event("Written", {}), bearer(TOKENS.submitter));
    expect(written.status).toBe(200);
  });

  test("a role that a route does not take is 403, names what is needed, and changes nothing", async () => {
    const lastIndex = async () =>
      (await cluster.json("/status", { headers: bearer(TOKENS.operator) })).body.last_log_index;
    const before = await lastIndex();
    let refused = 0;
    for (const { method, path, access } of routes) {
      for (const role of ["submitter", "prover", "operator"] as const) {
        if (mayCall(access, role)) continue;
        for (const prefix of prefixes) {
          const address = prefix + path.replaceAll(/:\w+/g, "coordinator-1");
          const init = { method, headers: bearer(TOKENS[role]), ...(method === "GET" ? {} : { body: "{}" }) };
          const { status, body } = await cluster.json(address, init);
          expect([role, method, address, status, body.code]).toEqual([
            role,
            method,
            address,
            403,
            "role-not-allowed",
          ]);
          expect(body.detail).toContain(`needs a token with the role ${access}`);
          expect(body.detail).toContain(`has the role ${role}`);
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(24);
    expect(await lastIndex()).toBe(before);
  });

  test.each([
    ["submitter", "POST", "/api/v1/tasks/merkle", { leaves: ["01"] }, 202],
    ["submitter", "POST", "/api/v1/workers", {}, 403],
    ["submitter", "POST", "/api/v1/faults/coordinator-1", { action: "heal" }, 403],
    ["submitter", "GET", "/api/v1/workers", undefined, 200],
    ["prover", "POST", "/api/v1/workers/w/pull", { boot_id: "b" }, 404],
    ["prover", "POST", "/api/v1/tasks/merkle", { leaves: ["02"] }, 403],
    ["prover", "POST", "/events", event("By", {}), 403],
    ["prover", "GET", "/api/v1/tasks", undefined, 200],
    ["operator", "POST", "/api/v1/faults/coordinator-1", { action: "heal" }, 200],
    ["operator", "POST", "/events", event("By", {}), 200],
    ["operator", "POST", "/api/v1/workers/w/pull", { boot_id: "b" }, 404],
  ] as const)("a %s may or may not %s %s", async (role, method, path, body, expected) => {
    const init = { method, headers: bearer(TOKENS[role]) };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    expect((await cluster.json(path, { ...init, ...text })).status).toBe(expected);
  });

  test("also on a host that is not loopback", async () => {
    const headers = { host: "troika.example.com", ...bearer(TOKENS.operator) };
    expect((await raw(cluster, "/status", { headers })).status).toBe(200);
    expect((await raw(cluster, "/status", { headers: { host: headers.host } })).status).toBe(401);
  });

  test("any page may ask that has one", async () => {
    const headers = { origin: "https://example.com", ...bearer(TOKENS.submitter) };
    const read = await cluster.json("/status", { headers });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    const write = await cluster.post("/events", { event: { Critical: { FromAPage: {} } } }, headers);
    expect(write.status).toBe(200);
  });

  test("an idempotency key belongs to one token: another's is another event", async () => {
    const key = { "idempotency-key": "shared" };
    const first = await cluster.post("/events", event("Own", {}), { ...key, ...bearer(TOKENS.submitter) });
    const second = await cluster.post("/events", event("Own", {}), { ...key, ...bearer(TOKENS.operator) });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body.seq).not.toBe(first.body.seq);
  });

  test("a refused request changes nothing, and no token reaches the logs", async () => {
    const before = await cluster.json("/events", { headers: bearer(TOKENS.operator) });
    expect((await cluster.post("/events", event("Refused", {}))).status).toBe(401);
    expect((await cluster.post("/api/v1/faults/coordinator-1", { action: "stop" })).status).toBe(401);
    const after = await cluster.json("/events", { headers: bearer(TOKENS.operator) });
    expect(after.body).toEqual(before.body);
    expect((await cluster.fetch("/replicas/coordinator-1/health")).status).toBe(200);
    const logged = cluster.logs.join("\n");
    expect(logged).toContain("path=/status");
    for (const token of Object.values(TOKENS)) expect(logged).not.toContain(token);
  });
});

describe("without tokens", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  test.each(["localhost", "localhost:8080", "127.0.0.1", "127.1.2.3:80", "[::1]:8080", "troika.localhost"])(
    "a loopback host is open: %s",
    async (host) => {
      expect((await raw(cluster, "/status", { headers: { host } })).status).toBe(200);
    },
  );

  test.each([
    "troika.example.com",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "example.com:8080",
    "10.0.0.1",
    "[::2]",
  ])("any other is 503 not-configured, never open: %s", async (host) => {
    for (const [method, path] of prefixes.flatMap((prefix) =>
      closed.map(([each, route]) => [each, prefix + route] as const),
    )) {
      const body = method === "POST" ? "{}" : undefined;
      const reply = await raw(cluster, path, { method, headers: { host }, ...(body && { body }) });
      expect(reply.status, `${method} ${path}`).toBe(503);
      const problem = JSON.parse(reply.text) as ProblemBody;
      expect([problem.code, problem.retryable]).toEqual(["not-configured", false]);
      expect(problem.detail).toContain("TROIKA_TOKENS");
    }
    for (const path of open) expect((await raw(cluster, path, { headers: { host } })).status).toBe(200);
  });

  test("nor does a header that names another host open it", async () => {
    const headers = {
      host: "troika.example.com",
      "x-forwarded-host": "localhost",
      origin: "http://localhost",
    };
    expect((await raw(cluster, "/status", { headers })).status).toBe(503);
  });

  const FOREIGN = [
    "https://example.com",
    "http://localhost.example.com",
    "http://10.0.0.1",
    "null",
    "file://",
  ];

  test("a page of another machine can neither write nor read an answer", async () => {
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

  test("a page of this machine may do both", async () => {
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
});
