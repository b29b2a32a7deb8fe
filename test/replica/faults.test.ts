/** A degraded link between a replica and its peers: late and lossy both ways, until it is healed. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FaultState } from "../../src/replica/store.ts";
import { EVENT, Group } from "./harness.ts";

const LATENCY_MS = 1;
/** Far less than the loyalty period: a link that slow changes nobody's mind about the leader. */
const DELAY_MS = 40;

let group: Group;
beforeEach(async () => {
  group = await Group.founded();
});
afterEach(() => group.release());

/** How long a write takes. */
async function write(): Promise<number> {
  const { time } = group;
  const from = time.now;
  await group.apply(EVENT);
  return time.now - from;
}

async function stateOf(name: string): Promise<FaultState> {
  return (await group.fault(name, "start")).result as FaultState;
}

describe("a degraded replica", () => {
  test("hears its peers and is heard by them so much later, and clients notice nothing of it", async () => {
    const [one, other] = group.followers;
    await group.fault(other, "stop");
    const quick = await write();
    await group.fault(one, "degrade", { delay_ms: DELAY_MS });
    // The majority needs it: there and back again.
    expect(await write()).toBeGreaterThanOrEqual(2 * DELAY_MS);
    expect(await write()).toBeLessThan(quick + 2 * DELAY_MS + 20);
    const from = group.time.now;
    await group.time.outcome(group.call(one, "/observe", { what: "status" }));
    expect(group.time.now - from).toBeLessThan(10 * LATENCY_MS);
    await group.fault(one, "heal");
    expect(await write()).toBeLessThanOrEqual(quick + LATENCY_MS);
  });

  test("holds nobody up while the others are a majority, and stays a member that is reached", async () => {
    const [one] = group.followers;
    const { term } = group.seen;
    const quick = await write();
    await group.fault(one, "degrade", { delay_ms: DELAY_MS, drop_rate: 0.2 });
    for (let count = 0; count < 100; count++) expect(await write()).toBeLessThan(quick + DELAY_MS);
    await group.time.pass(2_000);
    expect(group.seen.term).toBe(term);
    await group.fault(one, "heal");
    const { applied_index } = (await group.apply(EVENT).then(() => group.time.outcome(group.read(one)))) as {
      applied_index: number;
    };
    expect(applied_index).toBeGreaterThan(100);
  });

  test("that loses everything is cut off from its peers, whoever it was, and comes back when it is healed", async () => {
    const { leader, time } = group;
    const { term } = group.seen;
    await group.fault(leader, "degrade", { drop_rate: 1 });
    await time.until("another leader", 5_000, () => group.seen.term > term && group.seen.commit > 0);
    expect(group.leader).not.toBe(leader);
    await group.apply(EVENT);
    await group.fault(leader, "heal");
    const { index } = await group.apply(EVENT);
    await time.pass(1_000);
    const { result } = await time.outcome(
      group.call<{ result: { applied_index: number } }>(leader, "/observe", { what: "status" }),
    );
    expect(result.applied_index).toBeGreaterThanOrEqual(index);
  });

  test("is still degraded after a restart, and a degree that is not named again is none", async () => {
    const [one] = group.followers;
    await group.fault(one, "degrade", { delay_ms: DELAY_MS, drop_rate: 0.5 });
    group.platform.instance(one).destroy();
    expect(await stateOf(one)).toMatchObject({ delay_ms: DELAY_MS, drop_rate: 0.5 });
    await group.fault(one, "degrade", { delay_ms: 7 });
    expect(await stateOf(one)).toMatchObject({ delay_ms: 7, drop_rate: 0 });
    await group.fault(one, "heal");
    group.platform.instance(one).destroy();
    expect(await stateOf(one)).toMatchObject({ delay_ms: 0, drop_rate: 0, isolated: false });
  });
});
