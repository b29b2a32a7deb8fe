/**
 * Whole groups under random faults: loss, repetition, delay and reordering of messages, partitions,
 * one-way links, slow disks, crashes that tear off what was not flushed. Proves the safety
 * properties on every run, and that the group recovers once the faults end. It proves nothing about
 * membership changes, snapshots or transfers.
 */
import { describe, expect, test } from "vitest";
import type { Configuration } from "../../src/raft/index.ts";
import { Random } from "../simulation/random.ts";
import { Cluster, FAIR } from "./harness/cluster.ts";
import { LIMITS } from "./harness/replica.ts";

const SEEDS = 400;
const FAULTY_MS = 6_000;
const RECOVERY_MS = 3_000;

function groupOf(random: Random): Configuration {
  const ids = ["a", "b", "c", "d", "e"].slice(0, random.pick([1, 2, 3, 3, 3, 4, 5]) ?? 3);
  return { type: "stable", voters: ids, learners: random.chance(0.3) ? ["learner"] : [] };
}

function simulate(seed: number): Cluster {
  const random = new Random(seed);
  const checkQuorum = random.chance(0.7);
  const skewed = random.chance(0.3);
  const cluster = new Cluster(random.between(0, 2 ** 31), groupOf(random), {
    pace: (chance) => (skewed ? 0.5 + chance.next() : 1),
    checkQuorum,
    preVote: checkQuorum || random.chance(0.5),
    limits: { ...LIMITS, messageBytes: random.between(20, 200), committedBytes: random.between(10, 200) },
  });
  cluster.weather = {
    loss: random.pick([0, 0.02, 0.1, 0.3]) ?? 0,
    repetition: random.pick([0, 0.05, 0.5]) ?? 0,
    delay: random.chance(0.5) ? [1, 10] : [0, 80],
    overtaken: 0,
    flush: random.chance(0.3) ? [0, 0] : [0, random.between(1, 40)],
  };

  const pause = random.pick([200, 600, 1_500]) ?? 200;
  const work = () => {
    const id = cluster.leader !== undefined && random.chance(0.7) ? cluster.leader : random.pick(cluster.ids);
    if (id !== undefined && random.chance(0.6)) cluster.propose(id, random.between(1, 4));
    else if (id !== undefined) cluster.read(id);
    cluster.schedule.after(random.between(1, 30), work);
  };
  const misfortune = () => {
    if (cluster.schedule.now >= FAULTY_MS) return;
    const id = random.chance(0.4) ? (cluster.leader ?? "a") : (random.pick(cluster.ids) ?? "a");
    const kind = random.between(0, 5);
    if (kind === 0) cluster.partition(cluster.ids.filter(() => random.chance(0.5)));
    if (kind === 1) cluster.partition([id]);
    if (kind === 2) cluster.cutLink(id, random.pick(cluster.ids) ?? "a");
    if (kind === 3) cluster.heal();
    if (kind >= 4) {
      cluster.crash(id);
      cluster.schedule.after(random.between(0, 400), () => cluster.start(id));
    }
    cluster.schedule.after(random.between(10, pause), misfortune);
  };
  cluster.schedule.after(1, work);
  cluster.schedule.after(200, misfortune);
  cluster.run(FAULTY_MS);

  cluster.checks.matching([...cluster.hosts.values()].map(({ disk }) => disk));
  cluster.heal();
  cluster.weather = FAIR;
  for (const id of cluster.ids) cluster.start(id);
  const decided = cluster.checks.history.length;
  const reads = cluster.checks.granted;
  cluster.runUntil(
    () =>
      cluster.checks.history.length > decided + 1 &&
      cluster.checks.granted > reads &&
      [...cluster.hosts.values()].every(({ applied }) => applied > decided),
    RECOVERY_MS,
  );
  cluster.checks.matching([...cluster.hosts.values()].map(({ disk }) => disk));
  return cluster;
}

describe("groups under random faults", () => {
  test(`keep every safety property and recover, with ${SEEDS} seeds`, () => {
    let elections = 0;
    let decided = 0;
    let granted = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        const { checks } = simulate(seed);
        elections += checks.elections;
        decided += checks.history.length;
        granted += checks.granted;
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    // A simulation in which nothing happens proves nothing.
    expect(elections).toBeGreaterThan(2 * SEEDS);
    expect(decided).toBeGreaterThan(100 * SEEDS);
    expect(granted).toBeGreaterThan(20 * SEEDS);
  }, 30_000);

  test("trap 49: the same seed gives the same transcript, byte by byte", () => {
    let lines = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const { transcript } = simulate(seed);
      expect(simulate(seed).transcript.join("\n") === transcript.join("\n")).toBe(true);
      lines += transcript.length;
    }
    expect(lines).toBeGreaterThan(10_000);
  });
});
