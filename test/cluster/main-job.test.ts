/**
 * The main job over HTTP alone, prover included: a task is submitted, leased, proved for real, verified, committed on
 * every replica, and snarkjs agrees. It does not show the worker pool, which has tests of its own.
 */
import { groth16 } from "snarkjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LeaseOffer } from "../../src/api/workers.ts";
import { createProver, type Proved } from "../../worker-sim/prover/index.ts";
import { startSnarkjs } from "../worker-sim/snarkjs.ts";
import { type Cluster, eventually, leaderOf, ready, startCluster } from "./harness.ts";
import { attemptsOf, prove, submitTask, TestProver, taskOf } from "./provers.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const LEAVES = [
  "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef",
  "0xfedcba0987654321fedcba0987654321fedcba0987654321fedcba0987654321",
];

let cluster: Cluster;
let worker: TestProver;
const prover = createProver({ threads: 1 });

/** The task of the first test, which the later ones look at. */
let task_id: string;
let offer: LeaseOffer;
let proved: Proved;

beforeAll(async () => {
  cluster = await startCluster({ variables: { LOCAL_PORT_BASE: "8090" } });
  await ready(cluster);
  worker = new TestProver(cluster, "prover-1", 2);
  await startSnarkjs();
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

describe("from a task to an accepted proof", () => {
  test("the two-leaf task is accepted with 202 and waits", async () => {
    const { status, body, headers } = await cluster.post("/api/v1/tasks/merkle", {
      leaves: LEAVES,
      leaf_index: 0,
    });
    expect(status).toBe(202);
    expect(body).toEqual({
      success: true,
      task_id: expect.stringMatching(UUID),
      status: "pending",
      message: expect.any(String),
      request_id: headers.get("x-request-id"),
    });
    task_id = String(body.task_id);
    expect(headers.get("location")).toBe(`/api/v1/tasks/${task_id}`);
    const task = await taskOf(cluster, task_id);
    expect(task).toMatchObject({ success: true, status: "pending", circuit_type: "merkle_proof" });
    expect(task).not.toHaveProperty("proof");
    expect(task).not.toHaveProperty("started_at");
  });

  test("a prover registers, pulls it and reports it as begun", async () => {
    const registered = await worker.register();
    expect(registered.status).toBe(201);
    expect(registered.body).toMatchObject({
      lease_ms: 30_000,
      heartbeat_interval_ms: 10_000,
      circuits: ["merkle"],
      leases: [],
    });
    expect((await worker.register()).status).toBe(200);

    const asked = Date.now();
    offer = await worker.takeOne();
    expect(offer).toMatchObject({
      task_id,
      attempt: 1,
      circuit: "merkle",
      input: { leaves: LEAVES, leaf_index: 0, blinding: expect.any(String), context: expect.any(String) },
    });
    expect(Date.parse(offer.expires_at)).toBeGreaterThan(asked + 30_000);
    expect(await taskOf(cluster, task_id)).toMatchObject({
      status: "assigned",
      worker_id: "prover-1",
      started_at: expect.any(String),
    });

    const beaten = await worker.heartbeat([offer.lease_id]);
    expect(beaten.body.leases).toEqual([
      { lease_id: offer.lease_id, directive: "continue", expires_at: expect.any(String) },
    ]);
    expect(beaten.body.missing).toEqual([]);
    await eventually(
      "the task is in progress",
      async () => (await taskOf(cluster, task_id)).status === "in_progress",
    );
  });

  test("a real proof is verified and completes the task", async () => {
    proved = await prove(prover, offer);
    const { status, body } = await worker.complete(offer.lease_id, proved, { duration_ms: 1 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "completed", task_id, leases: [] });
    expect(body).not.toHaveProperty("duplicate");
    expect(body).not.toHaveProperty("accepted_late");

    const answer = await cluster.json(`/api/v1/tasks/${task_id}`);
    expect(answer.body).toMatchObject({
      status: "completed",
      circuit_type: "merkle_proof",
      proof: proved.proof,
      public_inputs: proved.public_inputs,
      merkle_root: `0x${BigInt(proved.public_inputs[0] ?? "")
        .toString(16)
        .padStart(64, "0")}`,
      worker_id: "prover-1",
      attempt: 1,
      attempts_spent: 0,
      completed_at: expect.any(String),
    });
    expect(answer.text.match(/"status":/g)).toHaveLength(1);
    expect(await attemptsOf(cluster, task_id)).toMatchObject([
      { attempt: 1, worker_id: "prover-1", outcome: "completed" },
    ]);
  });

  test("snarkjs itself verifies the published proof with the published key", async () => {
    const { body: circuit } = await cluster.json("/api/v1/circuits/merkle");
    const { body: published } = await cluster.json(`/api/v1/tasks/${task_id}/proof`);
    expect(published).toEqual(proved.proof);
    const { public_inputs } = await taskOf(cluster, task_id);
    expect(await groth16.verify(circuit.verifying_key, public_inputs ?? [], published)).toBe(true);
    const files = await Promise.all(
      ["verification_key", "public", "proof"].map(async (file) => {
        const reply = await cluster.json<unknown>(`/api/v1/tasks/${task_id}/proof?file=${file}`);
        expect(reply.headers.get("content-disposition")).toBe(`attachment; filename="${file}.json"`);
        return reply.body;
      }),
    );
    const [key, signals, proof] = files;
    expect([key, signals, proof]).toEqual([circuit.verifying_key, public_inputs, published]);

    const check = (inputs: unknown) =>
      cluster.post("/api/v1/proofs/verify", { circuit: "merkle", proof: published, public_inputs: inputs });
    expect((await check(public_inputs)).body).toMatchObject({ valid: true });
    expect((await check(["1", "2", "3"])).body).toMatchObject({ valid: false, reason: expect.any(String) });
  });

  test("the result is committed and applied on three of three replicas", async () => {
    const { body: status } = await cluster.json("/status");
    for (const name of cluster.names) {
      await eventually(`${name} has applied ${status.commit_index}`, async () => {
        const own = await cluster.json(`/replicas/${name}/status`);
        return Number(own.body.applied_index) >= Number(status.commit_index);
      });
      const stale = await cluster.json(`/replicas/${name}/api/v1/tasks/${task_id}?consistency=stale`);
      expect(stale.body).toMatchObject({ status: "completed", proof: proved.proof });
      expect(Number(stale.headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(
        Number(status.commit_index),
      );
    }
  });

  test("three healths show one leader, one address, and the same workers and capacity", async () => {
    const leader = await leaderOf(cluster);
    const healths = await Promise.all(
      cluster.names.map(async (name) => (await cluster.json(`/replicas/${name}/health`)).body),
    );
    const port = 8090 + cluster.names.indexOf(leader);
    for (const [index, health] of healths.entries()) {
      const name = cluster.names[index];
      expect(health).toMatchObject({
        status: "healthy",
        coordinator_id: name,
        raft: {
          state: name === leader ? "Leader" : "Follower",
          is_leader: name === leader,
          leader_address: `${leader}:${port}`,
          node_id: name,
        },
        workers: { total: 1, active: 1, suspect: 0, dead: 0 },
        capacity: { total: 2, used: 0, available: 2 },
        scheduler: { tasks_assigned: 1, assignments_failed: 0 },
      });
      expect(Object.keys(health).slice(0, 6)).toEqual([
        "status",
        "coordinator_id",
        "raft",
        "workers",
        "capacity",
        "scheduler",
      ]);
    }
  });
});

describe("a repeated completion", () => {
  test("with the same proof is the same success, marked as a duplicate", async () => {
    const { status, body } = await worker.complete(offer.lease_id, proved);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "completed", task_id, duplicate: true });
  });

  test("with another proof is 409, be that one valid or not, and the first proof stays", async () => {
    const another = await prove(prover, offer);
    expect(another.proof).not.toEqual(proved.proof);
    for (const proof of [another.proof, { ...proved.proof, pi_a: ["1", "2", "1"] }, null]) {
      const { status, body } = await worker.complete(offer.lease_id, { ...proved, proof });
      expect([status, body.code]).toEqual([409, "proof-mismatch"]);
    }
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "completed", proof: proved.proof });
  });
});

