/** Silence of a whole group: what it costs, what wakes it, and what does not. */
import { afterEach, describe, expect, test } from "vitest";
import { taskOf } from "../coordinator/machine.ts";
import { EVENT, Group, NAMES } from "./harness.ts";

const SLEEP_AFTER_MS = 1_000;
const LEASE_MS = 4_000;
const DETECTION_MS = 3_000;
const HOUR = 3_600_000;
let group: Group;

afterEach(() => group.release());

async function awake(variables: Readonly<Record<string, string>> = {}): Promise<void> {
  group = await Group.founded({
    variables: {
      SLEEP_AFTER_MS: String(SLEEP_AFTER_MS),
      LEASE_MS: String(LEASE_MS),
      PARTITION_DETECTION_MS: String(DETECTION_MS),
      BENCH: "on",
      ...variables,
    },
  });
}

/** Silent, and nothing is under way any more. */
async function asleep(variables: Readonly<Record<string, string>> = {}): Promise<void> {
  await awake(variables);
  await group.time.pass(2 * SLEEP_AFTER_MS);
  for (const name of NAMES) expect((await observed(name)).asleep, name).toBe(true);
}

async function observed(name: string): Promise<{ asleep?: boolean; leads: boolean; term: number }> {
  const { result } = await group.time.outcome(
    group.call<{ result: { asleep?: boolean; leads: boolean; term: number } }>(name, "/observe", {
      what: "leadership",
    }),
  );
  return result;
}

function callsMade(): number {
  return group.platform.invocations.length;
}

/** Everybody's memory is gone, as after ten seconds without events. */
function evict(...names: readonly string[]): void {
  for (const name of names) group.platform.instance(name).destroy();
}

describe("a group with nothing to do", () => {
  test("falls silent: for an hour no event, no call, no timer and no write", async () => {
    await asleep();
    const before = {
      calls: callsMade(),
      timers: [...group.time.timersRun],
      touches: NAMES.map((name) => group.platform.instance(name).touches),
    };
    await group.time.pass(HOUR);
    expect({
      calls: callsMade(),
      timers: [...group.time.timersRun],
      touches: NAMES.map((name) => group.platform.instance(name).touches),
    }).toEqual(before);
  });

  test("goes on when it is asked for something, under the same leader if that is still in memory", async () => {
    await asleep();
    const { term } = group.seen;
    await group.time.pass(HOUR);
    const begun = group.time.now;
    await group.apply(EVENT);
    expect(group.time.now - begun).toBeLessThan(20);
    expect(group.seen.term).toBe(term);
    for (const name of NAMES) expect((await observed(name)).asleep, name).toBeUndefined();
    await group.time.pass(2 * SLEEP_AFTER_MS);
    expect((await observed(group.leader)).asleep).toBe(true);
  });

  test("after it left memory its last leader campaigns at once, and the first write takes a few round trips", async () => {
    await asleep();
    const { leader } = group;
    evict(...NAMES);
    await group.time.pass(HOUR);
    const begun = group.time.now;
    await group.apply(EVENT);
    expect(group.time.now - begun).toBeLessThan(40);
    expect(group.leader).toBe(leader);
  });

  test("a follower that is asked names the leader, which is awake by then", async () => {
    await asleep();
    const { leader, followers } = group;
    evict(...NAMES);
    await group.time.pass(HOUR);
    const command = { v: 1, id: "asked-at-a-follower", ...EVENT };
    const answer = await group.time.outcome(group.call(followers[0], "/propose", { command }), 40);
    expect(answer).toMatchObject({ type: "not-leader", leader });
    await group.apply(EVENT);
    expect(group.leader).toBe(leader);
  });

  test("a follower whose leader does not answer campaigns after a heartbeat", async () => {
    await asleep();
    const { leader, followers } = group;
    await group.fault(leader, "stop");
    evict(...NAMES);
    await group.time.pass(HOUR);
    const [one] = followers;
    const command = { v: 1, id: "without-its-leader", ...EVENT };
    const answer = await group.time.outcome(group.call(one, "/propose", { command }), 200);
    expect(answer).toMatchObject({ type: "applied" });
    expect(group.leader).toBe(one);
  });

  test("is not woken by who looks: health, status, metrics, and what a replica holds itself", async () => {
    await asleep();
    evict(...NAMES);
    for (const name of NAMES) {
      for (const what of ["health", "status", "metrics", "leadership", "cluster"]) {
        await group.time.outcome(group.call(name, "/observe", { what }));
      }
      const query = { type: "workers", limit: 1 };
      await group.time.outcome(group.call(name, "/read", { query, consistency: "stale" }));
    }
    const calls = callsMade();
    await group.time.pass(HOUR);
    expect(callsMade()).toBe(calls);
    for (const name of NAMES) expect((await observed(name)).asleep).toBe(true);
  });

  test("reports itself as healthy and asleep, by what it has stored", async () => {
    await asleep();
    const { leader } = group;
    evict(...NAMES);
    for (const name of NAMES) {
      const { result } = await group.time.outcome(
        group.call<{ result: unknown }>(name, "/observe", { what: "health" }),
      );
      expect(result).toMatchObject({
        status: "healthy",
        raft: { asleep: true, leader_id: leader, partition_state: "healthy" },
      });
    }
  });

  test("misses nobody in its metrics, which say that it sleeps, in memory and after it left it", async () => {
    await awake();
    const [lost, ...others] = group.followers;
    const metric = async (name: string, metric: string): Promise<number> => {
      const { result } = await group.time.outcome(
        group.call<{ result: string }>(name, "/observe", { what: "metrics" }),
      );
      return Number(new RegExp(`^${metric}(?:\\{.*\\})? (\\d+)$`, "m").exec(result)?.[1]);
    };
    expect(await metric(group.leader, "consensus_asleep")).toBe(0);
    expect(await metric(group.leader, "cluster_healthy_nodes")).toBe(3);
    await group.time.pass(HOUR);
    for (const name of NAMES) expect([name, await metric(name, "consensus_asleep")]).toEqual([name, 1]);
    expect(await metric(group.leader, "cluster_healthy_nodes")).toBe(3);
    evict(...NAMES);
    for (const name of NAMES) {
      expect([name, await metric(name, "cluster_healthy_nodes")]).toEqual([name, 3]);
      expect([name, await metric(name, "consensus_partition_state")]).toEqual([name, 0]);
    }
    // Whoever was missed before all fell asleep is missed in their sleep.
    await group.apply(EVENT);
    await group.fault(lost, "stop");
    for (let waited = 0; waited <= DETECTION_MS; waited += SLEEP_AFTER_MS / 2) {
      await group.apply(EVENT);
      await group.time.pass(SLEEP_AFTER_MS / 2);
    }
    await group.time.pass(4 * SLEEP_AFTER_MS);
    expect(await metric(group.leader, "consensus_asleep")).toBe(1);
    expect(await metric(group.leader, "cluster_healthy_nodes")).toBe(1 + others.length);
  });
});

