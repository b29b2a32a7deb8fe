/**
 * Falling silent together and waking up: when a group may, what it costs while it lasts, and that
 * every input ends it. Silence under random faults is in the simulation.
 */
import { describe, expect, test } from "vitest";
import { Cluster } from "./harness/cluster.ts";
import { Group } from "./harness/group.ts";
import {
  append,
  at,
  forward,
  heartbeat,
  heartbeatAnswer,
  matched,
  only,
  preVote,
  voteAnswer,
} from "./harness/messages.ts";
import { command, log, type Overrides, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval, loyalty, electionTimeout } = TIMING;
const HOUR = 3_600_000;
const quiesceAfter = 120;
const timing = { ...TIMING, quiesceAfter };

/** `a` has led b and c, and all have fallen silent. */
function silent(overrides: Overrides = {}): Group {
  const group = new Group(voters("a", "b", "c"), { timing, ...overrides });
  group.elect("a").raft.propose("x");
  group.settle();
  group.pass(2 * quiesceAfter);
  for (const { id, status, raft } of group.replicas.values()) {
    expect(status, id).toMatchObject({ quiesced: true, commit: 2, leader: "a", term: 1 });
    expect(raft.wakeAt, id).toBeUndefined();
  }
  group.sent.length = 0;
  return group;
}

/** An hour passes for everybody, without anything being due. */
function sleep(group: Group): void {
  group.now += HOUR;
  for (const replica of group.replicas.values()) expect(replica.tick(group.now)).toEqual([]);
}

function heartbeatsOf(replica: Replica) {
  return only(
    replica.batches.flatMap(({ sendNow }) => sendNow),
    "heartbeat",
  );
}

