/**
 * The protocol of provers, call by call: registration, pulls, heartbeats, and every way in which a lease ends except a
 * proof. What silence does is shown where periods are short.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { allHealthy, type Cluster, eventually, ready, startCluster } from "./harness.ts";
import { attemptsOf, submitTask, TestProver, taskOf } from "./provers.ts";

let cluster: Cluster;
let registered: TestProver[] = [];
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
/** Each test begins without workers and without waiting tasks. */
afterEach(async () => {
  for (const worker of registered) await worker.remove();
  registered = [];
  const sweeper = new TestProver(cluster, "sweeper", 100);
  await sweeper.register();
  const { body } = await sweeper.pull(100);
  for (const { lease_id } of body?.leases ?? []) await sweeper.fail(lease_id, { retryable: false });
  await sweeper.remove();
});
afterAll(() => cluster.stop());

async function worker(id: string, slots = 1): Promise<TestProver> {
  const made = new TestProver(cluster, id, slots);
  registered.push(made);
  const { status, text } = await made.register();
  if (status !== 201) throw new Error(`not registered: ${status} ${text}`);
  return made;
}

async function submit(count: number): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: count }, () => submitTask(cluster)));
}

/** What was sent before these has arrived by now. */
async function roundTrips(): Promise<void> {
  for (let trip = 0; trip < 5; trip++) await cluster.json("/api/v1/workers");
}

const idsOf = (leases: readonly { readonly lease_id: string }[] | undefined) =>
  (leases ?? []).map(({ lease_id }) => lease_id).sort();

describe("registration", () => {
  test("is 201 the first time and 200 from then on", async () => {
    const first = await worker("w");
    const again = await first.register();
    expect([again.status, again.body.leases]).toEqual([200, []]);
    expect((await cluster.json("/api/v1/workers/w")).body).toMatchObject({
      worker_id: "w",
      state: "active",
      draining: false,
      max_concurrent_tasks: 1,
      circuits: ["merkle"],
      leases: [],
    });
  });

  test("of a prover whose key hash is not ours gives it no work", async () => {
    await submit(1);
    const stranger = await worker("stranger");
    const circuits = [{ name: "merkle", vk_hash: "00".repeat(32) }];
    expect((await stranger.register({ circuits })).body.circuits).toEqual([]);
    expect((await stranger.pull()).status).toBe(204);
    expect((await stranger.register()).body.circuits).toEqual(["merkle"]);
    expect((await stranger.pull()).status).toBe(200);
  });

  test.each<[string, object]>([
    ["worker_id", { worker_id: "" }],
    ["worker_id", { worker_id: "a b" }],
    ["boot_id", { boot_id: 1 }],
    ["max_concurrent_tasks", { max_concurrent_tasks: 0 }],
    ["max_concurrent_tasks", { max_concurrent_tasks: 1.5 }],
    ["circuits", { circuits: "merkle" }],
    ["circuits[0].vk_hash", { circuits: [{ name: "merkle" }] }],
    ["labels.a", { labels: { a: 1 } }],
  ])("with a wrong %s is 400 and names it", async (field, wrong) => {
    const reply = await new TestProver(cluster, "wrong").register(wrong);
    expect(reply.status).toBe(400);
    expect(reply.body.detail).toContain(`${field} `);
  });

  test("by a new process gives the leases of the old one back, as lost", async () => {
    const [task_id = ""] = await submit(1);
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    const old = new TestProver(cluster, "w");
    prover.boot_id = "boot-2";
    const { status, body } = await prover.register();
    expect([status, body.leases]).toEqual([200, []]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 0, losses: 1 });
    expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "worker-lost" }]);

    for (const late of [await old.pull(), await old.heartbeat([lease_id])]) {
      expect([late.status, late.body.code]).toEqual([409, "boot-superseded"]);
    }
    expect((await prover.takeOne()).task_id).toBe(task_id);
  });
});

