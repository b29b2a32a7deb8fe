/**
 * What an outsider who may read can do with what he reads: nothing. On a real cluster, with a real proof, since a
 * completion must get past the verifier first.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { circuits } from "../../src/proofs/index.ts";
import { createProver, type Prover } from "../../worker-sim/prover/index.ts";
import { allHealthy, type Cluster, leaderOf, ready, startCluster } from "../cluster/harness.ts";
import { prove, submitTask, TestProver, taskOf } from "../cluster/provers.ts";
import { sampleOf } from "../proofs/samples.ts";

let cluster: Cluster;
let prover: Prover;
beforeAll(async () => {
  cluster = await startCluster();
  prover = createProver({ threads: 1 });
  await ready(cluster);
  await allHealthy(cluster);
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

describe("a completion repeated by somebody who only reads", () => {
  it("brings him none of the worker's leases, and grants nothing in the worker's name", async () => {
    const worker = new TestProver(cluster, "victim", 3);
    await worker.register();
    const done = await submitTask(cluster);
    const lease = await worker.takeOne();
    const proved = await prove(prover, lease);
    expect((await worker.complete(lease.lease_id, proved)).status).toBe(200);
    await submitTask(cluster);
    const held = await worker.takeOne();
    const waiting = await submitTask(cluster);

    const seen = await taskOf(cluster, done);
    const body = { worker_id: seen.worker_id, proof: seen.proof, public_inputs: seen.public_inputs };
    for (const next of [{ max: 1_000 }, { max: 1_000, boot_id: "guessed" }]) {
      const path = `/api/v1/leases/${lease.lease_id}/complete`;
      const { status, body: answer } = await cluster.post(path, { ...body, next });
      expect([status, answer.duplicate, answer.leases]).toEqual([200, true, []]);
    }
    expect((await taskOf(cluster, waiting)).status).toBe("pending");
    expect((await worker.view()).body.leases).toHaveLength(1);
    await worker.release(held.lease_id);
  });
});

describe("what a replica answers to the router's questions", () => {
  it("holds no input, no blinding and nobody's process: not even the router could show them", async () => {
    const worker = new TestProver(cluster, "asked-about");
    worker.boot_id = "boot-of-the-asked-about";
    await worker.register();
    const leaves = Array.from({ length: 1_000 }, (_, at) => `5ec4e7${at.toString(16).padStart(58, "0")}`);
    expect((await cluster.post("/api/v1/tasks/merkle", { leaves })).status).toBe(202);
    const { lease_id, task_id, input } = await worker.takeOne();
    const leader = await leaderOf(cluster);
    for (const query of [
      { type: "task", task_id },
      { type: "tasks", limit: 500 },
      { type: "lease", lease_id },
      { type: "worker", worker_id: worker.worker_id },
      { type: "workers", limit: 500 },
    ]) {
      const body = await cluster.call(leader, "/read", { query, consistency: "leader" });
      const text = JSON.stringify(body);
      expect([query, body.type, body.result]).toEqual([query, "answer", expect.any(Object)]);
      for (const secret of ["5ec4e7", String(input.blinding), worker.boot_id])
        expect([query, text.includes(secret)]).toEqual([query, false]);
    }
    await worker.release(lease_id);
  });
});

describe("the id of a lease", () => {
  it("is shown to nobody but its holder, and without it the lease cannot be ended", async () => {
    const worker = new TestProver(cluster, "holder");
    await worker.register();
    await submitTask(cluster);
    const { lease_id, task_id, attempt } = await worker.takeOne();
    const name = `${task_id}.${attempt}`;
    const secret = lease_id.slice(`${name}.`.length);
    expect(secret).toMatch(/^[0-9a-f]{16}$/);

    for (const path of [
      `/api/v1/tasks/${task_id}`,
      `/api/v1/tasks/${task_id}/attempts`,
      "/api/v1/tasks",
      "/api/v1/workers",
      `/api/v1/workers/${worker.worker_id}`,
      "/events",
      "/metrics",
      "/health",
      "/status",
    ]) {
      const text = await (await cluster.fetch(path)).text();
      expect([path, text.includes(secret), text.includes(worker.boot_id)]).toEqual([path, false, false]);
    }
    expect((await worker.view()).body.leases).toEqual([name]);

    for (const known of [name, `${name}.${"0".repeat(16)}`]) {
      for (const ended of [await worker.fail(known, { retryable: false }), await worker.release(known)]) {
        expect([ended.status, ended.body.code]).toEqual([404, "lease-unknown"]);
      }
    }
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "assigned", attempts_spent: 0 });
    expect((await worker.release(lease_id)).status).toBe(200);
  });

  it("does not stand in the log", async () => {
    const worker = new TestProver(cluster, "logged");
    await worker.register();
    await submitTask(cluster);
    const { lease_id, task_id, attempt } = await worker.takeOne();
    await worker.release(lease_id);
    await worker.fail(lease_id.replaceAll(".", "%2e"));
    const logged = cluster.logs.filter((line) => line.includes(task_id));
    expect(logged.some((line) => line.includes(`path=/api/v1/leases/${task_id}.${attempt}/release`))).toBe(
      true,
    );
    expect(logged.filter((line) => line.includes(lease_id.slice(-16)))).toEqual([]);
  });
});

describe("the log of a busy cluster", () => {
  it("holds no input, no blinding, no proof, no id of a lease and no process", async () => {
    const worker = new TestProver(cluster, "busy", 4);
    worker.boot_id = "boot-of-the-busy-one";
    await worker.register();
    const secrets: string[] = [worker.boot_id, "ba5e1355"];
    const leaves = (at: number) => [`ba5e1355${at.toString(16)}`, "ba5e1355ff"];
    for (let at = 0; at < 4; at++) {
      const { status } = await cluster.post("/api/v1/tasks/merkle", { leaves: leaves(at) });
      expect(status).toBe(202);
    }
    const held = await worker.take(4);
    for (const { lease_id, input } of held) secrets.push(lease_id.slice(-16), String(input.blinding));
    const [good, wrong, failed, released] = held;
    if (!good || !wrong || !failed || !released) throw new Error("four leases were due");
    const proved = await prove(prover, good);
    const [first = ""] = (proved.proof as { pi_a: string[] }).pi_a;
    secrets.push(first);
    expect((await worker.heartbeat(held.map(({ lease_id }) => lease_id))).status).toBe(200);
    expect((await worker.complete(good.lease_id, proved)).status).toBe(200);
    expect((await worker.complete(wrong.lease_id, proved)).status).toBe(422);
    expect((await worker.fail(failed.lease_id, { message: "ba5e1355 in a message" })).status).toBe(200);
    expect((await worker.release(released.lease_id)).status).toBe(200);
    // What is refused is not written down either, wherever it stands.
    await cluster.post("/api/v1/tasks/merkle", '{"leaves":["ba5e1355zz"]}');
    await cluster.post("/api/v1/tasks/merkle", '{"leaves":["ba5e1355",');
    await cluster.json("/api/v1/tasks?worker_id=ba5e1355");
    await cluster.fault(await leaderOf(cluster), "reset");
    await ready(cluster);
    const logged = cluster.logs.join("\n");
    expect(logged).toContain(`/api/v1/leases/${good.task_id}.${good.attempt}/complete status=200`);
    expect(logged).toContain("raft: election won");
    for (const secret of secrets) expect([secret, logged.includes(secret)]).toEqual([secret, false]);
  });
});

/** Every string and number in it that is long enough to be looked for. */
function longParts(value: unknown): readonly string[] {
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(longParts);
  const text = String(value);
  return text.length >= 20 ? [text] : [];
}

