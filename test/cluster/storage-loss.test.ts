/** What becomes of replicas that have lost their storage: they must not vote under their old names. */
import { afterEach, describe, expect, test } from "vitest";
import {
  acknowledged,
  allHealthy,
  type Cluster,
  event,
  eventually,
  leaderOf,
  ready,
  settled,
  startCluster,
} from "./harness.ts";
import { loseStorage } from "./storage.ts";

let cluster: Cluster;
afterEach(() => cluster.stop());

async function started(): Promise<void> {
  cluster = await startCluster();
  await ready(cluster);
}

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

async function expectLost(name: string): Promise<void> {
  const health = await eventually(`${name} says that its storage is lost`, async () => {
    const { body } = await cluster.json(`/replicas/${name}/health`);
    return String(body.reason).includes("storage lost") ? body : undefined;
  });
  expect(health).toMatchObject({ status: "unhealthy", raft: { is_leader: false, term: 0, role: "blank" } });
  const { body } = await cluster.json(`/replicas/${name}/status`);
  expect(body).toMatchObject({ current_term: 0, voted_for: null, last_log_index: 0, is_leader: false });
}

describe("a replica that has lost its storage", () => {
  test("says so and takes no part in any election, while the others go on", async () => {
    await started();
    await write("Before");
    await settled(cluster);
    await cluster.restart(() => loseStorage(cluster, ["coordinator-2"]));
    await ready(cluster);
    await expectLost("coordinator-2");
    expect(await eventKinds()).toEqual(["Before"]);
    await write("Between");

    for (let election = 0; election < 2; election++) {
      const leader = await leaderOf(cluster);
      expect(leader).not.toBe("coordinator-2");
      const { body: before } = await cluster.json(`/replicas/${leader}/status`);
      await cluster.fault(leader, "reset");
      await write(`Elected${election}`);
      const { body: after } = await cluster.json("/status");
      expect(after.current_term).toBeGreaterThan(Number(before.current_term));
      await expectLost("coordinator-2");
    }

    const own = await cluster.json("/replicas/coordinator-2/events");
    expect([own.status, own.body.code]).toEqual([503, "storage-lost"]);
    const forwarded = await cluster.post("/replicas/coordinator-2/events", event("Forwarded", {}));
    expect(forwarded.status).toBe(200);
    expect(await eventKinds()).toEqual(["Before", "Between", "Elected0", "Elected1", "Forwarded"]);
    expect(foundings()).toHaveLength(1);

    await cluster.restart();
    await ready(cluster);
    await expectLost("coordinator-2");
    expect(await write("Restarted")).toBe(6);
  });

  test("does not found a second group, even as the first replica", async () => {
    await started();
    await write("Before");
    await settled(cluster);
    await cluster.restart(() => loseStorage(cluster, ["coordinator-1"]));
    await ready(cluster);
    await expectLost("coordinator-1");
    await write("After");
    expect(await eventKinds()).toEqual(["Before", "After"]);
    expect(foundings()).toHaveLength(1);
    expect(cluster.logs.some((line) => /coordinator-1 answers as incarnation/.test(line))).toBe(true);
  });

  test("does not make a majority with another one that has lost its own: nothing is accepted", async () => {
    await started();
    await write("Before");
    await settled(cluster);
    const last = (await cluster.json("/status")).body.last_log_index;
    await cluster.restart(() => loseStorage(cluster, ["coordinator-1", "coordinator-2"]));
    await expectLost("coordinator-1");
    await expectLost("coordinator-2");
    const refused = await cluster.post("/events", event("Refused", {}));
    expect(refused.status, refused.text).toBe(503);
    const { body: kept } = await cluster.json("/replicas/coordinator-3/status");
    expect(kept).toMatchObject({ is_leader: false, last_log_index: last });
    expect(foundings()).toHaveLength(1);
  });
});

test("a group that has lost all of its storage is founded anew, and is another one", async () => {
  await started();
  await write("Before");
  await cluster.restart(() => loseStorage(cluster, cluster.names));
  await ready(cluster);
  await allHealthy(cluster);
  expect(await eventKinds()).toEqual([]);
  expect(await write("After")).toBe(1);
  expect(new Set(foundings()).size).toBe(2);
});
