/**
 * What changes of the members and of the leader cost those who write meanwhile, in virtual time. That they keep what
 * they promise on the real platform, and lose nothing, is shown in test/cluster/contract-cluster.test.ts.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ChangeAnswer } from "../../src/replica/handover.ts";
import type { Change } from "../../src/replica/rpc.ts";
import { Group, NAMES } from "./harness.ts";

/** Whoever joins finds the beginning of the log cut off. */
const SHORT_LOG = { CHECKPOINT_ENTRIES: "40", LOG_TAIL_ENTRIES: "10", MAX_BATCH_ENTRIES: "4" };
/** A few round trips and flushes of the group in the harness. */
const HARDLY_MS = 50;

let group: Group;
let stop: () => void;
let longest_ms: number;
let last: number;
let acknowledged: number[];
beforeEach(async () => {
  group = await Group.founded({ variables: SHORT_LOG });
  acknowledged = [];
  longest_ms = 0;
  last = group.time.now;
  stop = group.load(3, (answer) => {
    if (answer.type !== "applied" || answer.outcome.type !== "event-appended") return;
    acknowledged.push(answer.outcome.seq);
    longest_ms = Math.max(longest_ms, group.time.now - last);
    last = group.time.now;
  });
  await group.time.pass(500);
  longest_ms = 0;
});
afterEach(() => {
  stop();
  group.release();
});

/** As the router does it: whoever does not lead names who does, and a learner that is behind is asked again. */
async function change(wanted: Change): Promise<ChangeAnswer> {
  const { time } = group;
  for (const until = time.now + 20_000; ; await time.pass(20)) {
    const asked = group.call<ChangeAnswer>(group.leader, "/membership", wanted);
    const answer = await time.outcome(asked.catch((): ChangeAnswer => ({ type: "stopped" })));
    const again =
      answer.type === "not-leader" ||
      answer.type === "outcome-unknown" ||
      answer.type === "stopped" ||
      (answer.type === "change-refused" && answer.code === "learner-behind");
    if (!again || time.now > until) return answer;
  }
}

/** The longest time without an acknowledged write, from now until some come after it. */
async function gap(work: () => Promise<unknown>): Promise<number> {
  longest_ms = 0;
  last = group.time.now;
  await work();
  const before = acknowledged.length;
  await group.time.until("writes go on", 5_000, () => acknowledged.length > before + 10);
  return longest_ms;
}

async function grow(name: string): Promise<void> {
  expect(await change({ change: "add", node_id: name })).toMatchObject({ type: "changed", node_id: name });
  expect(await change({ change: "promote", node_id: name })).toMatchObject({ type: "changed" });
}

function expectNothingLost(): void {
  const seqs = acknowledged.toSorted((a, b) => a - b);
  expect(new Set(seqs).size).toBe(seqs.length);
  expect(seqs.length).toBeGreaterThan(100);
}

describe("nobody who writes notices", () => {
  test("that the group grows from three to five, though each newcomer takes in the whole state", async () => {
    const growing = gap(async () => {
      await grow("coordinator-4");
      await grow("coordinator-5");
    });
    expect(await growing).toBeLessThan(HARDLY_MS);
    const taken = group.logs.filter((line) => line.includes("snapshot: taken in"));
    expect(taken).toHaveLength(2);
    expectNothingLost();
  });

  test("that a follower is removed", async () => {
    const [gone] = group.followers;
    expect(await gap(() => change({ change: "remove", node_id: gone }))).toBeLessThan(HARDLY_MS);
    expectNothingLost();
  });

  test("that a lost replica is replaced", async () => {
    const [lost] = group.followers;
    group.platform.wipe(lost);
    await group.time.pass(2_000);
    expect(await gap(() => grow(lost))).toBeLessThan(HARDLY_MS);
    expectNothingLost();
  });
});

describe("who writes waits for no election", () => {
  test("while leadership is handed over", async () => {
    const { leader, seen } = group;
    const { term } = seen;
    const waited = await gap(async () => {
      const answer = await change({ change: "transfer" });
      expect(answer).toMatchObject({ type: "transferred", term: term + 1 });
    });
    expect(waited).toBeLessThan(2 * HARDLY_MS);
    expect(group.leader).not.toBe(leader);
    expectNothingLost();
  });

  test("while it is handed over to one that has yet to catch up", async () => {
    const [successor] = group.followers;
    group.platform.fate = ({ to }) => (to === successor ? "lost" : "arrives");
    await group.time.pass(200);
    const asked = group.call<ChangeAnswer>(group.leader, "/membership", {
      change: "transfer",
      to: successor,
    });
    await group.time.pass(200);
    group.platform.fate = () => "arrives";
    expect(await group.time.outcome(asked)).toMatchObject({ type: "transferred", leader: successor });
    expectNothingLost();
  });

  test("while the leader is removed: it hands over first", async () => {
    const { leader } = group;
    const waited = await gap(async () => {
      expect(await change({ change: "remove", node_id: leader })).toMatchObject({ type: "changed" });
    });
    expect(waited).toBeLessThan(4 * HARDLY_MS);
    expect(NAMES.filter((name) => name !== leader)).toContain(group.leader);
    await group.time.pass(1_000);
    const { result } = await group.time.outcome(
      group.call<{ result: { reason?: string } }>(leader, "/observe", { what: "health" }),
    );
    expect(result.reason).toContain("removed");
    expectNothingLost();
  });
});

interface View {
  readonly leader: string | null;
  readonly asleep: boolean;
  readonly warnings: readonly string[];
  readonly members: readonly { readonly node_id: string; readonly reachable: boolean | null }[];
}

async function viewOf(name: string): Promise<View> {
  const looked = group.call<{ result: View }>(name, "/observe", { what: "cluster" });
  return (await group.time.outcome(looked)).result;
}

describe("a group that sleeps", () => {
  const HOUR_MS = 3_600_000;

  beforeEach(async () => {
    stop();
    await group.time.pass(HOUR_MS);
  });

  test("misses nobody, and says so without waking", async () => {
    const { leader } = group;
    for (const name of NAMES) {
      const view = await viewOf(name);
      expect(view).toMatchObject({ asleep: true, leader, warnings: [] });
      expect(view.members.map(({ reachable }) => reachable)).not.toContain(false);
    }
    for (const name of NAMES) group.platform.instance(name).destroy();
    await group.time.pass(HOUR_MS);
    for (const name of NAMES) {
      const view = await viewOf(name);
      expect(view).toMatchObject({ asleep: true, leader, warnings: [] });
      expect(view.members.filter(({ reachable }) => reachable !== null)).toMatchObject([{ node_id: name }]);
    }
  });

  test("wakes for whatever an operator wants, and has not lost sight of anybody", async () => {
    const { leader } = group;
    expect(await change({ change: "transfer" })).toMatchObject({ type: "transferred" });
    expect(group.leader).not.toBe(leader);
    await group.time.pass(HOUR_MS);
    await grow("coordinator-4");
    await group.time.pass(HOUR_MS);
    const [gone] = group.followers;
    expect(await change({ change: "remove", node_id: gone })).toMatchObject({ type: "changed" });
    await group.time.pass(HOUR_MS);
    const view = await viewOf(group.leader);
    expect(view).toMatchObject({ asleep: true, warnings: [] });
    expect(view.members).toHaveLength(3);
  });
});
