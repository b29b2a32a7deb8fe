/** The arithmetic of majorities, for one membership and for two at once. */
import { describe, expect, test } from "vitest";
import type { Configuration } from "../../src/raft/index.ts";
import { isQuorum, isVoter, majorityOf, quorumReached, replicasOf, votersOf } from "../../src/raft/quorum.ts";
import { Replica, voters } from "./harness/replica.ts";

const joint: Configuration = {
  type: "joint",
  from: { voters: ["a", "b", "c"], learners: ["l"] },
  to: { voters: ["c", "d", "e"], learners: ["a"] },
  leave: "automatic",
};

function reached(configuration: Configuration, values: Readonly<Record<string, number>>): number {
  return quorumReached(configuration, (id) => values[id] ?? 0);
}

function elected(configuration: Configuration, ...ids: readonly string[]): boolean {
  return isQuorum(configuration, (id) => ids.includes(id));
}

describe("a majority", () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [7, 4],
  ])("of %i voters is %i", (size, needed) => {
    expect(majorityOf(size)).toBe(needed);
    const ids = Array.from({ length: size }, (_, place) => `voter-${place}`);
    expect(elected(voters(...ids), ...ids.slice(0, needed))).toBe(true);
    expect(elected(voters(...ids), ...ids.slice(0, needed - 1))).toBe(false);
    const value = (id: string) => Number(id.slice("voter-".length)) + 1;
    expect(quorumReached(voters(...ids), value)).toBe(size - needed + 1);
  });

  test("of two memberships at once is a majority of each", () => {
    expect(elected(joint, "a", "b")).toBe(false);
    expect(elected(joint, "a", "b", "d")).toBe(false);
    expect(elected(joint, "a", "b", "d", "e")).toBe(true);
    expect(elected(joint, "b", "c", "d")).toBe(true);
    expect(reached(joint, { a: 9, b: 9, c: 1, d: 5, e: 3 })).toBe(3);
  });

  test("counts a learner for nothing", () => {
    const configuration: Configuration = { ...voters("a", "b", "c"), learners: ["l"] };
    expect(elected(configuration, "a", "l")).toBe(false);
    expect(reached(configuration, { a: 5, l: 5 })).toBe(0);
    expect(isVoter(configuration, "l")).toBe(false);
    expect(isVoter(undefined, "a")).toBe(false);
  });

  test("lists everybody once, whatever the number of memberships they are in", () => {
    expect(votersOf(joint)).toEqual(["a", "b", "c", "d", "e"]);
    expect(replicasOf(joint)).toEqual(["a", "b", "c", "d", "e", "l"]);
  });
});

describe("a group of one", () => {
  test("trap 48: it needs and has a majority of one", () => {
    expect(majorityOf(1)).toBe(1);
    expect(elected(voters("a"), "a")).toBe(true);
    expect(elected(voters("a"))).toBe(false);
    expect(reached(voters("a"), { a: 7 })).toBe(7);
  });

  test("trap 48: it elects itself only once its vote is durable, and commits what its disk holds", () => {
    const alone = new Replica("a", { configuration: voters("a") });
    alone.raft.tick(0);
    const campaign = alone.raft.takeReady();
    expect(campaign?.persist?.hardState).toMatchObject({ term: 1, vote: "a" });
    expect(alone.status.role).toBe("candidate");
    alone.raft.advance({ persisted: 1 });
    expect(alone.status.role).toBe("leader");

    const barrier = alone.raft.takeReady();
    if (barrier?.persist === undefined) throw new Error("nothing to write");
    alone.disk.write(barrier.persist);
    expect(barrier.committed).toEqual([]);
    expect(alone.status.commit).toBe(0);
    alone.raft.propose("x");
    const command = alone.raft.takeReady();
    alone.raft.advance({ persisted: 2 });
    expect(alone.status.commit).toBe(1);
    expect(alone.raft.takeReady()?.committed).toHaveLength(1);
    alone.raft.advance({ persisted: command?.sequence ?? 0 });
    expect(alone.status.commit).toBe(2);
  });
});
