/** One request and the group: what its calls share. Replicas that answer as told, a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseConfiguration } from "../../src/api/configuration.ts";
import { Cluster } from "../../src/router/cluster.ts";
import { applied, type FakeGroup, fakeGroup, later, NAMES, notLeader, timed } from "./fake-group.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

let groups = 0;

/** Of a group of its own, since beliefs about a group are shared by all its requests. */
function clusterOf(fake: FakeGroup, reads = false): Cluster {
  groups += 1;
  return new Cluster({
    configuration: parseConfiguration({ CLUSTER_ID: `group-${groups}` }),
    transport: fake.group.transport,
    request_id: "r-1",
    own: undefined,
    reads,
  });
}

const write = { v: 1, id: "c-1", type: "remove-worker", worker_id: "w" } as const;
const lease = { type: "lease", lease_id: "t.1" } as const;

describe("the calls of one request", () => {
  it("share one deadline, however many there are", async () => {
    const fake = fakeGroup();
    const known = later(2_000, { type: "answer", applied_index: 1, result: null });
    for (const name of NAMES) fake.behave(name, known);
    const cluster = clusterOf(fake);
    const { result, ms } = await timed(
      (async () => {
        await cluster.read(lease, "leader");
        await cluster.read(lease, "linearizable");
        for (const name of NAMES) fake.behave(name, () => notLeader());
        return cluster.propose(write);
      })(),
    );
    expect(result).toMatchObject({ ok: false, problem: { code: "no-leader" } });
    expect(ms).toBeGreaterThan(4_500);
    expect(ms).toBeLessThan(5_000);
  });

  it("begin to count when the first of them is made: taking in the body is the client's time", async () => {
    const fake = fakeGroup();
    for (const name of NAMES) fake.behave(name, () => applied(3));
    const cluster = clusterOf(fake);
    await vi.advanceTimersByTimeAsync(30_000);
    const { result } = await timed(cluster.propose(write));
    expect(result).toMatchObject({ ok: true, value: { index: 3 } });
  });
});

describe("a refusal", () => {
  it("advises a stale read to whoever reads, not where something was read for the sake of a write", async () => {
    for (const [reads, advice] of [
      [true, "add ?consistency=stale to read what one replica knows"],
      [false, "nothing was accepted"],
    ] as const) {
      const { result } = await timed(clusterOf(fakeGroup(), reads).read(lease, "leader"));
      expect(result).toMatchObject({ ok: false, problem: { detail: `no leader; ${advice}` } });
    }
  });
});

describe("creating the replicas", () => {
  it("is waited for by nobody, done once, and tells who leads", async () => {
    const fake = fakeGroup();
    for (const name of NAMES) {
      fake.observed(name, { term: 1, leader: "coordinator-2" });
      fake.behave(name, () => applied(1));
    }
    const cluster = clusterOf(fake);
    cluster.create();
    cluster.create();
    await timed(new Promise<void>((resolve) => setImmediate(resolve)));
    cluster.create();
    expect(fake.observations.map(({ replica }) => replica)).toEqual(NAMES);
    await timed(cluster.propose(write));
    expect(fake.calls.map(({ replica }) => replica)).toEqual(["coordinator-2"]);
  });

  it("is begun again by a later request if the first one was cut off", async () => {
    const fake = fakeGroup();
    const cluster = clusterOf(fake);
    // Replicas that never answer stand for a request that is gone: nothing goes on after it.
    cluster.create();
    vi.setSystemTime(Date.now() + 1_001);
    cluster.create();
    expect(fake.observations).toHaveLength(2 * NAMES.length);
  });
});
