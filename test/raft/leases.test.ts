/**
 * Reads under a lease: from when a lease counts, what ends it, and that the voters it counts on keep
 * their side. Clocks that drift further than allowed are outside of what a lease promises.
 */
import { describe, expect, test } from "vitest";
import type { Configuration } from "../../src/raft/index.ts";
import { Cluster } from "./harness/cluster.ts";
import { Group } from "./harness/group.ts";
import { append, at, heartbeat, heartbeatAnswer, matched, only, preVote, vote } from "./harness/messages.ts";
import { LIMITS, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval, loyalty } = TIMING;
const MAX_DRIFT = 20;
const reads = { type: "lease", maxDrift: MAX_DRIFT } as const;

function granted(replica: Replica): string[] {
  return replica.reads.flatMap(({ type, id }) => (type === "granted" ? [id] : []));
}

/** Has run for long enough, at instant 0, to owe loyalty to nobody. */
function rested(configuration: Configuration = voters("a", "b", "c")): Replica {
  const a = new Replica("a", { configuration }, { reads, now: -loyalty });
  a.tick(0);
  return a;
}

/** Leads term 1 since instant 0, established; its round 1 began then and is not confirmed yet. */
function leader(): Replica {
  const a = rested();
  a.lead("b");
  a.step(matched(["b", "a", 1], 1), matched(["c", "a", 1], 1));
  expect(a.leading.leaseUntil).toBeUndefined();
  return a;
}

describe("a lease", () => {
  test("grants reads at once, without any message", () => {
    const a = leader();
    a.step(matched(["b", "a", 1], 1, 1));
    expect(a.leading.leaseUntil).toBe(loyalty - MAX_DRIFT);
    expect(a.read("r")).toEqual([]);
    expect(a.reads).toEqual([{ type: "granted", id: "r", index: 1 }]);
  });

  test("trap 18: counts from when its round was sent, however late the answer arrives", () => {
    const a = leader();
    a.tick(150);
    a.step(heartbeatAnswer(["b", "a", 1], 1));
    expect(a.leading.leaseUntil).toBe(loyalty - MAX_DRIFT);
    a.tick(loyalty - MAX_DRIFT - 1);
    a.read("in time");
    expect(granted(a)).toEqual(["in time"]);
    a.raft.tick(loyalty - MAX_DRIFT);
    a.raft.readIndex("too late");
    a.pump();
    expect(granted(a)).toEqual(["in time"]);
  });

  test("trap 18: needs a majority for the same round, not a number of answers", () => {
    const a = rested(voters("a", "b", "c", "d", "e"));
    a.raft.campaign();
    a.pump();
    for (const type of ["pre-vote-response", "vote-response"] as const) {
      for (const from of ["b", "c"]) a.step({ type, from, to: "a", term: 1, granted: true });
    }
    a.step(matched(["b", "a", 1], 1, 1), matched(["c", "a", 1], 1));
    a.step(matched(["b", "a", 1], 1, 1), heartbeatAnswer(["b", "a", 1], 1));
    expect(a.status).toMatchObject({ role: "leader", commit: 1 });
    expect(a.leading.leaseUntil).toBeUndefined();
    a.tick(heartbeatInterval);
    a.step(heartbeatAnswer(["b", "a", 1], 2), heartbeatAnswer(["c", "a", 1], 1));
    expect(a.leading.leaseUntil).toBe(loyalty - MAX_DRIFT);
    a.step(heartbeatAnswer(["c", "a", 1], 2));
    expect(a.leading.leaseUntil).toBe(heartbeatInterval + loyalty - MAX_DRIFT);
  });

  test("trap 18: is not given by rounds that were not begun, nor by learners", () => {
    const configuration = { ...voters("a", "b", "c"), learners: ["l"] };
    const a = rested(configuration);
    a.lead("b");
    a.step(heartbeatAnswer(["b", "a", 1], 99), heartbeatAnswer(["l", "a", 1], 1));
    expect(a.leading.leaseUntil).toBeUndefined();
  });

  test("is renewed by heartbeats, and by appends while those take their place", () => {
    const a = leader();
    for (let now = 10; now <= 400; now += 10) {
      a.tick(now);
      const sent = a.propose(`${now}`);
      const rounds = sent.flatMap((message) =>
        "round" in message && message.to === "b" ? [message.round] : [],
      );
      a.step(matched(["b", "a", 1], a.status.lastLog.index, Math.max(...rounds)));
      expect(only(sent, "heartbeat").length).toBeLessThanOrEqual(2);
    }
    expect(a.leading.leaseUntil).toBeGreaterThan(400 - heartbeatInterval + loyalty - MAX_DRIFT - 10);
  });

  test("is of no use before the leader's barrier is committed", () => {
    const a = rested();
    a.lead("b");
    a.step(heartbeatAnswer(["b", "a", 1], 1), heartbeatAnswer(["c", "a", 1], 1));
    expect(a.leading.leaseUntil).toBeDefined();
    a.read("r");
    expect(a.reads).toEqual([]);
    a.step(matched(["b", "a", 1], 1, 2));
    expect(granted(a)).toEqual(["r"]);
  });

  test("serves reads that followers forward", () => {
    const a = leader();
    a.step(matched(["b", "a", 1], 1, 1));
    const sent = a.step({ type: "forward", from: "c", to: "a", request: { type: "read", id: "r" } });
    expect(sent).toEqual([{ type: "read-grant", from: "a", to: "c", term: 1, id: "r", index: 1 }]);
  });

  test("follows the configuration: a voter gained counts only once it has confirmed a round", () => {
    const group = new Group({ ...voters("a"), learners: ["b"] }, { reads });
    group.pass(loyalty);
    const a = group.get("a");
    group.settle();
    expect(a.status.role).toBe("leader");
    expect(a.leading.leaseUntil).toBe(group.now + loyalty - MAX_DRIFT);
    const now = group.now + loyalty;
    a.raft.tick(now);
    expect(a.leading.leaseUntil).toBe(now + loyalty - MAX_DRIFT);
    group.now = now;
    expect(a.raft.proposeMembership([{ type: "promote", replica: "b" }])).toMatchObject({ type: "appended" });
    expect(a.leading.leaseUntil).toBeLessThan(now);
    group.settle();
    expect(a.leading.leaseUntil).toBe(now + loyalty - MAX_DRIFT);
  });

  test("is off unless asked for", () => {
    const a = new Replica("a");
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    expect(a.leading.leaseUntil).toBeUndefined();
    expect(a.read("r")).toHaveLength(2);
    expect(a.reads).toEqual([]);
  });
});

