/**
 * What an outsider who may read can do with what he reads: nothing. On a real cluster, with a real proof, since a
 * completion must get past the verifier first.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProver, type Prover } from "../../worker-sim/prover/index.ts";
import { allHealthy, type Cluster, ready, startCluster } from "../cluster/harness.ts";
import { attemptsOf, prove, submitTask, TestProver, taskOf } from "../cluster/provers.ts";

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
    const attempts = await attemptsOf(cluster, done);
    for (const next of [{ max: 1_000 }, { max: 1_000, boot_id: "guessed" }]) {
      const path = `/api/v1/leases/${lease.lease_id}/complete`;
      const { status, body: answer } = await cluster.post(path, { ...body, next });
      expect([status, answer.duplicate, answer.leases]).toEqual([200, true, []]);
    }
    expect(attempts).toHaveLength(1);
    expect((await taskOf(cluster, waiting)).status).toBe("pending");
    expect((await worker.view()).body.leases).toHaveLength(1);
    await worker.release(held.lease_id);
  });
});
