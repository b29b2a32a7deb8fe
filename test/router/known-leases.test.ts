/** What an isolate remembers of leases that it has handed out. */
import { expect, test } from "vitest";
import type { LeaseGrant } from "../../src/coordinator/outcomes.ts";
import { KnownLeases } from "../../src/router/known-leases.ts";

function grantOf(lease_id: string): LeaseGrant {
  return {
    ...{
      lease_id,
      task_id: `task of ${lease_id}`,
      attempt: 1,
      circuit: "merkle",
      input: { leaves: ["0x1"] },
    },
    ...{ blinding: "0x2", public_inputs: ["1", "2"], granted_at: 5 },
  };
}

test("knows once what a lease is about, and nothing of what its holder alone may know", () => {
  const leases = new KnownLeases(10);
  leases.granted("worker", grantOf("a"));
  expect(leases.take("b")).toBeUndefined();
  expect(leases.take("a")).toEqual({
    ...{ task_id: "task of a", circuit: "merkle", public_inputs: ["1", "2"], worker_id: "worker" },
  });
  expect(leases.take("a")).toBeUndefined();
});

test("forgets those that it has known longest", () => {
  const leases = new KnownLeases(3);
  for (const id of ["a", "b", "c", "d"]) leases.granted("worker", grantOf(id));
  expect(leases.size).toBe(3);
  expect(["a", "b", "c", "d"].filter((id) => leases.take(id) !== undefined)).toEqual(["b", "c", "d"]);
});
