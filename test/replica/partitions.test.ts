import { describe, expect, test } from "vitest";
import { Partitions } from "../../src/replica/partitions.ts";

const DETECTION_MS = 3_000;

/** What a leader of three sees, with the peers heard at these instants. */
function leading(now: number, ...heard: readonly number[]) {
  const peers = new Map(heard.map((at, nth) => [`peer-${nth}`, at]));
  return { now, leads: true, peers, leaderlessSince: undefined };
}

function leaderless(now: number, since: number | undefined) {
  return { now, leads: false, peers: new Map([["peer-0", 0]]), leaderlessSince: since };
}

describe("a partition", () => {
  test("is counted by a leader once for each peer, when it has been silent for the whole period", () => {
    const partitions = new Partitions(DETECTION_MS);
    partitions.look(leading(1_000, 1_000, 1_000));
    partitions.look(leading(4_000, 1_000, 3_990));
    expect(partitions.detected).toBe(0);
    for (const now of [4_001, 5_000, 60_000]) partitions.look(leading(now, 1_000, now));
    expect(partitions.detected).toBe(1);
    partitions.look(leading(63_001, 1_000, 60_000));
    expect(partitions.detected).toBe(2);
  });

  test("is counted again when a peer that was heard falls silent again", () => {
    const partitions = new Partitions(DETECTION_MS);
    partitions.look(leading(0, 0));
    partitions.look(leading(3_001, 0));
    partitions.look(leading(4_000, 4_000));
    partitions.look(leading(8_000, 4_000));
    expect(partitions.detected).toBe(2);
  });

  test("does not begin before the reign: a follower does not hear the other followers", () => {
    const partitions = new Partitions(DETECTION_MS);
    partitions.look(leaderless(50_000, undefined));
    partitions.look(leading(50_000, 0, 10));
    partitions.look(leading(52_900, 0, 52_900));
    expect(partitions.detected).toBe(0);
    partitions.look(leading(53_001, 0, 53_000));
    expect(partitions.detected).toBe(1);
  });

  test("is counted by whoever finds no leader for the period, once until there is one", () => {
    const partitions = new Partitions(DETECTION_MS);
    for (const now of [1_000, 4_000, 4_001, 9_000]) partitions.look(leaderless(now, 1_000));
    expect(partitions.detected).toBe(1);
    partitions.look(leaderless(10_000, undefined));
    partitions.look(leaderless(11_000, 10_500));
    expect(partitions.detected).toBe(1);
    partitions.look(leaderless(14_000, 10_500));
    expect(partitions.detected).toBe(2);
  });

  test("is told when it begins and when it ends, and not when nobody can judge it any more", () => {
    const partitions = new Partitions(DETECTION_MS);
    expect(partitions.look(leading(0, 0, 0))).toEqual([]);
    expect(partitions.look(leading(3_001, 0, 0))).toEqual([
      { type: "detected", peer: "peer-0" },
      { type: "detected", peer: "peer-1" },
    ]);
    expect(partitions.look(leading(3_100, 3_050, 0))).toEqual([{ type: "recovered", peer: "peer-0" }]);
    expect(partitions.look(leaderless(3_200, 3_150))).toEqual([]);
    expect(partitions.look(leaderless(6_200, 3_150))).toEqual([{ type: "detected" }]);
    expect(partitions.look(leaderless(6_300, undefined))).toEqual([{ type: "recovered" }]);
    expect(partitions.look(leading(6_400, 6_400, 0))).toEqual([]);
  });

  test("ends in silence when the member that it cut off is no member any more", () => {
    const partitions = new Partitions(DETECTION_MS);
    partitions.look(leading(0, 0, 0));
    expect(partitions.look(leading(3_001, 0, 3_000))).toHaveLength(1);
    const without = { ...leading(3_100), peers: new Map([["peer-1", 3_100]]) };
    expect(partitions.look(without)).toEqual([]);
    expect(partitions.look(leading(3_200, 3_200, 3_200))).toEqual([]);
  });
});
