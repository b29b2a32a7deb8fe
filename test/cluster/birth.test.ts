/** How a group is founded, on real disks. The decisions alone are tested beside the code. */
import { afterEach, describe, expect, test } from "vitest";
import { acknowledged, allHealthy, type Cluster, event, eventually, ready, startCluster } from "./harness.ts";

let cluster: Cluster;
afterEach(() => cluster.stop());

async function write(kind: string): Promise<number> {
  return Number((await acknowledged(cluster, "/events", event(kind, {}), kind)).seq);
}

async function eventKinds(): Promise<readonly string[]> {
  const { body } = await cluster.json<{ events: { Critical: object }[] }>("/events");
  return body.events.map(({ Critical }) => Object.keys(Critical)[0] ?? "");
}

function foundings(): readonly string[] {
  return cluster.logs.flatMap((line) => / birth: founded founding_id=(\S+)/.exec(line)?.[1] ?? []);
}

describe("a founding", () => {
  test("waits for a replica that does not answer, says for whom, and accepts nothing", async () => {
    cluster = await startCluster();
    // Before anybody has asked the router for anything.
    await cluster.call("coordinator-3", "/fault", { action: "stop" });
    const first = await eventually("coordinator-1 says for whom it waits", async () => {
      const { body } = await cluster.json("/replicas/coordinator-1/health");
      return String(body.reason).includes("coordinator-3") ? body : undefined;
    });
    expect(first).toMatchObject({
      status: "unhealthy",
      reason: "the founding waits for coordinator-3",
      raft: { state: "Follower", is_leader: false, term: 0, leader_address: "" },
    });
    const second = await cluster.json("/replicas/coordinator-2/health");
    expect(second.body.reason).toBe("waiting for coordinator-1 to found the group");
    const { status, body } = await cluster.json("/readyz");
    expect([status, body.ready]).toEqual([503, false]);
    const refused = await cluster.post("/events", event("TooEarly", {}));
    expect([refused.status, refused.body.code], refused.text).toEqual([503, "not-founded"]);
    expect(refused.body.detail).toMatch(/found the group|founding waits/);
    expect(foundings()).toEqual([]);

    await cluster.fault("coordinator-3", "start");
    await ready(cluster);
    await allHealthy(cluster);
    expect(foundings()).toHaveLength(1);
    expect(await eventKinds()).toEqual([]);
    expect(await write("Founded")).toBe(1);
  });

  test("that all of them begin at once is one founding", async () => {
    cluster = await startCluster();
    const asked = cluster.names.flatMap((name) => [name, name, name]);
    await Promise.all(asked.map((name) => cluster.call(name, "/observe", { what: "leadership" })));
    await ready(cluster);
    await allHealthy(cluster);
    expect(foundings()).toHaveLength(1);
    const joined = cluster.logs.filter((line) =>
      line.includes(`birth: joined founding_id=${foundings()[0]}`),
    );
    expect(joined).toHaveLength(2);
  });

  test("survives the end of all processes at any moment of it", async () => {
    cluster = await startCluster();
    await Promise.all(cluster.names.map((name) => cluster.call(name, "/observe", { what: "leadership" })));
    for (let crash = 0; crash < 3; crash++) await cluster.restart();
    await ready(cluster);
    await allHealthy(cluster);
    expect(new Set(foundings()).size).toBe(1);
    expect(await write("Founded")).toBe(1);
  });
});
