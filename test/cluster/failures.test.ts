/**
 * One failure of each kind under a light load of everything that clients do, and that they get what the contract promises
 * all the same. How long the group takes to go on is measured by the benchmarks, over many rounds.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Findings, startLoad } from "../support/load/load.ts";
import {
  acknowledged,
  allHealthy,
  type Cluster,
  event,
  eventually,
  leaderOf,
  ready,
  startCluster,
} from "./harness.ts";

/** A busy machine takes its time, and how long the group takes is not the question here. */
const PATIENCE_MS = 30_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { BENCH: "on", LEASE_MS: "3000" } });
  await ready(cluster);
});
afterAll(() => cluster.stop());

/** Runs `failure` under load until writes that were sent after it are acknowledged, then `cure`, then looks at everything. */
async function survives(
  name: string,
  failure: () => Promise<void>,
  cure: () => Promise<void> = async () => {},
): Promise<void> {
  const load = await startLoad({
    url: cluster.url,
    replicas: cluster.names,
    name,
    writers: 2,
    readers: 1,
    pause_ms: 20,
  });
  let findings: Findings;
  try {
    await eventually("the load runs", async () => load.acknowledged.length > 20, PATIENCE_MS);
    await failure();
    const failed_at = performance.now();
    const goesOn = async () => load.acknowledged.some(({ sent_at }) => sent_at > failed_at);
    await eventually("writes go on", goesOn, PATIENCE_MS);
  } finally {
    await cure();
    await allHealthy(cluster);
    findings = await load.stop();
  }
  const { broken, ...figures } = findings;
  expect(broken).toEqual([]);
  for (const [what, count] of Object.entries(figures))
    if (typeof count === "number") expect(count, what).toBeGreaterThan(0);
}

describe("every event, operation, task and stream is exactly once and complete when", () => {
  test("the leader is stopped, and another one leads until it is back", async () => {
    const before = await leaderOf(cluster);
    await survives(
      "stop",
      () => cluster.fault(before, "stop"),
      async () => {
        expect(await leaderOf(cluster)).not.toBe(before);
        await cluster.fault(before, "start");
      },
    );
  });

  test("the leader is isolated, while clients still reach it", async () => {
    const before = await leaderOf(cluster);
    await survives(
      "isolate",
      () => cluster.fault(before, "isolate"),
      async () => {
        expect(await leaderOf(cluster)).not.toBe(before);
        await cluster.fault(before, "heal");
      },
    );
  });

  test("the leader is reset and loses its memory", async () => {
    const before = await leaderOf(cluster);
    await survives("reset", () => cluster.fault(before, "reset"));
    const started = new RegExp(`replica=${before} replica: started last_index=[1-9]`);
    expect(cluster.logs.filter((line) => started.test(line)).length).toBeGreaterThan(0);
  });

  test("a follower is stopped and comes back behind the others", async () => {
    const leader = await leaderOf(cluster);
    const [follower = ""] = cluster.names.filter((name) => name !== leader);
    await survives(
      "follower",
      () => cluster.fault(follower, "stop"),
      () => cluster.fault(follower, "start"),
    );
  });

  test("all replicas are reset at once", async () => {
    await survives("all", async () => {
      await Promise.all(cluster.names.map((name) => cluster.fault(name, "reset")));
    });
  });
});

interface Listed {
  readonly events: readonly unknown[];
  readonly count: number;
}

describe("an isolated leader", () => {
  test("serves no read that is older than a write acknowledged elsewhere", async () => {
    const isolated = await leaderOf(cluster);
    const [other = ""] = cluster.names.filter((name) => name !== isolated);
    const before = (await cluster.json<Listed>("/events")).body.count;
    await cluster.fault(isolated, "isolate");

    const key = "behind-its-back";
    const write = acknowledged(cluster, `/replicas/${other}/events`, event("Written", { key }), key);
    // Begun while it may still believe that it leads: these must not be answered from its own belief either.
    const early = Array.from({ length: 5 }, () =>
      cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`),
    );
    const { seq } = await write;
    expect(seq).toBe(before + 1);
    const late = Array.from({ length: 5 }, () =>
      cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`),
    );
    const stale = await cluster.json<Listed>(
      `/replicas/${isolated}/events?consistency=stale&after=${before}`,
    );
    expect([stale.status, stale.body.events]).toEqual([200, []]);
    expect(Number(stale.headers.get("x-raft-applied-index"))).toBeGreaterThan(0);
    for (const read of await Promise.all([...early, ...late])) {
      expect([read.status, (read.body as { code?: string }).code], read.text).toEqual([503, "no-leader"]);
    }

    await cluster.fault(isolated, "heal");
    await allHealthy(cluster);
    const healed = await cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`);
    expect(healed.body.events).toEqual([{ Critical: { Written: { key } } }]);
  });
});
