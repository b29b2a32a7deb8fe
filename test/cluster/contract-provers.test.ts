/**
 * The Provers rows of the HTTP contract on real workerd, each test named after its row. Proofs are those of the circuit
 * that needs none; real and forged ones are in main-job.test.ts and forgeries.test.ts. What silence does is shown where
 * periods are short, in silence.test.ts.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { circuitsOf } from "../../src/proofs/index.ts";
import { allHealthy, type Cluster, eventually, ready, startCluster } from "./harness.ts";
import { attemptsOf, submitTask, TestProver, taskOf } from "./provers.ts";

let cluster: Cluster;
let registered: TestProver[] = [];
/** Nobody falls silent here, however slow the machine is. */
const LEASE_MS = 120_000;
const NOOP = { name: "noop", vk_hash: circuitsOf({ bench: true }).get("noop")?.vk_hash ?? "" };
beforeAll(async () => {
  cluster = await startCluster({ variables: { BENCH: "on", LEASE_MS: String(LEASE_MS) } });
  await ready(cluster);
});
/** Each test begins without workers and without waiting tasks. */
afterEach(async () => {
  for (const worker of registered) await worker.remove();
  registered = [];
  const filter = { status: ["scheduled", "pending", "assigned", "in_progress"] };
  const { status, text } = await cluster.post("/api/v1/tasks/bulk", { action: "cancel", filter });
  if (status !== 200) throw new Error(text);
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

describe("POST /api/v1/workers", () => {
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

describe("POST /api/v1/workers/{id}/pull", () => {
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
    // A replica that was held up makes up for it, at a tenth of the pace.
    expect(Date.now() - began).toBeGreaterThanOrEqual(0.9 * 400);
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

  test("that hands a lease out again says until when it really is the worker's", async () => {
    await submit(1);
    const prover = await worker("w");
    const granted = await prover.takeOne();
    await roundTrips();
    const again = await prover.takeOne();
    expect([again.lease_id, again.expires_at]).toEqual([granted.lease_id, granted.expires_at]);
    expect((await prover.register()).body.leases).toMatchObject([{ expires_at: granted.expires_at }]);
    const { body } = await prover.heartbeat([granted.lease_id]);
    const extended = body.leases?.[0]?.expires_at ?? "";
    expect(Date.parse(extended)).toBeGreaterThan(Date.parse(granted.expires_at));
    expect((await prover.register()).body.leases).toMatchObject([{ expires_at: extended }]);
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

describe("POST /api/v1/workers/{id}/heartbeat", () => {
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
    expect(Date.parse(body.leases?.[0]?.expires_at ?? "")).toBeGreaterThanOrEqual(before + 2 * LEASE_MS);
  });

  test("progress: what the prover says of it is shown with the task, for as long as the lease is its", async () => {
    const [task_id = ""] = await submit(1);
    const prover = await worker("w");
    const { lease_id } = await prover.takeOne();
    const beat = (progress: unknown) =>
      cluster.post("/api/v1/workers/w/heartbeat", { boot_id: "boot-1", leases: [{ lease_id, progress }] });
    for (const progress of [0.25, 0.5]) {
      expect((await beat(progress)).status).toBe(200);
      await eventually("it is shown", async () => (await taskOf(cluster, task_id)).progress === progress);
    }
    expect((await beat(1.5)).status).toBe(400);
    await prover.release(lease_id);
    expect(await taskOf(cluster, task_id)).not.toHaveProperty("progress");
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

describe("POST /api/v1/leases/{id}/fail and …/release: a lease ends", () => {
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

describe("POST /api/v1/workers/{id}/drain: a worker that drains", () => {
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

describe("POST /api/v1/leases/{id}/complete, in the order of its table", () => {
  let contents = 0;

  /** A task that takes the empty proof, and no other. */
  async function noop(options: object = {}): Promise<string> {
    const { status, body, text } = await cluster.post("/api/v1/tasks/noop", {
      data: `complete ${++contents}`,
      ...options,
    });
    if (status !== 202) throw new Error(text);
    return String(body.task_id);
  }

  async function prover(id: string, slots = 1): Promise<TestProver> {
    const made = await worker(id, slots);
    await made.register({ circuits: [NOOP] });
    return made;
  }

  const valid = ({ public_inputs }: { readonly public_inputs: readonly string[] }) => ({
    proof: {},
    public_inputs,
  });
  const wrong = { proof: { pi_a: [] }, public_inputs: ["1"] };

  test("1: an unknown lease is 404; one of another worker is 409, and nothing changes", async () => {
    const task_id = await noop();
    const [holder, other] = [await prover("holder"), await prover("other")];
    const lease = await holder.takeOne();
    for (const unknown of [`${task_id}.2.0123456789abcdef`, `${task_id}.1`, "nonsense", "%00"]) {
      const { status, body } = await holder.complete(unknown, valid(lease));
      expect([status, body.code]).toEqual([404, "lease-unknown"]);
    }
    for (const proof of [valid(lease), wrong]) {
      const { status, body } = await other.complete(lease.lease_id, proof);
      expect([status, body.code]).toEqual([409, "lease-superseded"]);
    }
    expect(await taskOf(cluster, task_id)).toMatchObject({
      status: "assigned",
      attempts_spent: 0,
      worker_id: "holder",
    });
    expect((await holder.complete(lease.lease_id, valid(lease))).body).toEqual({
      status: "completed",
      task_id,
      leases: [],
      request_id: expect.any(String),
    });
  });

  test("2: completed through this lease: the same proof is a duplicate, any other 409", async () => {
    const task_id = await noop();
    const holder = await prover("holder");
    const lease = await holder.takeOne();
    await holder.complete(lease.lease_id, valid(lease));
    const before = await taskOf(cluster, task_id);
    const again = await holder.complete(lease.lease_id, valid(lease));
    expect([again.status, again.body]).toMatchObject([
      200,
      { status: "completed", task_id, duplicate: true },
    ]);
    const other = await holder.complete(lease.lease_id, wrong);
    expect([other.status, other.body.code]).toEqual([409, "proof-mismatch"]);
    const { request_id: _, ...after } = await taskOf(cluster, task_id);
    expect(before).toMatchObject(after);
  });

  test("3: completed through another lease, cancelled, failed or expired: 409", async () => {
    const [first, second] = [await prover("first", 4), await prover("second", 4)];
    const deadline = new Date(Date.now() + 1_500).toISOString();
    const tasks = {
      elsewhere: await noop(),
      cancelled: await noop(),
      failed: await noop(),
      expired: await noop({ deadline }),
    };
    const leases = await first.take(4);
    const leaseOf = (task_id: string) => {
      const lease = leases.find((one) => one.task_id === task_id);
      if (lease === undefined) throw new Error(`${task_id} was not granted`);
      return lease;
    };
    await first.release(leaseOf(tasks.elsewhere).lease_id);
    const taken = await second.takeOne();
    await second.complete(taken.lease_id, valid(taken));
    await cluster.post(`/api/v1/tasks/${tasks.cancelled}/cancel`, "");
    await first.fail(leaseOf(tasks.failed).lease_id, { retryable: false });
    // The time of entries is behind where the whole machine was held up, and deadlines are measured in it.
    await eventually(
      "its time is over",
      async () => (await taskOf(cluster, tasks.expired)).status === "expired",
      50_000,
    );
    for (const [outcome, task_id] of Object.entries(tasks)) {
      const before = await taskOf(cluster, task_id);
      expect(before.status).toBe(outcome === "elsewhere" ? "completed" : outcome);
      for (const proof of [valid(leaseOf(task_id)), wrong]) {
        const { status, body } = await first.complete(leaseOf(task_id).lease_id, proof);
        expect([status, body.code]).toEqual([409, "lease-superseded"]);
      }
      const { request_id: _, ...after } = await taskOf(cluster, task_id);
      expect(before).toMatchObject(after);
    }
  });

  test("4: an invalid proof through the current lease is 422 and spends the attempt; through an old one 409, nothing spent", async () => {
    const task_id = await noop({ max_attempts: 2 });
    const holder = await prover("holder");
    const old = await holder.takeOne();
    await holder.release(old.lease_id);
    const late = await holder.complete(old.lease_id, wrong);
    expect([late.status, late.body.code]).toEqual([409, "lease-superseded"]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 0 });
    const current = await holder.takeOne();
    const { status, body } = await holder.complete(current.lease_id, wrong);
    expect([status, body.code]).toEqual([422, "proof-invalid"]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 1 });
    expect(await attemptsOf(cluster, task_id)).toMatchObject([
      { outcome: "released" },
      { outcome: "proof-invalid" },
    ]);
  });

  test("5: a valid proof through an old lease while the task is open: accepted late, and the holder is told to stop", async () => {
    const task_id = await noop();
    const [late, holder] = [await prover("late"), await prover("holder")];
    const old = await late.takeOne();
    await late.release(old.lease_id);
    const { lease_id } = await holder.takeOne();
    const { status, body } = await late.complete(old.lease_id, valid(old));
    expect([status, body]).toMatchObject([200, { status: "completed", task_id, accepted_late: true }]);
    expect((await holder.heartbeat([lease_id])).body.leases).toEqual([{ lease_id, directive: "cancel" }]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "completed", worker_id: "late" });
  });

  test("next: as many leases as fit, for the process that registered, and none for another", async () => {
    for (let task = 0; task < 4; task++) await noop();
    const holder = await prover("holder", 2);
    const [first, second] = await holder.take(2);
    if (first === undefined || second === undefined) throw new Error("two were granted");
    const brought = await holder.complete(first.lease_id, valid(first), {
      next: { max: 5, boot_id: "boot-1" },
    });
    expect(brought.body.leases?.map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(brought.body.leases?.map(({ task_id }) => task_id)).toContain(second.task_id);
    const stranger = await holder.complete(second.lease_id, valid(second), {
      next: { max: 5, boot_id: "boot-0" },
    });
    expect([stranger.status, stranger.body.leases]).toEqual([200, []]);
  });
});

describe("GET /api/v1/workers[/{id}]", () => {
  interface Page {
    readonly items: readonly { readonly worker_id: string }[];
    readonly next_cursor?: string;
  }

  test("lists workers in the order of their names, page by page", async () => {
    for (const id of ["c", "a", "b"]) await worker(id);
    const first = (await cluster.json<Page>("/api/v1/workers?limit=2")).body;
    expect(first.items.map(({ worker_id }) => worker_id)).toEqual(["a", "b"]);
    const rest = (await cluster.json<Page>(`/api/v1/workers?limit=2&cursor=${first.next_cursor}`)).body;
    expect([rest.items.map(({ worker_id }) => worker_id), rest.next_cursor]).toEqual([["c"], undefined]);
  });

  test("shows labels and leases without what only the holder of a lease knows", async () => {
    const [task_id] = await submit(1);
    const holder = await worker("holder");
    await holder.register({ labels: { zone: "north" } });
    const { lease_id } = await holder.takeOne();
    const { status, text, body } = await cluster.json("/api/v1/workers/holder");
    expect([status, body]).toMatchObject([200, { labels: { zone: "north" }, leases: [`${task_id}.1`] }]);
    expect(text).not.toContain(lease_id);
    expect(text).not.toContain("boot-1");
  });

  test("of a worker that is not there is 404, of what is no name 400", async () => {
    expect((await cluster.json("/api/v1/workers/nobody")).body.code).toBe("worker-unknown");
    expect((await cluster.json("/api/v1/workers/no%20body")).status).toBe(400);
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