describe("a lease ends", () => {
  test("trap 19: before a transfer begins, and for good once the successor was asked", () => {
    const group = new Group(voters("a", "b", "c"), { reads });
    group.pass(loyalty);
    const a = group.leader ?? group.elect("a");
    group.settle();
    group.pass(heartbeatInterval);
    expect(a.leading.leaseUntil).toBeGreaterThan(group.now);
    const successor = ["a", "b", "c"].find((id) => id !== a.id) ?? "";
    a.raft.transferLeadership(successor);
    expect(a.leading.leaseUntil).toBeUndefined();
    // The request is slow: it leaves, and arrives when the transfer was given up long ago.
    const urged = only(a.pump(), "timeout-now");
    expect(urged).toHaveLength(1);
    group.loses = ({ type }) => type === "timeout-now";
    group.pass(2 * loyalty);
    expect(a.leading.successor).toBeUndefined();
    expect(a.leading.leaseUntil).toBeUndefined();
    const before = a.reads.length;
    const asked = a.read("after the transfer");
    expect(a.reads).toHaveLength(before);
    expect(only(asked, "heartbeat")).toHaveLength(2);
    group.deliver(asked);
    expect(granted(a)).toContain("after the transfer");
    // And indeed its voters let the successor pass, late as the request is.
    group.heal();
    group.deliver(urged);
    expect(group.leader?.id).toBe(successor);
  });

  test("trap 20: while the leader slept", () => {
    const a = leader();
    a.step(matched(["b", "a", 1], 1, 1));
    const until = a.leading.leaseUntil ?? 0;
    a.raft.tick(until - 1);
    expect(a.raft.readIndex("awake")).toEqual({ type: "started" });
    // Twice the lease passes; the host ticks first, as it must.
    a.raft.tick(2 * until);
    a.raft.readIndex("asleep");
    a.pump();
    expect(granted(a)).toEqual(["awake"]);
  });

  test("trap 20: with a restart", () => {
    const a = leader();
    a.step(matched(["b", "a", 1], 1, 1));
    a.restart();
    expect(a.status.role).toBe("follower");
    expect(a.raft.readIndex("r")).toMatchObject({ type: "refused" });
  });

  test("trap 20: when the leader is deposed", () => {
    const a = leader();
    a.step(matched(["b", "a", 1], 1, 1));
    a.step(append(["c", "a", 2], at(1, 1)));
    expect(a.raft.readIndex("r")).toMatchObject({ refusal: { type: "not-leader", leader: "c" } });
  });
});