describe("workers", () => {
  const worker = {
    type: "register-worker",
    worker: { worker_id: "w1", boot_id: "b1", max_concurrent_tasks: 1, circuits: ["merkle"], labels: {} },
  } as const;

  test("without leases keep nobody awake, and are not declared dead for a silence in which nobody listened", async () => {
    await awake();
    await group.apply(worker);
    await group.time.pass(2 * SLEEP_AFTER_MS);
    expect((await observed(group.leader)).asleep).toBe(true);
    await group.time.pass(HOUR);
    await group.apply(EVENT);
    const read = await group.time.outcome(group.read(group.leader));
    expect(read).toMatchObject({ result: { items: [{ worker_id: "w1", state: "active" }] } });
  });

  test("with a lease keep the group awake until that ends", async () => {
    await awake();
    await group.apply(worker);
    await group.apply({ type: "submit-task", task: taskOf({ task_id: "t1" }) });
    const pulled = await group.time.outcome(
      group.pull({ worker_id: "w1", boot_id: "b1", max: 1, wait_ms: 0 }),
    );
    expect(pulled).toMatchObject({ type: "applied", outcome: { leases: [{}] } });
    await group.time.pass(LEASE_MS);
    expect((await observed(group.leader)).asleep).toBeUndefined();
    // It never beats: it is declared dead, and its lease ends.
    await group.time.pass(4 * LEASE_MS);
    expect((await observed(group.leader)).asleep).toBe(true);
    const read = await group.time.outcome(group.read(group.leader));
    expect(read).toMatchObject({ result: { items: [{ worker_id: "w1", state: "dead", leases: [] }] } });
  });

  test("whose lease outlived all memory lose it by an alarm, though nobody asks", async () => {
    await awake();
    await group.apply(worker);
    await group.apply({ type: "submit-task", task: taskOf({ task_id: "t1" }) });
    await group.time.outcome(group.pull({ worker_id: "w1", boot_id: "b1", max: 1, wait_ms: 0 }));
    evict(...NAMES);
    await group.time.pass(HOUR);
    for (const name of NAMES) expect((await observed(name)).asleep, name).toBe(true);
    const read = await group.time.outcome(
      group.call(group.leader, "/read", { query: { type: "workers", limit: 1 }, consistency: "stale" }),
    );
    expect(read).toMatchObject({ result: { items: [{ worker_id: "w1", state: "dead", leases: [] }] } });
  });
});
