/** What a group remembers when all of its processes end at once: everything that it has acknowledged. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProver, type Proved } from "../../worker-sim/prover/index.ts";
import { type Cluster, event, leaderOf, ready, settled, startCluster } from "./harness.ts";
import { prove, submitTask, TestProver, taskOf } from "./provers.ts";

let cluster: Cluster;
let worker: TestProver;
const prover = createProver({ threads: 1 });

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

async function everything(prefix: string): Promise<unknown> {
  const read = async (path: string) => {
    const { status, body } = await cluster.json(`${prefix}${path}`);
    expect(status).toBe(200);
    const { request_id: _, ...rest } = body;
    return rest;
  };
  const { items } = (await read("/api/v1/tasks")) as { items: { task_id: string }[] };
  const attempts = items.map(({ task_id }) => read(`/api/v1/tasks/${task_id}/attempts`));
  return {
    items,
    attempts: await Promise.all(attempts),
    events: await read("/events"),
    workers: await read("/api/v1/workers"),
  };
}

describe("after a restart of all processes", () => {
  let before: unknown;
  let indexes: { readonly term: number; readonly last: number };
  let held: string;
  let proved: Proved;
  let completed: { readonly lease_id: string; readonly proved: Proved };

  beforeAll(async () => {
    worker = new TestProver(cluster, "w", 3);
    await worker.register({ labels: { zone: "a" } });
    await submitTask(cluster, { priority: 3, tags: ["kept"] });
    const done = await worker.takeOne();
    completed = { lease_id: done.lease_id, proved: await prove(prover, done) };
    await worker.complete(done.lease_id, completed.proved);
    await submitTask(cluster);
    await worker.fail((await worker.takeOne()).lease_id);
    await submitTask(cluster);
    const lease = await worker.takeOne();
    held = lease.lease_id;
    proved = await prove(prover, lease);
    for (let count = 0; count < 5; count++) {
      await cluster.post("/events", event("Before", { count }), { "idempotency-key": `before-${count}` });
    }
    await settled(cluster);
    before = await everything("");
    const { body } = await cluster.json("/status");
    indexes = { term: Number(body.current_term), last: Number(body.last_log_index) };
    await cluster.restart();
    await ready(cluster);
  });

  test("tasks, attempts, workers and events are as they were, at every replica", async () => {
    expect(await everything("")).toEqual(before);
    for (const name of cluster.names) expect(await everything(`/replicas/${name}`)).toEqual(before);
  });

  test("terms and logs go on where they were", async () => {
    await settled(cluster);
    const { body } = await cluster.json("/status");
    expect(body.current_term).toBeGreaterThan(indexes.term);
    // The new leader's barrier, and one for every election that it may have taken.
    expect(body.last_log_index).toBeGreaterThan(indexes.last);
    expect(cluster.names).toContain(await leaderOf(cluster));
  });

  test("the leases that were held still are, and their proofs are accepted", async () => {
    const beaten = await worker.heartbeat([held]);
    expect(beaten.body.leases).toMatchObject([{ lease_id: held, directive: "continue" }]);
    const { status, body } = await worker.complete(held, proved);
    expect([status, body.status]).toEqual([200, "completed"]);
    expect(body).not.toHaveProperty("accepted_late");
    expect(await taskOf(cluster, body.task_id ?? "")).toMatchObject({ status: "completed" });
  });

  test("repeats are recognised: of a completion, of a content and of an idempotency key", async () => {
    const again = await worker.complete(completed.lease_id, completed.proved);
    expect(again.body).toMatchObject({ status: "completed", duplicate: true });
    const { body: task } = await cluster.json(`/api/v1/tasks/${completed.lease_id.split(".")[0]}`);
    expect(task).toMatchObject({ status: "completed", tags: ["kept"] });
    const repeated = await cluster.post("/events", event("Before", { count: 2 }), {
      "idempotency-key": "before-2",
    });
    expect(repeated.headers.get("idempotency-replayed")).toBe("true");
    expect(repeated.body.seq).toBe(3);
    expect((await cluster.json("/events")).body.count).toBe(5);
  });
});
