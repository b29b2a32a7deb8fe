/**
 * Two of three replicas stopped: what is refused, what is still answered, and that a refusal is a promise. Stopped
 * replicas stay stopped across a restart of the processes.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import {
  allHealthy,
  type Cluster,
  event,
  eventually,
  leaderOf,
  type Reply,
  ready,
  settled,
  startCluster,
} from "./harness.ts";
import { submitTask, TestProver, taskOf } from "./provers.ts";

/** The contract's 5 s, and what a busy machine takes to say so. */
const DEADLINE_MS = 6_000;

let cluster: Cluster;
let running: string;
let stopped: readonly string[];
let kept: string;

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  await cluster.post("/events", event("Kept", {}));
  kept = await submitTask(cluster);
  await new TestProver(cluster, "w").register();
  await settled(cluster);
  // The leader is left: it is the one that could go on by mistake.
  running = await leaderOf(cluster);
  stopped = cluster.names.filter((name) => name !== running);
  await Promise.all(stopped.map((name) => cluster.fault(name, "stop")));
});
afterAll(() => cluster.stop());

function unready(): Promise<boolean> {
  return eventually("the cluster is not ready", async () => (await cluster.fetch("/readyz")).status === 503);
}

async function eventKinds(): Promise<readonly string[]> {
  const { body } = await cluster.json<{ events: { Critical: object }[] }>("/events");
  return body.events.map(({ Critical }) => Object.keys(Critical)[0] ?? "");
}

describe("with two of three replicas stopped", () => {
  test("a stopped replica answers 503 on every route of its own, and says nothing of raft", async () => {
    const [name = ""] = stopped;
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", "/livez"],
      ["GET", "/readyz"],
      ["GET", "/health"],
      ["GET", "/status"],
      ["GET", "/metrics"],
      ["GET", "/events"],
      ["GET", "/events?consistency=stale"],
      ["POST", "/events"],
      ["GET", `/api/v1/tasks/${kept}`],
      ["GET", `/api/v1/tasks/${kept}?consistency=stale`],
      ["POST", "/api/v1/tasks/merkle"],
      ["GET", "/api/v1/tasks/17"],
      ["GET", "/api/v1/workers"],
      ["GET", "/api/v1/circuits"],
      ["POST", "/api/v1/workers/w/pull"],
    ] as const) {
      const body = path === "/events" ? event("Refused", {}) : { leaves: ["0x1"], boot_id: "boot-1" };
      const init = method === "POST" ? { method, body: JSON.stringify(body) } : {};
      const reply = await cluster.json<ProblemBody>(`/replicas/${name}${path}`, init);
      expect([reply.status, reply.body.code], `${method} ${path}: ${reply.text}`).toEqual([
        503,
        "replica-stopped",
      ]);
      expect(reply.text).not.toContain('"raft"');
      expect(reply.headers.get("retry-after")).toMatch(/^[1-9]/);
    }
  });

  test("writes and linearizable reads are refused within the deadline, stale reads are answered", async () => {
    await unready();
    const timed = async <Body>(reply: Promise<Reply<Body>>) => {
      const began = Date.now();
      return { reply: await reply, ms: Date.now() - began };
    };
    const post = (path: string, body: object) => timed(cluster.post<ProblemBody>(path, body));
    const get = (path: string) => timed(cluster.json<ProblemBody>(path));
    const refused = await Promise.all([
      post("/events", event("Refused", {})),
      post(`/replicas/${running}/events`, event("RefusedToo", {})),
      post("/api/v1/tasks/merkle", { leaves: ["0xdead"] }),
      post("/api/v1/workers", {
        worker_id: "refused",
        boot_id: "b",
        max_concurrent_tasks: 1,
        circuits: [],
      }),
      post("/api/v1/workers/w/drain", {}),
      get("/events"),
      get(`/api/v1/tasks/${kept}`),
      get(`/replicas/${running}/api/v1/tasks/${kept}`),
      get(`/api/v1/tasks/${kept}?wait=3`),
    ]);
    for (const { reply, ms } of refused) {
      expect([reply.status, reply.body.code], reply.text).toEqual([503, "no-leader"]);
      expect(reply.body.retryable).toBe(true);
      expect(reply.headers.get("retry-after")).toMatch(/^[1-9]/);
      expect(ms).toBeLessThan(DEADLINE_MS);
    }
    expect(refused[0]?.reply.body).toMatchObject({
      success: false,
      log_index: null,
      message: expect.stringContaining("nothing was accepted"),
    });
    for (const read of refused.slice(5)) expect(read.reply.body.detail).toContain("?consistency=stale");

    for (const prefix of ["", `/replicas/${running}`]) {
      const events = await cluster.json(`${prefix}/events?consistency=stale`);
      expect([events.status, events.body]).toEqual([200, { events: [{ Critical: { Kept: {} } }], count: 1 }]);
      expect(Number(events.headers.get("x-raft-applied-index"))).toBeGreaterThan(0);
      const task = await cluster.json(`${prefix}/api/v1/tasks/${kept}?consistency=stale`);
      expect([task.status, task.body.status]).toEqual([200, "pending"]);
    }
  });

  test("what looks on still answers, and says what is wrong", async () => {
    expect((await cluster.fetch("/livez")).status).toBe(200);
    const own = await cluster.json(`/replicas/${running}/health`);
    expect([own.status, own.body.coordinator_id]).toEqual([200, running]);
    expect(["degraded", "unhealthy"]).toContain(own.body.status);
    expect(own.body.reason).toEqual(expect.any(String));
    await eventually("the cluster is called unhealthy", async () => {
      const { status, body } = await cluster.json("/health");
      return status === 503 && body.status === "unhealthy";
    });
    expect((await cluster.json("/status")).status).toBe(200);
    expect((await cluster.fetch("/metrics")).status).toBe(200);
  });

  test("they stay stopped across a restart of the processes", async () => {
    await cluster.restart();
    await unready();
    for (const name of stopped) {
      const { status, body } = await cluster.json(`/replicas/${name}/health`);
      expect([status, body.code]).toEqual([503, "replica-stopped"]);
    }
    const { body } = await cluster.json("/events?consistency=stale");
    expect(body).toEqual({ events: [{ Critical: { Kept: {} } }], count: 1 });
  });

  test("once they are started all goes on by itself, and nothing that was refused appears", async () => {
    for (const name of stopped) await cluster.fault(name, "start");
    await ready(cluster);
    await allHealthy(cluster);
    const { body: written } = await cluster.post("/events", event("Afterwards", {}));
    expect(written).toMatchObject({ success: true, seq: 2 });
    await settled(cluster);
    expect(await eventKinds()).toEqual(["Kept", "Afterwards"]);
    expect((await cluster.json<{ items: unknown[] }>("/api/v1/tasks")).body.items).toHaveLength(1);
    expect(await taskOf(cluster, kept)).toMatchObject({ status: "pending" });
    const { body: workers } = await cluster.json<{ items: object[] }>("/api/v1/workers");
    expect(workers.items).toMatchObject([{ worker_id: "w", draining: false }]);
  });
});

describe("a stopped replica", () => {
  test("is not needed: one may be stopped while writes and reads go on", async () => {
    const leader = await leaderOf(cluster);
    await cluster.fault(leader, "stop");
    const { status, body } = await cluster.post("/events", event("WithTwo", {}));
    expect([status, body.success]).toEqual([200, true]);
    expect(await eventKinds()).toContain("WithTwo");
    await cluster.fault(leader, "start");
    await allHealthy(cluster);
    expect((await cluster.json(`/replicas/${leader}/events`)).text).toContain("WithTwo");
  });
});