describe("a pull", () => {
  test("without work is 204 without a body", async () => {
    const { status, text } = await (await worker("w")).pull();
    expect([status, text]).toEqual([204, ""]);
  });

  test("waits for a task that is submitted later", async () => {
    const prover = await worker("w");
    const pulled = prover.pull(1, 20);
    await roundTrips();
    const [task_id] = await submit(1);
    const began = Date.now();
    expect((await pulled).body.leases).toMatchObject([{ task_id }]);
    expect(Date.now() - began).toBeLessThan(5_000);
  });

  test("that waits in vain is 204 when its time is up, and not before", async () => {
    const began = Date.now();
    const { status } = await (await worker("w")).pull(1, 0.4);
    expect(status).toBe(204);
    expect(Date.now() - began).toBeGreaterThanOrEqual(400);
  });

  test("whose answer was lost is answered again with the same leases", async () => {
    await submit(3);
    const prover = await worker("w", 2);
    const lost = await prover.take(2);
    expect(lost).toHaveLength(2);
    const again = await prover.take(2);
    expect(idsOf(again)).toEqual(idsOf(lost));
    expect(again.map(({ input }) => input.blinding).sort()).toEqual(
      lost.map(({ input }) => input.blinding).sort(),
    );
    expect(idsOf((await prover.register()).body.leases)).toEqual(idsOf(lost));
    expect((await prover.view()).body.leases).toHaveLength(2);

    // From the first heartbeat on the prover is known to have them, and its slots are taken.
    expect((await prover.heartbeat(idsOf(lost))).body.missing).toEqual([]);
    await eventually("both are in progress", async () => {
      const tasks = await Promise.all(lost.map(({ task_id }) => taskOf(cluster, task_id)));
      return tasks.every(({ status }) => status === "in_progress");
    });
    expect((await prover.pull(2)).status).toBe(204);
  });

  test("whose client went away while it waited does not swallow a task", async () => {
    const prover = await worker("w");
    const gone = new AbortController();
    const abandoned = prover.pull(1, 20, { signal: gone.signal });
    await roundTrips();
    gone.abort();
    await expect(abandoned).rejects.toThrow();
    const [task_id] = await submit(1);
    expect((await prover.pull(1, 5)).body.leases).toMatchObject([{ task_id }]);
  });

  test("never gives more than the free slots, however many come at once", async () => {
    const tasks = await submit(30);
    const provers = await Promise.all([worker("a", 4), worker("b", 3), worker("c", 1)]);
    const pulls = provers.flatMap((prover) =>
      Array.from({ length: 8 }, async () => ({ prover, reply: await prover.pull(3) })),
    );
    const holders = new Map<string, string>();
    const granted = new Set<string>();
    for (const { prover, reply } of await Promise.all(pulls)) {
      expect([200, 204]).toContain(reply.status);
      for (const { lease_id, task_id } of reply.body?.leases ?? []) {
        expect(holders.get(lease_id) ?? prover.worker_id).toBe(prover.worker_id);
        holders.set(lease_id, prover.worker_id);
        granted.add(task_id);
      }
    }
    for (const prover of provers) {
      const held = [...holders.values()].filter((holder) => holder === prover.worker_id);
      expect(held).toHaveLength(prover.slots);
      expect((await prover.view()).body.leases).toHaveLength(prover.slots);
    }
    expect(granted.size).toBe(8);
    const assigned = await cluster.json<{ items: unknown[] }>("/api/v1/tasks?status=assigned");
    expect(assigned.body.items).toHaveLength(8);
    const { body: health } = await cluster.json("/health");
    expect(health.capacity).toEqual({ total: 8, used: 8, available: 0 });
    expect(tasks).toHaveLength(30);
  });

  test("takes what has a higher priority first, and what came first among equals", async () => {
    const low = await submitTask(cluster, { priority: -1 });
    const first = await submitTask(cluster);
    const second = await submitTask(cluster);
    const high = await submitTask(cluster, { priority: 7 });
    const leases = await (await worker("w", 4)).take(4);
    expect(leases.map(({ task_id }) => task_id)).toEqual([high, first, second, low]);
  });

  test("of an unknown worker is 404 and says to register", async () => {
    const unknown = new TestProver(cluster, "unknown");
    for (const reply of [await unknown.pull(), await unknown.heartbeat(), await unknown.drain()]) {
      expect([reply.status, reply.body.code]).toEqual([404, "worker-unknown"]);
      expect(reply.body.detail).toContain("register");
    }
    expect(await unknown.remove()).toBe(404);
  });
});

describe("a heartbeat", () => {
  test("says for each lease whether to go on, and names those that were left out", async () => {
    await submit(2);
    const prover = await worker("w", 2);
    const [kept = "", omitted = ""] = idsOf(await prover.take(2));
    const before = Date.now();
    const { body } = await prover.heartbeat([kept, "never.granted.1"]);
    expect(body.leases).toEqual([
      { lease_id: kept, directive: "continue", expires_at: expect.any(String) },
      { lease_id: "never.granted.1", directive: "lost" },
    ]);
    expect(body.missing).toEqual([omitted]);
    expect(Date.parse(body.leases?.[0]?.expires_at ?? "")).toBeGreaterThanOrEqual(before + 60_000);
  });

  test("says that a lease is lost once it has ended or belongs to somebody else", async () => {
    await submit(1);
    const [first, second] = [await worker("first"), await worker("second")];
    const { lease_id } = await first.takeOne();
    await first.release(lease_id);
    const { lease_id: taken } = await second.takeOne();
    const { body } = await first.heartbeat([lease_id, taken]);
    expect(body.leases).toEqual([
      { lease_id, directive: "lost" },
      { lease_id: taken, directive: "lost" },
    ]);
  });
});