describe("a group", () => {
  test("falls silent when nothing has happened for long enough, and costs nothing for hours", () => {
    const group = silent();
    sleep(group);
    expect(group.sent).toEqual([]);
    for (const { status } of group.replicas.values()) {
      expect(status).toMatchObject({ quiesced: true, term: 1, leader: "a" });
    }
    expect(group.get("a").status.role).toBe("leader");
  });

  test("does not fall silent earlier, and proposes it in one round of its own", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.pass(100);
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
    group.pass(50);
    expect(heartbeatsOf(a).filter(({ quiesce }) => quiesce)).toMatchObject([
      { to: "b", round: 1, commit: 1 },
      { to: "c", round: 1, commit: 1 },
    ]);
    expect(a.status.quiesced).toBe(true);
  });

  test("does not fall silent while it is asked for something again and again", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    for (let count = 0; count < 10; count += 1) {
      a.raft.propose("x");
      group.settle();
      group.pass(2 * heartbeatInterval);
    }
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
  });

  test("does not fall silent while its leader's host says that something goes on, and does afterwards", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    for (let count = 0; count < 10; count += 1) {
      group.pass(quiesceAfter - 20);
      expect(a.status.quiesced).toBe(false);
      a.raft.stayAwake();
    }
    group.pass(2 * quiesceAfter);
    expect(a.status.quiesced).toBe(true);
  });

  test("never falls silent unless it was told after how long", () => {
    const group = new Group(voters("a", "b", "c"));
    group.elect("a");
    group.pass(10_000);
    expect(group.sent.some((message) => message.type === "heartbeat" && message.quiesce)).toBe(false);
    expect(group.leader?.status.quiesced).toBe(false);
  });

  test("falls silent without a follower that cannot be reached, once that is certain", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    a.raft.propose("x");
    group.isolate("c");
    group.settle();
    group.pass(loyalty - heartbeatInterval);
    expect(a.status.quiesced).toBe(false);
    group.replicas.delete("c");
    group.pass(2 * quiesceAfter);
    expect(a.status.quiesced).toBe(true);
    expect(group.get("b").status.quiesced).toBe(true);
  });

  test("includes its learners", () => {
    const group = new Group({ ...voters("a", "b", "c"), learners: ["l"] }, { timing });
    group.elect("a");
    group.loses = ({ to }) => to === "l";
    group.pass(quiesceAfter);
    group.heal();
    group.pass(2 * quiesceAfter);
    expect(group.get("l").status).toMatchObject({ quiesced: true, commit: 1 });
    expect(group.get("a").status.quiesced).toBe(true);
  });

  test("stays awake while a follower that is heard lacks something", () => {
    const a = new Replica("a", {}, { timing, checkQuorum: false });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    for (let now = 50; now <= 1_000; now += 50) {
      a.tick(now);
      a.step(heartbeatAnswer(["b", "a", 1]), heartbeatAnswer(["c", "a", 1]));
    }
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
  });

  test("stays awake while a follower has something to do", () => {
    const group = new Group(voters("a", "b", "c"), { timing, forwardRequests: true });
    const a = group.elect("a");
    const c = group.get("c");
    group.loses = ({ type }) => type === "forward";
    group.pass(heartbeatInterval);
    c.raft.readIndex("r");
    group.settle();
    group.pass(electionTimeout[1] - heartbeatInterval);
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(true);
    for (const id of ["a", "c"]) expect(group.get(id).status.quiesced).toBe(false);
    group.pass(2 * heartbeatInterval);
    expect(c.reads).toMatchObject([{ type: "aborted", id: "r" }]);
    for (const { status } of group.replicas.values()) expect(status.quiesced).toBe(true);
  });

  test("stays awake while a read waits for its round", () => {
    const a = new Replica("a", {}, { timing });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1), matched(["c", "a", 1], 1));
    a.read("r");
    for (let now = 50; now <= 500; now += 50) {
      a.tick(now);
      // All that arrives was said before it was asked.
      a.step(heartbeatAnswer(["b", "a", 1]), heartbeatAnswer(["c", "a", 1]));
    }
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
  });

  test("stays awake while leadership is handed over, and so the transfer ends in time", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.loses = ({ type }) => type === "timeout-now";
    group.pass(heartbeatInterval);
    a.raft.transferLeadership("c");
    group.settle();
    group.pass(loyalty - heartbeatInterval);
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
    expect(a.leading.successor).toBe("c");
    group.pass(heartbeatInterval);
    expect(a.leading.successor).toBeUndefined();
  });

  test("stays awake without a majority", () => {
    const a = new Replica("a", {}, { timing, checkQuorum: false });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    for (let now = 50; now <= 1_000; now += 50) a.tick(now);
    expect(a.status.quiesced).toBe(false);
    expect(heartbeatsOf(a).some(({ quiesce }) => quiesce)).toBe(false);
  });

  test("asks again if the proposal or an answer was lost", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.loses = ({ type, to }) => type === "heartbeat" && to === "c";
    group.pass(quiesceAfter + heartbeatInterval);
    expect(group.get("b").status.quiesced).toBe(true);
    expect(a.status.quiesced).toBe(false);
    group.heal();
    group.pass(heartbeatInterval);
    expect(a.status.quiesced).toBe(true);
  });

  test("goes on if something happens between the proposal and the answers, and tells who had agreed", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.loses = ({ type, from }) => type === "heartbeat-response" && from === "c";
    group.pass(quiesceAfter + heartbeatInterval);
    expect(group.get("b").status.quiesced).toBe(true);
    expect(a.status.quiesced).toBe(false);
    // A read has no entries that would wake b.
    a.raft.readIndex("r");
    group.settle();
    expect(a.reads).toMatchObject([{ type: "granted" }]);
    for (const id of ["b", "c"]) expect(group.get(id).status.quiesced).toBe(false);
    expect(group.get("b").raft.wakeAt).toBeGreaterThanOrEqual(group.now + electionTimeout[0]);
  });

  test("goes on if it is asked for something in the same event in which the last follower agrees", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.loses = ({ type, from }) => type === "heartbeat-response" && from === "c";
    group.pass(quiesceAfter + heartbeatInterval);
    const [proposal] = heartbeatsOf(a).filter(({ to, quiesce }) => to === "c" && quiesce);
    if (proposal === undefined) throw new Error("silence was not proposed");
    a.raft.step({ ...heartbeatAnswer(["c", "a", 1], proposal.round), quiesced: true });
    a.raft.readIndex("r");
    group.heal();
    group.settle();
    expect(a.status.quiesced).toBe(false);
    expect(a.reads).toMatchObject([{ type: "granted", id: "r" }]);
  });

  test("goes on if a proposal comes first, which a follower that had agreed hears of with a heartbeat", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.loses = ({ type, from }) => type === "heartbeat-response" && from === "c";
    group.pass(quiesceAfter + heartbeatInterval);
    const b = group.get("b");
    expect(b.status.quiesced).toBe(true);
    group.loses = ({ type, to }) => type === "append-request" && to === "b";
    a.raft.propose("x");
    group.settle();
    group.pass(heartbeatInterval);
    expect(b.status).toMatchObject({ quiesced: false, lastLog: at(1, 1) });
    expect(b.raft.wakeAt).toBeGreaterThan(group.now);
  });
});