describe.each([...circuits.keys()])("the private input of %s", (circuit) => {
  it("is in no answer to somebody who does not hold the lease, and in no log, whatever becomes of the task", async () => {
    const input = sampleOf(circuit);
    const { status, body, text } = await cluster.post(`/api/v1/tasks/${circuit}`, {
      ...input,
      max_attempts: 1,
      priority: 100,
    });
    expect(status, text).toBe(202);
    const task_id = String(body.task_id);
    const worker = new TestProver(cluster, `for-${circuit}`);
    await worker.register({ circuits: prover.circuits.filter(({ name }) => name === circuit) });
    const lease = await worker.takeOne();
    expect(lease.task_id).toBe(task_id);
    // Wrong in the last place: it is refused, and the error must not say by what.
    const wrong = {
      ...input,
      ...Object.fromEntries(
        Object.keys(input)
          .slice(-1)
          .map((name) => [name, {}]),
      ),
    };
    const refused = await cluster.post(`/api/v1/tasks/${circuit}`, wrong);
    expect(refused.status).toBe(400);
    const failed = await worker.complete(lease.lease_id, { proof: {}, public_inputs: lease.public_inputs });
    expect(failed.status).toBe(422);

    const shown = await Promise.all(
      [
        `/api/v1/tasks/${task_id}`,
        `/api/v1/tasks/${task_id}/attempts`,
        "/api/v1/tasks?limit=500",
        "/events?include=system",
        "/metrics",
        "/api/v1/workers",
      ].map(async (path) => (await cluster.fetch(path)).text()),
    );
    const seen = [...shown, refused.text, failed.text, ...cluster.logs].join("\n");
    expect(seen).toContain(task_id);
    const known = new Set(lease.public_inputs);
    const secrets = [String(lease.input.blinding), ...longParts(input)].filter((part) => !known.has(part));
    expect(secrets.length).toBeGreaterThan(0);
    for (const secret of secrets) expect([secret, seen.includes(secret)]).toEqual([secret, false]);
  });
});