describe("a lease ends", () => {
  test("by a failure that may be tried again: an attempt is spent, the task waits a while", async () => {
    const [task_id = ""] = await submit(1);
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    const { status, body } = await prover.fail(lease_id);
    expect([status, body.status]).toEqual([200, "pending"]);
    const task = await taskOf(cluster, task_id);
    expect(task).toMatchObject({ attempts_spent: 1, losses: 0, error: "test-failure: on purpose" });
    expect(Date.parse(task.not_before ?? "")).toBeGreaterThan(Date.parse(task.created_at));
    expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "failed" }]);
    expect((await prover.pull()).status).toBe(204);
    expect((await prover.fail(lease_id)).body.status).toBe("pending");
    expect((await taskOf(cluster, task_id)).attempts_spent).toBe(1);
    // Not before its time, and without being asked again.
    const retried = await prover.pull(1, 5);
    expect(retried.body.leases).toMatchObject([{ task_id, attempt: 2 }]);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(task.not_before ?? ""));
  });

  test("by a failure that is final: the task has failed, and its content may be submitted anew", async () => {
    const leaves = ["dead", "beef"];
    const task_id = await submitTask(cluster, { leaves });
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    expect((await prover.fail(lease_id, { retryable: false })).body.status).toBe("failed");
    const task = await taskOf(cluster, task_id);
    expect(task).toMatchObject({ status: "failed", error: "test-failure: on purpose" });
    expect(task).toHaveProperty("completed_at");
    expect((await prover.complete(lease_id, { proof: {}, public_inputs: [] })).body.code).toBe(
      "lease-superseded",
    );
    const anew = await cluster.post("/api/v1/tasks/merkle", { leaves });
    expect(anew.status).toBe(202);
    expect(anew.body.task_id).not.toBe(task_id);
  });

  test("by its release: nothing is spent and the task is free at once", async () => {
    const [task_id = ""] = await submit(1);
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    expect((await prover.release(lease_id)).body).toMatchObject({ task_id, status: "pending" });
    expect((await prover.release(lease_id)).status).toBe(200);
    expect(await taskOf(cluster, task_id)).toMatchObject({ attempts_spent: 0, losses: 0 });
    expect(await prover.takeOne()).toMatchObject({ task_id, attempt: 2 });
  });

  test("by the removal of its worker, which is then unknown", async () => {
    const [task_id = ""] = await submit(1);
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    expect(await prover.remove()).toBe(204);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 0, losses: 0 });
    expect((await prover.heartbeat([lease_id])).body.code).toBe("worker-unknown");
    expect((await prover.view()).status).toBe(404);
    expect(await prover.remove()).toBe(404);
  });

  test("after the last attempt with the task: retries go to another worker if there is one", async () => {
    const task_id = await submitTask(cluster, { max_attempts: 2 });
    const [first, second] = [await worker("first"), await worker("second")];
    await first.fail((await first.takeOne()).lease_id);
    const lease = await second.pull(1, 5);
    expect(lease.body.leases).toMatchObject([{ task_id, attempt: 2 }]);
    expect((await first.pull()).status).toBe(204);
    await second.fail(lease.body.leases?.[0]?.lease_id ?? "");
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "failed", attempts_spent: 2 });
  });
});

describe("a worker that drains", () => {
  test("keeps its leases and gets no more, until a new process registers", async () => {
    await submit(3);
    const prover = await worker("w", 2);
    const { lease_id, task_id } = await prover.takeOne();
    expect((await prover.drain()).body.draining).toBe(true);
    expect((await prover.pull(2)).status).toBe(204);
    expect((await prover.view()).body).toMatchObject({ draining: true, leases: [`${task_id}.1`] });
    expect((await prover.heartbeat([lease_id])).body.leases).toMatchObject([{ directive: "continue" }]);
    expect((await cluster.json("/health")).body.capacity).toEqual({ total: 1, used: 1, available: 0 });
    await prover.release(lease_id);
    await prover.register();
    expect((await prover.pull()).status).toBe(204);
    prover.boot_id = "boot-2";
    await prover.register();
    expect((await prover.pull(2)).body.leases).toHaveLength(2);
  });
});

test("every replica shows the same workers, and a prover may speak to any of them", async () => {
  const [task_id] = await submit(1);
  const made = await worker("w", 3);
  for (const name of cluster.names) {
    const path = `/replicas/${name}/api/v1/workers/w`;
    expect((await cluster.json(path)).body).toMatchObject({ worker_id: "w", max_concurrent_tasks: 3 });
    const beaten = await cluster.post(`${path}/heartbeat`, { boot_id: made.boot_id, leases: [] });
    expect(beaten.status).toBe(200);
  }
  const pulled = await cluster.post("/replicas/coordinator-3/api/v1/workers/w/pull", { boot_id: "boot-1" });
  expect(pulled.body.leases).toMatchObject([{ task_id }]);
  await allHealthy(cluster);
});