describe("a follower", () => {
  test("agrees only if it holds what the leader holds and knows all of it to be committed", () => {
    const b = new Replica("b", { entries: log(1, 1) });
    const proposal = { ...heartbeat(["a", "b", 1], { commit: 1, round: 4 }), quiesce: true };
    expect(b.step(proposal)).toMatchObject([{ round: 4, quiesced: false }]);
    expect(b.status.quiesced).toBe(false);
    expect(b.step({ ...proposal, commit: 2 })).toMatchObject([{ round: 4, quiesced: true }]);
    expect(b.status).toMatchObject({ quiesced: true, commit: 2 });
    expect(b.raft.wakeAt).toBeUndefined();
  });

  test("agrees to no proposal that it has heard more than since", () => {
    const b = new Replica("b", { entries: log(1, 1) });
    // Both were under way for long: the leader knew less, or has gone on without silence.
    b.step(heartbeat(["a", "b", 1], { commit: 2, round: 5 }));
    for (const late of [
      { commit: 1, round: 5 },
      { commit: 2, round: 4 },
    ]) {
      const proposal = { ...heartbeat(["a", "b", 1], late), quiesce: true };
      expect(b.step(proposal)).toMatchObject([{ round: late.round, quiesced: false }]);
      expect(b.status.quiesced).toBe(false);
    }
  });

  test("does not agree while it waits for a read that it passed on", () => {
    const b = new Replica("b", {}, { forwardRequests: true });
    b.step(heartbeat(["a", "b", 1]));
    b.raft.readIndex("r");
    b.step({ ...heartbeat(["a", "b", 1], { round: 1 }), quiesce: true });
    expect(b.status.quiesced).toBe(false);
  });

  test("agrees with nobody but its leader", () => {
    const b = new Replica("b");
    b.step(heartbeat(["a", "b", 2]));
    b.step({ ...heartbeat(["c", "b", 2], { round: 1 }), quiesce: true });
    b.step({ ...heartbeat(["c", "b", 1], { round: 1 }), quiesce: true });
    expect(b.status.quiesced).toBe(false);
  });
});

