/**
 * What becomes of workers that fall silent and of the leases that they hold; periods are short here. Late proofs are real.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProver } from "../../worker-sim/prover/index.ts";
import { type Cluster, eventually, leaderOf, ready, startCluster } from "./harness.ts";
import { attemptsOf, prove, submitTask, TestProver, taskOf } from "./provers.ts";

const LEASE_MS = 600;

let cluster: Cluster;
const prover = createProver({ threads: 1 });

beforeAll(async () => {
  cluster = await startCluster({ variables: { LEASE_MS: String(LEASE_MS) } });
  await ready(cluster);
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

async function worker(id: string, slots = 1): Promise<TestProver> {
  const made = new TestProver(cluster, id, slots);
  await made.register();
  return made;
}

function stateOf(made: TestProver, state: string): Promise<boolean> {
  return eventually(
    `${made.worker_id} is ${state}`,
    async () => (await made.view()).body.state === state,
    5_000,
  );
}

/** Beats until `condition` holds. */
async function beatUntil(
  made: TestProver,
  lease_ids: readonly string[],
  condition: () => Promise<boolean>,
): Promise<void> {
  await eventually("what the heartbeats wait for", async () => {
    const { status } = await made.heartbeat(lease_ids);
    expect(status).toBe(200);
    return condition();
  });
}

describe("a worker that falls silent", () => {
  test("is suspect after one period and dead after two; its lease goes back and costs no attempt", async () => {
    const task_id = await submitTask(cluster);
    const silent = await worker("silent");
    const heard = Date.now();
    await silent.takeOne();
    await stateOf(silent, "suspect");
    expect(Date.now() - heard).toBeGreaterThanOrEqual(LEASE_MS);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "assigned" });

    await stateOf(silent, "dead");
    expect(Date.now() - heard).toBeGreaterThanOrEqual(2 * LEASE_MS);
    expect((await silent.view()).body.leases).toEqual([]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 0, losses: 1 });
    expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "worker-lost" }]);
    for (const name of cluster.names) {
      await eventually(`${name} shows the dead worker`, async () => {
        const { body } = await cluster.json<{ workers: object; capacity: object }>(
          `/replicas/${name}/health`,
        );
        const { workers, capacity } = body;
        return (
          JSON.stringify([workers, capacity]) ===
          '[{"total":1,"active":0,"suspect":0,"dead":1},{"total":0,"used":0,"available":0}]'
        );
      });
    }
    expect((await silent.pull()).body.code).toBe("worker-unknown");
    expect((await silent.heartbeat()).body.code).toBe("worker-unknown");

    expect((await silent.register()).status).toBe(200);
    expect(await silent.takeOne()).toMatchObject({ task_id, attempt: 2 });
    expect(await silent.remove()).toBe(204);
    await failPending();
  });

  test("is active again with its next heartbeat if it is only suspect", async () => {
    const quiet = await worker("quiet");
    await stateOf(quiet, "suspect");
    expect((await quiet.heartbeat()).status).toBe(200);
    await stateOf(quiet, "active");
    expect(await quiet.remove()).toBe(204);
  });

  test("learns from a pull that still waits when it is declared dead that it has to register", async () => {
    const waiting = await worker("waiting");
    const began = Date.now();
    const { status, body } = await waiting.pull(1, 20);
    expect([status, body.code]).toEqual([404, "worker-unknown"]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(2 * LEASE_MS);
    expect((await waiting.register()).status).toBe(200);
    expect(await waiting.remove()).toBe(204);
  });
});

test("a worker that lists its lease keeps it for as long as it likes", async () => {
  const task_id = await submitTask(cluster);
  const steady = await worker("steady");
  const { lease_id } = await steady.takeOne();
  const began = Date.now();
  await beatUntil(steady, [lease_id], async () => Date.now() - began > 3 * LEASE_MS);
  expect((await steady.heartbeat([lease_id])).body.leases).toMatchObject([{ directive: "continue" }]);
  expect(await taskOf(cluster, task_id)).toMatchObject({ status: "in_progress", worker_id: "steady" });
  expect(await steady.remove()).toBe(204);
  await failPending();
});

test("a lease that its worker no longer lists goes back after a period, and costs no attempt", async () => {
  const task_id = await submitTask(cluster);
  const forgetful = await worker("forgetful");
  await forgetful.takeOne();
  await beatUntil(forgetful, [], async () => (await taskOf(cluster, task_id)).status === "pending");
  expect(await taskOf(cluster, task_id)).toMatchObject({ attempts_spent: 0, losses: 1 });
  expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "missing" }]);
  expect(await forgetful.remove()).toBe(204);
  await failPending();
});

test("a lease that exceeds its task's run time ends and spends the attempt, heartbeats or not", async () => {
  const task_id = await submitTask(cluster, { max_runtime_ms: 300, max_attempts: 1 });
  const slow = await worker("slow");
  const { lease_id, max_runtime_ms } = await slow.takeOne();
  expect(max_runtime_ms).toBe(300);
  await beatUntil(slow, [lease_id], async () => (await taskOf(cluster, task_id)).status === "failed");
  expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "timed-out" }]);
  expect((await slow.heartbeat([lease_id])).body.leases).toEqual([{ lease_id, directive: "cancel" }]);
  expect(await slow.remove()).toBe(204);
});

test("a valid proof that comes late is accepted, and the holder of the new lease is told to stop", async () => {
  const task_id = await submitTask(cluster);
  const late = await worker("late");
  const lease = await late.takeOne();
  const proved = await prove(prover, lease);
  await stateOf(late, "dead");

  const successor = await worker("successor");
  const taken = await successor.takeOne();
  expect(taken).toMatchObject({ task_id, attempt: 2 });
  const { status, body } = await late.complete(lease.lease_id, proved);
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: "completed", task_id, accepted_late: true });
  expect(await taskOf(cluster, task_id)).toMatchObject({ status: "completed", worker_id: "late" });
  expect(await attemptsOf(cluster, task_id)).toMatchObject([
    { attempt: 1, worker_id: "late", outcome: "completed" },
    { attempt: 2, worker_id: "successor", outcome: "superseded" },
  ]);

  const { body: beaten } = await successor.heartbeat([taken.lease_id]);
  expect(beaten.leases).toEqual([{ lease_id: taken.lease_id, directive: "cancel" }]);
  const second = await successor.complete(taken.lease_id, proved);
  expect([second.status, second.body.code]).toEqual([409, "lease-superseded"]);
  const again = await late.complete(lease.lease_id, proved);
  expect(again.body).toMatchObject({ duplicate: true, accepted_late: true });
  expect(await successor.remove()).toBe(204);
});

test("a new leader gives every worker two full periods before it declares anybody dead", async () => {
  const task_id = await submitTask(cluster);
  const orphan = await worker("orphan");
  await orphan.takeOne();
  await stateOf(orphan, "suspect");
  const leader = await leaderOf(cluster);
  const stopping = Date.now();
  await cluster.fault(leader, "stop");
  await stateOf(orphan, "dead");
  expect(Date.now() - stopping).toBeGreaterThanOrEqual(2 * LEASE_MS);
  expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "worker-lost" }]);
  await cluster.fault(leader, "start");
});

/** What a test has left in the queue would be the next one's first lease. */
async function failPending(): Promise<void> {
  const sweeper = await worker("sweeper", 10);
  for (const { lease_id } of await sweeper.take(10)) await sweeper.fail(lease_id, { retryable: false });
  await sweeper.remove();
}