test("a completion that asks for more brings the next leases with it", async () => {
  const first = await submitTask(cluster);
  const lease = await worker.takeOne();
  expect(lease.task_id).toBe(first);
  const second = await submitTask(cluster);
  const proved = await prove(prover, lease);
  const next = { max: 2, boot_id: worker.boot_id };
  const answer = await worker.complete(lease.lease_id, proved, { next });
  expect(answer.body.leases).toMatchObject([{ task_id: second, attempt: 1 }]);
  const [{ lease_id = "" } = {}] = answer.body.leases ?? [];
  expect((await worker.release(lease_id)).status).toBe(200);
});

test("input and blinding are given to the holder of the lease and to nobody else", async () => {
  const { blinding } = offer.input as { blinding: string };
  const [leaf = ""] = LEAVES;
  for (const path of [
    `/api/v1/tasks/${task_id}`,
    `/api/v1/tasks/${task_id}/attempts`,
    `/api/v1/tasks/${task_id}/proof`,
    "/api/v1/tasks",
    "/api/v1/workers",
    "/events",
    "/metrics",
    "/status",
  ]) {
    const text = await (await cluster.fetch(path)).text();
    expect(text.length, path).toBeGreaterThan(0);
    expect(text, path).not.toContain(blinding);
    expect(text, path).not.toContain(leaf.slice(2));
  }
  const logged = cluster.logs.join("\n");
  expect(logged).toContain(`/api/v1/leases/${task_id}.1/complete`);
  expect(logged).not.toContain(blinding);
  expect(logged).not.toContain(leaf.slice(2));
});
