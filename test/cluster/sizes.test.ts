/** Groups of one and of five: the same code with another quorum. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProver } from "../../worker-sim/prover/index.ts";
import {
  acknowledged,
  allHealthy,
  type Cluster,
  event,
  leaderOf,
  ready,
  settled,
  startCluster,
} from "./harness.ts";
import { prove, submitTask, TestProver, taskOf } from "./provers.ts";

async function eventsAt(cluster: Cluster, prefix = ""): Promise<unknown> {
  return (await cluster.json(`${prefix}/events`)).body;
}

function write20(kind: string, cluster: Cluster): Promise<unknown> {
  return Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      acknowledged(cluster, "/events", event(kind, { n }), `${kind}-${n}`),
    ),
  );
}

describe("a single replica", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ variables: { REPLICAS: "1" } });
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  test("leads, and has nobody to wait for", async () => {
    const { body } = await cluster.json("/replicas/coordinator-1/health");
    expect(body).toMatchObject({ status: "healthy", raft: { state: "Leader", is_leader: true } });
    expect((await cluster.json("/replicas/coordinator-2/health")).status).toBe(404);
  });

  test("does the main job", async () => {
    const prover = createProver({ threads: 1 });
    try {
      const task_id = await submitTask(cluster);
      const worker = new TestProver(cluster, "w");
      expect((await worker.register()).status).toBe(201);
      const lease = await worker.takeOne();
      const { status } = await worker.complete(lease.lease_id, await prove(prover, lease));
      expect(status).toBe(200);
      expect(await taskOf(cluster, task_id)).toMatchObject({ status: "completed", attempt: 1 });
    } finally {
      await prover.close();
    }
  });

  test("keeps what it has acknowledged across a restart", async () => {
    await write20("Kept", cluster);
    const before = await eventsAt(cluster);
    await cluster.restart();
    await ready(cluster);
    expect(await eventsAt(cluster)).toEqual(before);
    await cluster.fault("coordinator-1", "stop");
    expect((await cluster.fetch("/readyz")).status).toBe(503);
    await cluster.fault("coordinator-1", "start");
    await ready(cluster);
    expect(await eventsAt(cluster)).toEqual(before);
    expect((await cluster.post("/events", event("More", {}))).body.seq).toBe(21);
  });
});

describe("five replicas", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ variables: { REPLICAS: "5" } });
    await ready(cluster);
    await allHealthy(cluster);
  });
  afterAll(() => cluster.stop());

  test("elect one leader and commit at all five", async () => {
    await write20("Five", cluster);
    const leader = await leaderOf(cluster);
    const events = await eventsAt(cluster);
    expect(events).toMatchObject({ count: 20 });
    for (const name of cluster.names) {
      expect(await eventsAt(cluster, `/replicas/${name}`)).toEqual(events);
      const { body } = await cluster.json(`/replicas/${name}/health`);
      expect(body).toMatchObject({ status: "healthy", raft: { leader_id: leader } });
    }
  });

  test("go on without two, the leader among them, and catch them up", async () => {
    const leader = await leaderOf(cluster);
    const gone = [leader, ...cluster.names.filter((name) => name !== leader).slice(0, 1)];
    await Promise.all(gone.map((name) => cluster.fault(name, "stop")));
    await acknowledged(cluster, "/events", event("OfThree", {}), "of-three");
    for (const name of gone) await cluster.fault(name, "start");
    await allHealthy(cluster);
    await settled(cluster);
    const events = await eventsAt(cluster);
    expect(events).toMatchObject({ count: 21 });
    for (const name of gone) expect(await eventsAt(cluster, `/replicas/${name}`)).toEqual(events);
  });
});
