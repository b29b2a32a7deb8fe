/** `GET /api/v1/workers/{id}/hints`: workers that wait without asking, beside a group that sleeps. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type WorkHints } from "../../src/client/index.ts";
import { circuitsOf } from "../../src/proofs/index.ts";
import { type Cluster, eventually, leaderOf, ready, startCluster } from "./harness.ts";
import { TestProver, taskOf } from "./provers.ts";

const LEASE_MS = 1_500;
const SLEEP_AFTER_MS = 500;
const NOOP = { name: "noop", vk_hash: circuitsOf({ bench: true }).get("noop")?.vk_hash ?? "" };
const over = new AbortController();
let cluster: Cluster;

beforeAll(async () => {
  const variables = { BENCH: "on", LEASE_MS: String(LEASE_MS), SLEEP_AFTER_MS: String(SLEEP_AFTER_MS) };
  cluster = await startCluster({ variables });
  await ready(cluster);
});
afterAll(async () => {
  over.abort();
  await cluster.stop();
});

async function worker(id: string): Promise<TestProver> {
  const made = new TestProver(cluster, id);
  expect((await made.register({ circuits: [NOOP] })).status).toBe(201);
  return made;
}

async function listen({ worker_id, boot_id }: TestProver, signal = over.signal): Promise<WorkHints> {
  const hints = createClient({ url: cluster.url }).workers.hints(worker_id, boot_id, signal);
  await eventually("the socket is open", async () => hints.open);
  return hints;
}

let contents = 0;
async function submit(): Promise<void> {
  contents += 1;
  const { status } = await cluster.post("/api/v1/tasks/noop", { data: `${contents}` });
  expect(status).toBe(202);
}

/** Pulls one task and completes it. */
async function work(prover: TestProver): Promise<void> {
  const lease = await prover.takeOne();
  const { public_inputs } = await taskOf(cluster, lease.task_id);
  const { status, text } = await prover.complete(lease.lease_id, { proof: {}, public_inputs });
  expect(status, text).toBe(200);
}

async function asleep(): Promise<void> {
  await eventually("all are asleep", async () => {
    const seen = await Promise.all(cluster.names.map((name) => cluster.json(`/replicas/${name}/status`)));
    return seen.every(({ body }) => body.asleep === true);
  });
}

/** Whoever looks is told so by each replica, and wakes nobody. */
async function showsItsSleep(): Promise<void> {
  const prefixes = ["", ...cluster.names.map((name) => `/replicas/${name}`)];
  for (let round = 0; round < 3; round++) {
    for (const prefix of prefixes) {
      const health = await cluster.json(`${prefix}/health`);
      expect([prefix, health.status, health.body]).toMatchObject([
        prefix,
        200,
        { status: "healthy", raft: { asleep: true, partition_state: "healthy" } },
      ]);
      expect((await cluster.json(`${prefix}/status`)).body).toMatchObject({ asleep: true });
      const metrics = await (await cluster.fetch(`${prefix}/metrics`)).text();
      expect(metrics).toMatch(/^consensus_asleep\{.*\} 1$/m);
      expect(metrics).toMatch(/^cluster_healthy_nodes 3$/m);
      expect((await cluster.json(`${prefix}/readyz`)).body).toMatchObject({ ready: true, asleep: true });
      expect((await cluster.json(`${prefix}/api/v1/cluster`)).body).toMatchObject({
        asleep: true,
        warnings: [],
      });
    }
  }
}

const started = () => cluster.logs.filter((line) => line.includes("replica: started")).length;

describe("a worker that listens", () => {
  test("is told of a task that comes, once, and again only after it has pulled", async () => {
    const prover = await worker("told");
    const hints = await listen(prover);
    hints.heard();
    await submit();
    await hints.news();
    hints.heard();
    await submit();
    await work(prover);
    await hints.news();
    await work(prover);
    await prover.remove();
  });

  test("is told at once of a task that is there already", async () => {
    await submit();
    const prover = await worker("late");
    const hints = await listen(prover);
    hints.heard();
    await work(prover);
    await prover.remove();
  });

  test("keeps nobody awake, is not taken for dead, and is told by the group that its task has woken", async () => {
    const prover = await worker("quiet");
    const hints = await listen(prover);
    await asleep();
    const before = started();
    await showsItsSleep();
    // Longer than the platform keeps idle objects in memory, and than a silent worker lives.
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    expect(started()).toBe(before);
    expect(hints.open).toBe(true);
    hints.heard();
    await submit();
    await hints.news();
    expect(started()).toBeGreaterThan(before);
    expect((await prover.view()).body.state).toBe("active");
    await work(prover);
    await prover.remove();
  });

  test("is let go when its leader stops, and is told by the next one", async () => {
    const prover = await worker("moved");
    const hints = await listen(prover);
    const leader = await leaderOf(cluster);
    await cluster.fault(leader, "stop");
    await eventually("it listens at another one", async () => {
      const now = await cluster.json("/status");
      return hints.open && now.body.node_id !== leader;
    });
    hints.heard();
    await submit();
    await hints.news();
    await work(prover);
    await cluster.fault(leader, "start");
    await prover.remove();
  });
});

describe("is refused", () => {
  test("without an upgrade, to a worker that is not registered, and to a process that was superseded", async () => {
    await worker("known");
    const path = (id: string, boot_id: string) => `/api/v1/workers/${id}/hints?boot_id=${boot_id}`;
    const plain = await cluster.json(path("known", "boot-1"));
    expect([plain.status, plain.body.code]).toEqual([426, "upgrade-required"]);
    const ending = new AbortController();
    for (const [id, boot_id] of [
      ["unknown", "boot-1"],
      ["known", "boot-0"],
    ] as const) {
      const hints = createClient({ url: cluster.url }).workers.hints(id, boot_id, ending.signal);
      await hints.news();
      expect(hints.open).toBe(false);
    }
    ending.abort();
  });
});