describe("a voter on whom leases count", () => {
  test("trap 20: votes for nobody for a full loyalty after a restart, and does not campaign earlier", () => {
    const b = new Replica("b", {}, { reads });
    b.step(heartbeat(["a", "b", 1], { round: 1 }));
    b.tick(10);
    b.restart();
    b.tick(10 + loyalty - 1);
    b.raft.campaign();
    expect(b.pump()).toEqual([]);
    expect(b.step(vote(["c", "b", 2], at(9, 9)))).toEqual([]);
    expect(only(b.step(preVote(["c", "b", 2], at(9, 9))), "pre-vote-response")).toMatchObject([
      { granted: false },
    ]);
    b.tick(10 + loyalty);
    expect(only(b.step(vote(["c", "b", 2], at(9, 9))), "vote-response")).toMatchObject([{ granted: true }]);
  });

  test("stays loyal although it learnt of a newer term or was told to campaign", () => {
    const b = new Replica("b", {}, { reads });
    b.tick(loyalty);
    b.step(heartbeat(["a", "b", 1], { round: 1 }));
    b.raft.campaign();
    expect(b.pump()).toEqual([]);
    b.step({ type: "vote-response", from: "c", to: "b", term: 5, granted: false });
    expect(b.status).toMatchObject({ role: "follower", term: 5 });
    expect(b.step(vote(["c", "b", 6], at(9, 9)))).toEqual([]);
    expect(only(b.step(vote(["c", "b", 6], at(9, 9), true)), "vote-response")).toMatchObject([
      { granted: true },
    ]);
  });

  test("waits for others also if it is the only voter that it knows of", () => {
    const a = new Replica("a", { configuration: voters("a") }, { reads });
    expect(a.raft.wakeAt).toBe(loyalty);
    a.wake();
    expect(a.status.role).toBe("leader");
  });
});

test("under random faults, with clocks that drift as far as is allowed, no lease read is stale", () => {
  let granted = 0;
  let elections = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const cluster = new Cluster(seed, voters("a", "b", "c"), {
      // Within 200 ms the fastest clock gains 20 over the slowest.
      pace: (random) => 0.95 + random.next() * 0.1,
      reads,
      limits: LIMITS,
    });
    const { random, schedule } = cluster;
    cluster.weather = { loss: 0.02, repetition: 0.1, delay: [0, 5], overtaken: 0, flush: [0, 2] };
    // Answers to the leader that is to be replaced may crawl, while those to its successor are quick.
    let victim: string | undefined;
    let slowness = 0;
    cluster.slowness = ({ to }) => (to === victim ? slowness : 0);
    const work = () => {
      const id = random.pick(cluster.ids) ?? "a";
      cluster.read(victim ?? id);
      if (random.chance(0.1)) cluster.propose(cluster.leader ?? id);
      schedule.after(random.between(1, 3), work);
    };
    const misfortune = () => {
      cluster.heal();
      schedule.after(200, () => {
        victim = cluster.leader;
        slowness = random.chance(0.5) ? 150 : 0;
      });
      schedule.after(300, strike);
    };
    // The leader is cut off from one follower first, from the other soon after, and that one may restart.
    const strike = () => {
      const leader = victim;
      const followers = cluster.ids.filter((id) => id !== leader);
      const first = random.pick(followers) ?? "a";
      const second = followers.find((id) => id !== first) ?? "a";
      if (leader !== undefined) cluster.cutLink(leader, first);
      schedule.after(random.between(0, 350), () => {
        if (leader !== undefined) cluster.cutLink(leader, second);
        if (random.chance(0.5)) {
          cluster.crash(second);
          cluster.start(second);
        }
      });
      schedule.after(700, misfortune);
    };
    schedule.after(1, work);
    schedule.after(300, misfortune);
    try {
      cluster.run(6_000);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    granted += cluster.checks.granted;
    elections += cluster.checks.elections;
  }
  expect(granted).toBeGreaterThan(3_000);
  expect(elections).toBeGreaterThan(120);
}, 30_000);
