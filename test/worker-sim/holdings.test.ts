/** What a pool holds: never more than its slots, and nothing twice. */
import { expect, test } from "vitest";
import type { LeaseOffer } from "../../src/api/workers.ts";
import { Holdings } from "../../worker-sim/pool/holdings.ts";

function lease(lease_id: string): LeaseOffer {
  const input = { leaves: ["00"], leaf_index: 0 };
  return {
    lease_id,
    task_id: lease_id,
    attempt: 1,
    circuit: "merkle",
    input,
    public_inputs: [],
    expires_at: "",
  };
}

test("there is no room beyond the slots", () => {
  const holdings = new Holdings(2);
  expect(holdings.add(lease("a"))).toBeDefined();
  expect(holdings.add(lease("b"))).toBeDefined();
  expect(holdings.add(lease("c"))).toBeUndefined();
  expect([holdings.size, holdings.free]).toEqual([2, 0]);
});

test("a lease that was finished is still known, so that a late answer does not bring it back", () => {
  const holdings = new Holdings(1);
  const job = holdings.add(lease("a"));
  if (job === undefined) throw new Error("no room");
  holdings.remove(job);
  expect(holdings.free).toBe(1);
  expect([holdings.has("a"), holdings.knows("a"), holdings.knows("b")]).toEqual([false, true, false]);
});

test("what is remembered of finished leases is bounded, the oldest are forgotten first", () => {
  const holdings = new Holdings(1);
  for (let i = 0; i < 2_000; i++) {
    const job = holdings.add(lease(String(i)));
    if (job !== undefined) holdings.remove(job);
  }
  expect([holdings.knows("0"), holdings.knows("1999")]).toEqual([false, true]);
  expect(Array.from({ length: 2_000 }, (_, i) => holdings.knows(String(i))).filter(Boolean)).toHaveLength(
    1_000,
  );
});

test("whoever waits for a change hears of leases that come and go", async () => {
  const holdings = new Holdings(1);
  const came = holdings.changed();
  const job = holdings.add(lease("a"));
  await came;
  const went = holdings.changed();
  if (job !== undefined) holdings.remove(job);
  await went;
});