describe("silence ends", () => {
  test.each([
    ["a proposal", (a: Replica) => a.raft.propose("y")],
    ["a read", (a: Replica) => a.raft.readIndex("r")],
    ["a change of membership", (a: Replica) => a.raft.proposeMembership([{ type: "remove", replica: "c" }])],
    ["a transfer", (a: Replica) => a.raft.transferLeadership("b")],
  ] as const)("at the leader with %s, which is served after any time", (_, ask) => {
    const group = silent();
    sleep(group);
    const a = group.get("a");
    expect(["appended", "started"]).toContain(ask(a).type);
    expect(a.status.quiesced).toBe(false);
    group.settle();
    for (const { id, status, raft } of group.replicas.values()) {
      if (id === "c") continue;
      expect(status.quiesced).toBe(false);
      expect(raft.wakeAt).toBeGreaterThan(group.now);
      expect(status.commit).toBe(status.lastLog.index);
    }
  });

  test("and returns when nothing more happens", () => {
    const group = silent();
    sleep(group);
    group.get("a").raft.propose("y");
    group.settle();
    group.pass(2 * quiesceAfter);
    for (const { status } of group.replicas.values()) {
      expect(status).toMatchObject({ quiesced: true, commit: 3, term: 1 });
    }
  });

  test("at a follower with a request, which it can pass on to the silent leader", () => {
    const group = silent({ forwardRequests: true });
    sleep(group);
    const b = group.get("b");
    expect(b.raft.readIndex("r")).toEqual({ type: "forwarded", leader: "a" });
    expect(b.raft.propose("y")).toEqual({ type: "forwarded", leader: "a" });
    group.settle();
    expect(b.reads).toMatchObject([{ type: "granted", id: "r" }]);
    expect(b.committed.at(-1)).toMatchObject({ command: "y" });
    expect(group.leader?.status).toMatchObject({ id: "a", term: 1 });
  });

  test("at the leader with something that goes on at its host, and all hear of it", () => {
    const group = silent();
    sleep(group);
    const a = group.get("a");
    a.raft.stayAwake();
    group.settle();
    for (const { id, status } of group.replicas.values()) expect(status.quiesced, id).toBe(false);
    expect(a.status).toMatchObject({ role: "leader", term: 1 });
  });

  test("at a follower with a refused request too: it waits for a leader again, and campaigns if none shows", () => {
    const group = silent();
    sleep(group);
    const b = group.get("b");
    expect(b.raft.propose("y")).toEqual({ type: "refused", refusal: { type: "not-leader", leader: "a" } });
    expect(b.status.quiesced).toBe(false);
    expect(b.raft.wakeAt).toBeGreaterThanOrEqual(group.now + electionTimeout[0]);
  });

  test("trap 15: for voters that are asked for a pre-vote, who are loyal to nobody any more", () => {
    const group = silent();
    sleep(group);
    // The leader died in its sleep; b's host found that out and says so.
    group.isolate("a");
    const b = group.get("b");
    b.raft.campaign();
    group.deliver(b.pump());
    expect(b.status).toMatchObject({ role: "leader", term: 2 });
    expect(group.get("c").status).toMatchObject({ quiesced: false, leader: "b", term: 2 });
  });

  test("for a silent leader that is asked for a pre-vote: it refuses, and says that it is there", () => {
    const group = silent();
    sleep(group);
    const a = group.get("a");
    const sent = a.step(preVote(["b", "a", 2], at(1, 2)));
    expect(sent).toMatchObject([
      { type: "pre-vote-response", granted: false },
      { type: "heartbeat", to: "b", quiesce: false },
      { type: "heartbeat", to: "c", quiesce: false },
    ]);
    expect(a.raft.wakeAt).toBe(group.now + heartbeatInterval);
  });

  test("with a newer term, and the leader of the older one is none any more", () => {
    const a = silent().get("a");
    a.step(voteAnswer(["c", "a", 9], false));
    expect(a.status).toMatchObject({ role: "follower", term: 9, quiesced: false });
    expect(a.raft.wakeAt).toBeDefined();
  });

  test("with an append of the leader, and the follower waits for it again", () => {
    const group = silent();
    const b = group.get("b");
    b.step(append(["a", "b", 1], at(1, 2), [command(1, 3)], { round: 2 }));
    expect(b.status).toMatchObject({ quiesced: false, lastLog: at(1, 3) });
    expect(b.raft.wakeAt).toBeDefined();
  });

  test("with a request that another replica passes on, at whatever replica it arrives", () => {
    for (const id of ["a", "b"]) {
      const replica = silent().get(id);
      replica.step(forward("c", id, { type: "read", id: "r" }));
      expect(replica.status.quiesced).toBe(false);
    }
  });

  test("for a follower that was out of reach as soon as it campaigns", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    const a = group.elect("a");
    group.isolate("c");
    a.raft.propose("x");
    group.settle();
    for (let step = 0; step < 10; step += 1) {
      group.now += heartbeatInterval;
      for (const id of ["a", "b"]) group.deliver(group.get(id).tick(group.now));
    }
    expect(a.status.quiesced).toBe(true);
    const c = group.get("c");
    group.heal();
    group.deliver(c.tick(group.now));
    group.pass(heartbeatInterval);
    expect(c.status).toMatchObject({ commit: 2, leader: "a", term: 1 });
    expect(a.status).toMatchObject({ role: "leader", term: 1 });
  });

  test("not for a leader with a campaign of its own host: that has no effect", () => {
    const a = silent().get("a");
    a.raft.campaign();
    expect(a.status).toMatchObject({ role: "leader", quiesced: true });
  });

  test("not with a message from before it that arrives late or twice, or the group would never sleep", () => {
    const group = new Group(voters("a", "b", "c"), { timing });
    group.elect("a").raft.propose("x");
    group.settle();
    group.pass(2 * quiesceAfter);
    const before = [...group.sent];
    group.sent.length = 0;
    sleep(group);
    const campaigns = ["pre-vote-request", "vote-request"];
    for (const late of before.filter(({ type }) => !campaigns.includes(type))) {
      group.deliver([late]);
      for (const { status, raft } of group.replicas.values()) {
        expect(status, JSON.stringify(late)).toMatchObject({ quiesced: true, term: 1 });
        expect(raft.wakeAt).toBeUndefined();
      }
    }
  });
});

