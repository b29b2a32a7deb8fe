/** What costs the router much, on the thread that it shares with the replicas here: no election may come of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allHealthy, type Cluster, ready, startCluster } from "../cluster/harness.ts";

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
      Array.from({ length: 8 }, () => cluster.post("/api/v1/tasks/merkle", { leaves: leaves(1_000) })),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 202));
    expect(await term()).toBe(before);
  });
});
