/** Who takes part, as the state machine knows it from the configurations in the log. */
import { describe, expect, test } from "vitest";
import { createCoordinator, createMemoryRecords, type MemberRole } from "../../src/coordinator/index.ts";

function voter(node_id: string, incarnation = "1"): MemberRole {
  return { node_id, replica_id: `${node_id}.${incarnation}`, role: "voter" };
}
function learner(node_id: string, incarnation = "1"): MemberRole {
  return { ...voter(node_id, incarnation), role: "learner" };
}

describe("the members of the group", () => {
  test("are those of the newest configuration; whoever was left out is remembered as removed", () => {
    const machine = createCoordinator({ records: createMemoryRecords() });
    expect(machine.configure([voter("a"), voter("b")], 0)).toMatchObject([
      { type: "joined", node_id: "a" },
      { type: "joined", node_id: "b" },
    ]);
    expect(machine.configure([voter("a"), voter("b"), learner("c")], 7)).toEqual([
      { type: "joined", node_id: "c", replica_id: "c.1" },
    ]);
    expect(machine.configure([voter("a"), voter("c")], 9)).toEqual([
      { type: "promoted", node_id: "c", replica_id: "c.1" },
      { type: "removed", node_id: "b", replica_id: "b.1" },
    ]);
    expect(machine.member("b.1")).toEqual({
      v: 1,
      node_id: "b",
      replica_id: "b.1",
      role: "removed",
      log_index: 9,
    });
    expect(machine.member("b.2")).toBeUndefined();
    expect(machine.configuredIndex).toBe(9);
  });

  test("are told apart by their ids: a replica that lost its storage and comes back is another one", () => {
    const machine = createCoordinator({ records: createMemoryRecords() });
    machine.configure([voter("a"), voter("b")], 0);
    machine.configure([voter("a"), voter("b"), learner("b", "2")], 4);
    expect(machine.configure([voter("a"), voter("b", "2")], 6)).toEqual([
      { type: "promoted", node_id: "b", replica_id: "b.2" },
      { type: "removed", node_id: "b", replica_id: "b.1" },
    ]);
  });

  test("are the same after the machine was built anew from its records, and the founding changes nothing then", () => {
    const records = createMemoryRecords();
    const before = createCoordinator({ records });
    before.configure([voter("a"), voter("b")], 0);
    before.configure([voter("a")], 5);
    before.takeChanges();
    const after = createCoordinator({ records });
    expect(after.configure([voter("a"), voter("b")], 0)).toEqual([]);
    expect(after.configure([voter("a")], 5)).toEqual([]);
    expect(after.members()).toEqual(before.members());
    expect(after.configuredIndex).toBe(5);
  });

  test("have the location that they were given, whenever it was said", () => {
    const machine = createCoordinator({ records: createMemoryRecords() });
    const command = { v: 1, id: "x", type: "describe-member", node_id: "d", location_hint: "weur" } as const;
    expect(machine.apply(command, { index: 1, term: 1, time: 1 }).outcome).toEqual({ type: "done" });
    expect([machine.location("d"), machine.location("e")]).toEqual(["weur", undefined]);
  });
});