describe("a replica that starts in silence", () => {
  const start = { startQuiesced: true, timing } as const;

  test("has nothing due until something arrives", () => {
    const b = new Replica("b", { entries: log(1), hardState: { term: 1, commit: 1, leader: "a" } }, start);
    expect(b.raft.wakeAt).toBeUndefined();
    expect(b.tick(HOUR)).toEqual([]);
    expect(b.status).toMatchObject({ quiesced: true, leader: "a", role: "follower" });
    expect(b.raft.propose("x")).toEqual({ type: "refused", refusal: { type: "not-leader", leader: "a" } });
    expect(b.status.quiesced).toBe(false);
    expect(b.raft.wakeAt).toBeGreaterThanOrEqual(HOUR + electionTimeout[0]);
  });

  test("wakes at the first word of a leader, whatever its round", () => {
    const b = new Replica("b", { entries: log(1) }, start);
    b.step(heartbeat(["a", "b", 1]));
    expect(b.status).toMatchObject({ quiesced: false, leader: "a" });
    expect(b.raft.wakeAt).toBeDefined();
  });

  test("campaigns as soon as it is woken if it led before: the others wait for it", () => {
    const hardState = { term: 3, vote: "a", commit: 1, leader: "a" };
    const a = new Replica("a", { entries: log(3), hardState }, start);
    a.raft.tick(HOUR);
    expect(a.raft.propose("x")).toMatchObject({ refusal: { type: "not-leader" } });
    expect(a.raft.wakeAt).toBe(HOUR);
    expect(only(a.tick(HOUR), "pre-vote-request")).toMatchObject([{ term: 4 }, { term: 4 }]);
  });

  test("does not campaign early on whose loyalty a lease may count", () => {
    const hardState = { term: 3, vote: "a", commit: 1, leader: "a" };
    const a = new Replica(
      "a",
      { entries: log(3), hardState },
      {
        ...start,
        reads: { type: "lease", maxDrift: 10 },
      },
    );
    a.raft.tick(10);
    a.raft.propose("x");
    expect(a.raft.wakeAt).toBe(loyalty);
  });

  test("alone elects itself as soon as it is woken", () => {
    const a = new Replica("a", { configuration: voters("a") }, start);
    expect(a.raft.wakeAt).toBeUndefined();
    a.raft.propose("x");
    a.wake();
    expect(a.status.role).toBe("leader");
  });

  test("finds the others: all three, built anew in the same instant, serve a request", () => {
    const group = silent();
    const overrides = { ...start, now: group.now + HOUR };
    const woken = new Group(voters("a", "b", "c"), overrides);
    for (const [id, { disk }] of group.replicas) {
      const { hardState, entries } = { hardState: disk.durable.hardState, entries: disk.entries };
      woken.replicas.set(id, new Replica(id, { hardState, entries }, overrides));
    }
    woken.now = overrides.now;
    const a = woken.get("a");
    a.raft.readIndex("r");
    woken.deliver(a.wake());
    woken.settle();
    expect(a.status).toMatchObject({ role: "leader", term: 2 });
    for (const { status } of woken.replicas.values()) expect(status).toMatchObject({ leader: "a" });
  });
});

/** Nothing that was sent takes longer than this. */
const LATE_MS = 4_000;

test("under random faults a group falls silent when they end, and is awake again when it is asked", () => {
  let slept = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const cluster = new Cluster(seed, voters("a", "b", "c"), { timing });
    const { random, schedule } = cluster;
    cluster.weather = { loss: 0.1, repetition: 0.5, delay: [0, 60], overtaken: 0, flush: [0, 20] };
    const misfortune = () => {
      if (schedule.now > 3_000) return;
      const id = random.pick(cluster.ids) ?? "a";
      if (random.chance(0.4)) cluster.heal();
      else if (random.chance(0.5)) cluster.partition([id]);
      else {
        cluster.crash(id);
        schedule.after(random.between(0, 300), () => cluster.start(id));
      }
      if (random.chance(0.5)) cluster.propose(cluster.leader ?? id);
      schedule.after(random.between(10, 400), misfortune);
    };
    schedule.after(100, misfortune);
    cluster.run(4_000);
    cluster.heal();
    for (const id of cluster.ids) cluster.start(id);
    const all = () => [...cluster.hosts.values()].map(({ raft }) => raft?.status);
    try {
      const silent = () => all().every((status) => status?.quiesced === true);
      cluster.runUntil(silent, 20_000);
      slept += 1;
      // Repetitions turn up late, are answered, and may wake who hears them once more.
      let before = -1;
      for (let calm = 0; cluster.traffic.sent > before; calm += 1) {
        expect(calm).toBeLessThan(10);
        before = cluster.traffic.sent;
        cluster.run(LATE_MS);
      }
      const sent = cluster.traffic.sent;
      const terms = all().map((status) => status?.term);
      cluster.run(60_000);
      expect(cluster.traffic.sent).toBe(sent);
      expect(all().every((status) => status?.quiesced)).toBe(true);
      expect(all().map((status) => status?.term)).toEqual(terms);
      const decided = cluster.checks.history.length;
      expect(cluster.propose(cluster.leader ?? "")).toBe(true);
      cluster.runUntil(() => cluster.checks.history.length > decided, 1_000);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
  expect(slept).toBe(60);
}, 30_000);
