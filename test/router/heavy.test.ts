/** What costs the router much, on the thread that it shares with the replicas here: no election may come of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allHealthy, type Cluster, ready, startCluster } from "../cluster/harness.ts";
import { submitTask, TestProver } from "../cluster/provers.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  await allHealthy(cluster);
});
afterAll(() => cluster.stop());

async function term(): Promise<unknown> {
  return (await cluster.json("/status")).body.current_term;
}

let content = 0;
function leaves(count: number): readonly string[] {
  return Array.from({ length: count }, () => (++content).toString(16).padStart(64, "0"));
}

describe("submissions of a thousand leaves, many at once", () => {
  it("are accepted one after the other, and the leader stays", async () => {
    const before = await term();
    const replies = await Promise.all(
      Array.from({ length: 6 }, () => cluster.post("/api/v1/tasks/merkle", { leaves: leaves(1_000) })),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 202));
    expect(await term()).toBe(before);
  });
});

describe("a proof of almost five MiB that is none", () => {
  it("is refused for its shape, not for what it would cost to look at it all", async () => {
    const worker = new TestProver(cluster, "w", 2);
    await worker.register();
    await submitTask(cluster, { max_attempts: 1 });
    const junk = Object.fromEntries(Array.from({ length: 350_000 }, (_, at) => [`k${at}`, 0]));
    const leases = await worker.take(2);
    const before = await term();
    for (const { lease_id } of leases) {
      const { status, body } = await worker.complete(lease_id, { proof: junk, public_inputs: [] });
      expect([status, body.code]).toEqual([422, "proof-invalid"]);
    }
    expect(await term()).toBe(before);
  });
});
