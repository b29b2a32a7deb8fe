/**
 * Who takes part, and how that changes: learners, promotions, removals, joint configurations, and
 * everything that must be refused. Changes under random faults are in the simulation.
 */
import { describe, expect, test } from "vitest";
import type { Configuration, MembershipChange, Outcome } from "../../src/raft/index.ts";
import { Group } from "./harness/group.ts";
import { append, at, heartbeatAnswer, matched, only, vote, voteAnswer } from "./harness/messages.ts";
import { command, LIMITS, log, Replica, TIMING, voters } from "./harness/replica.ts";

const { loyalty, heartbeatInterval } = TIMING;

const addLearner = (replica: string): MembershipChange => ({ type: "add-learner", replica });
const promote = (replica: string): MembershipChange => ({ type: "promote", replica });
const demote = (replica: string): MembershipChange => ({ type: "demote", replica });
const remove = (replica: string): MembershipChange => ({ type: "remove", replica });

function refusal(outcome: Outcome): unknown {
  return outcome.type === "refused" ? outcome.refusal : outcome;
}

/** A group whose first voter leads and has committed an entry of its term. */
function led(...ids: readonly string[]): Group {
  const group = new Group(voters(...ids));
  group.elect(ids[0] ?? "");
  return group;
}

/** Lets the leader make `changes` and everybody hear of it. */
function change(group: Group, ...changes: readonly MembershipChange[]): void {
  const outcome = group.leader?.raft.proposeMembership(changes);
  if (outcome?.type !== "appended") throw new Error(`change ${JSON.stringify(outcome)}`);
  group.settle();
}

describe("a learner", () => {
  test("receives the log as soon as it is added, and learns the configuration from it", () => {
    const group = led("a", "b", "c");
    const d = group.join("d");
    expect(d.status).toMatchObject({ role: "learner" });
    expect(d.raft.wakeAt).toBeUndefined();
    change(group, addLearner("d"));
    const configuration = { ...voters("a", "b", "c"), learners: ["d"] };
    for (const { status } of group.replicas.values()) {
      expect(status).toMatchObject({ configuration, commit: 2, lastLog: at(1, 2) });
    }
    expect(d.status.role).toBe("learner");
    expect(d.raft.wakeAt).toBeUndefined();
  });

  test("becomes a voter in one entry and may lead", () => {
    const group = led("a", "b", "c");
    const d = group.join("d");
    change(group, addLearner("d"));
    change(group, promote("d"));
    expect(d.status).toMatchObject({ role: "follower", configuration: voters("a", "b", "c", "d") });
    group.isolate("a");
    group.pass(loyalty);
    group.elect("d");
    expect(d.status).toMatchObject({ role: "leader", term: 2 });
  });

  test("trap 25: is counted neither for commitment nor for an election", () => {
    const a = new Replica("a", { configuration: { ...voters("a", "b", "c"), learners: ["d"] } });
    a.lead("b");
    a.step(matched(["d", "a", 1], 1));
    expect(a.status.commit).toBe(0);
    a.step(matched(["b", "a", 1], 1));
    expect(a.status.commit).toBe(1);
  });

  test("trap 25: votes for the only electable candidate though it does not know of its promotion", () => {
    // The leader dies after the promotion of d reached b alone: b needs the vote of d, which is a
    // voter in b's configuration and a learner in its own.
    const group = led("a", "b");
    group.join("d");
    change(group, addLearner("d"));
    group.loses = ({ to, type }) => to === "d" && type === "append-request";
    change(group, promote("d"));
    expect(group.get("d").status).toMatchObject({ role: "learner" });
    expect(group.get("b").status).toMatchObject({ configuration: voters("a", "b", "d") });
    group.isolate("a");
    group.pass(loyalty);
    group.elect("b");
    group.settle();
    expect(group.get("d").status).toMatchObject({ role: "follower", leader: "b", term: 2 });
  });

  test("trap 26: is not promoted while its log trails too far", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    expect(refusal(a.raft.proposeMembership([promote("d")]))).toMatchObject({ type: "invalid-change" });
    // It never answers: nothing is known to be held.
    change(group, addLearner("d"));
    expect(refusal(a.raft.proposeMembership([promote("d")]))).toEqual({ type: "learner-behind", matched: 0 });
    // It answers: all that is committed was sent to it.
    const d = group.join("d");
    group.pass(2 * heartbeatInterval);
    expect(d.status.lastLog).toEqual(at(1, 2));
    // It falls silent with appends outstanding.
    group.isolate("d");
    a.raft.propose("x");
    group.settle();
    group.pass(loyalty);
    expect(refusal(a.raft.proposeMembership([promote("d")]))).toEqual({ type: "learner-behind", matched: 2 });
    group.heal();
    group.pass(2 * heartbeatInterval);
    change(group, promote("d"));
    expect(a.status.configuration).toEqual(voters("a", "b", "c", "d"));
  });

  test("trap 26: is not promoted while its window is full and more is committed than was sent to it", () => {
    const a = new Replica(
      "a",
      { configuration: { ...voters("a", "b", "c"), learners: ["d"] } },
      { limits: { ...LIMITS, inFlightMessages: 2 } },
    );
    a.lead("b");
    a.step(matched(["b", "a", 1], 1), matched(["d", "a", 1], 1));
    for (const text of ["2", "3", "4"]) {
      a.propose(text);
      a.step(matched(["b", "a", 1], a.status.lastLog.index));
    }
    expect(a.status.commit).toBe(4);
    expect(refusal(a.raft.proposeMembership([promote("d")]))).toEqual({ type: "learner-behind", matched: 1 });
    a.step(matched(["d", "a", 1], 2));
    expect(a.raft.proposeMembership([promote("d")])).toMatchObject({ type: "appended" });
  });
});

describe("a change is refused", () => {
  test("at a replica that does not lead, which names the leader", () => {
    const group = led("a", "b", "c");
    expect(refusal(group.get("b").raft.proposeMembership([addLearner("d")]))).toEqual({
      type: "not-leader",
      leader: "a",
    });
    expect(refusal(group.get("b").raft.leaveJointConfiguration())).toEqual({
      type: "not-leader",
      leader: "a",
    });
  });

  test("trap 23: before the leader has committed an entry of its own term", () => {
    // Leader 1 adds d, leader 2 removes c, neither committed: {a, d} and {b} alone could both decide.
    const first = new Replica("a", { configuration: { ...voters("a", "b", "c"), learners: ["d"] } });
    first.lead("b");
    expect(refusal(first.raft.proposeMembership([promote("d")]))).toEqual({ type: "term-not-established" });
    const added = {
      type: "configuration",
      ...at(1, 2),
      time: 0,
      configuration: voters("a", "b", "c", "d"),
    } as const;
    for (const entries of [log(1), [command(1, 1), added]]) {
      const second = new Replica("b", { entries, hardState: { term: 1, commit: 1 } });
      const { index } = second.status.lastLog;
      second.raft.campaign();
      second.pump();
      for (const from of ["c", "a"]) {
        second.step({ type: "pre-vote-response", from, to: "b", term: 2, granted: true });
      }
      for (const from of ["c", "a"]) second.step(voteAnswer([from, "b", 2], true));
      expect(refusal(second.raft.proposeMembership([remove("c")]))).toEqual({ type: "term-not-established" });
      expect(refusal(second.raft.leaveJointConfiguration())).toEqual({ type: "term-not-established" });
      for (const from of ["c", "a"]) second.step(matched([from, "b", 2], index + 1));
      expect(second.raft.proposeMembership([remove("c")])).toMatchObject({ type: "appended" });
    }
  });

  test("trap 24: while the one before is not committed", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    expect(a.raft.proposeMembership([addLearner("d")])).toEqual({ type: "appended", position: at(1, 2) });
    expect(refusal(a.raft.proposeMembership([addLearner("e")]))).toEqual({ type: "change-in-progress" });
    group.settle();
    expect(a.raft.proposeMembership([addLearner("e")])).toMatchObject({ type: "appended" });
  });

  test("when no majority is heard", () => {
    const a = new Replica("a", {}, { checkQuorum: false });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    a.tick(loyalty);
    expect(refusal(a.raft.proposeMembership([addLearner("d")]))).toEqual({ type: "quorum-silent" });
  });

  test.each([
    ["nothing is named", []],
    ["it is no member", [remove("x")]],
    ["it is no learner", [promote("b")]],
    ["it is a member", [addLearner("b")]],
    ["it is no voter", [demote("l")]],
    ["it is named twice", [demote("b"), remove("b")]],
    ["nobody would vote", [remove("a"), demote("b"), remove("c")]],
    ["a replica has no name", [addLearner("")]],
  ])("when %s, and says why", (_, changes) => {
    const a = new Replica("a", { configuration: { ...voters("a", "b", "c"), learners: ["l"] } });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    const before = a.status;
    expect(refusal(a.raft.proposeMembership(changes))).toMatchObject({
      type: "invalid-change",
      reason: expect.stringMatching(/./),
    });
    expect(a.status).toEqual(before);
  });

  test("when there is no joint configuration to be left", () => {
    const group = led("a", "b", "c");
    expect(refusal(group.get("a").raft.leaveJointConfiguration())).toMatchObject({ type: "invalid-change" });
  });
});

describe("a vote lost", () => {
  test("takes one entry, and the majority counts without it at once", () => {
    const group = led("a", "b", "c", "d");
    group.isolate("c", "d");
    const a = group.get("a");
    a.raft.proposeMembership([remove("d")]);
    group.settle();
    expect(a.status).toMatchObject({ configuration: voters("a", "b", "c"), commit: 2 });
    expect([...a.leading.progress.keys()]).toEqual(["b", "c"]);
  });

  test("by demotion leaves a learner that goes on receiving the log", () => {
    const group = led("a", "b", "c");
    change(group, demote("c"));
    const c = group.get("c");
    expect(c.status).toMatchObject({ role: "learner", commit: 2 });
    expect(c.raft.wakeAt).toBeUndefined();
    group.get("a").raft.propose("x");
    group.settle();
    expect(c.status.commit).toBe(3);
  });

  test("by removal ends replication; what the removed replica says no longer counts", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    change(group, remove("c"));
    a.raft.propose("x");
    const sent = a.pump();
    expect(sent.map(({ to }) => to)).toEqual(["b"]);
    a.step(matched(["c", "a", 1], 3), heartbeatAnswer(["c", "a", 1]));
    expect(a.status.commit).toBe(2);
    group.deliver(sent);
    expect(a.status.commit).toBe(3);
  });

  test("trap 28: a leader that removes itself serves until that commits, does not count itself, then goes", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    group.isolate("a");
    expect(a.raft.proposeMembership([remove("a")])).toMatchObject({ type: "appended" });
    const lost = [...a.pump(), ...a.propose("x")];
    // One acknowledgement and its own disk are no majority of b and c.
    a.step(matched(["b", "a", 1], 3));
    expect(a.status).toMatchObject({ role: "leader", commit: 1 });
    a.read("r");
    a.step(heartbeatAnswer(["b", "a", 1], 1));
    expect(a.reads).toEqual([]);
    a.step(heartbeatAnswer(["c", "a", 1], 1));
    expect(a.reads).toMatchObject([{ type: "granted" }]);
    group.heal();
    group.deliver(lost);
    expect(a.status).toMatchObject({ role: "learner", term: 1, commit: 2 });
    expect(a.raft.wakeAt).toBeUndefined();
    a.raft.campaign();
    expect(a.pump()).toEqual([]);
    group.pass(TIMING.electionTimeout[1] + heartbeatInterval);
    expect(["b", "c"]).toContain(group.leader?.id);
    // What the former leader accepted after its removal was not promised, but neither is it lost here.
    expect(group.leader?.status).toMatchObject({ configuration: voters("b", "c"), term: 2, commit: 4 });
  });

  test("trap 28: a leader that takes its own vote steps down once that commits and goes on learning", () => {
    const group = led("a", "b", "c");
    change(group, demote("a"));
    expect(group.get("a").status).toMatchObject({ role: "learner", commit: 2 });
    group.pass(loyalty);
    group.elect("b");
    group.settle();
    expect(group.get("a").status).toMatchObject({ role: "learner", leader: "b", commit: 3 });
  });
});

describe("several votes at once", () => {
  function joint(group: Group): Extract<Configuration, { type: "joint" }> {
    const configuration = group.leader?.status.configuration;
    if (configuration?.type !== "joint") throw new Error(JSON.stringify(configuration));
    return configuration;
  }

  /** a leads a, b and c; d and e are learners that hold everything. */
  function expanding(leave: "automatic" | "explicit"): Group {
    const group = led("a", "b", "c");
    for (const id of ["d", "e"]) {
      group.join(id);
      change(group, addLearner(id));
    }
    const changes = [remove("b"), remove("c"), promote("d"), promote("e")];
    expect(group.get("a").raft.proposeMembership(changes, { leave })).toMatchObject({ type: "appended" });
    return group;
  }

  test("go through a joint configuration in which both majorities are needed", () => {
    const group = expanding("explicit");
    expect(joint(group)).toEqual({
      type: "joint",
      from: { voters: ["a", "b", "c"], learners: ["d", "e"] },
      to: { voters: ["a", "d", "e"], learners: [] },
      leave: "explicit",
    });
    const a = group.get("a");
    a.pump();
    const { index } = a.status.lastLog;
    a.step(matched(["b", "a", 1], index), matched(["c", "a", 1], index));
    expect(a.status.commit).toBe(index - 1);
    a.step(matched(["d", "a", 1], index));
    expect(a.status.commit).toBe(index);
  });

  test("are left by the leader itself once the joint configuration is committed", () => {
    const group = expanding("automatic");
    group.settle();
    for (const id of ["a", "d", "e"]) {
      expect(group.get(id).status).toMatchObject({ configuration: voters("a", "d", "e"), commit: 5 });
    }
    expect(group.get("a").disk.entries.at(-1)).toMatchObject({ type: "configuration", ...at(1, 5) });
  });

  test("are left when the host says so if that was asked for, and not before", () => {
    const group = expanding("explicit");
    const a = group.get("a");
    expect(refusal(a.raft.leaveJointConfiguration())).toEqual({ type: "change-in-progress" });
    group.settle();
    expect(joint(group).leave).toBe("explicit");
    expect(a.status.commit).toBe(4);
    expect(refusal(a.raft.proposeMembership([addLearner("x")]))).toEqual({ type: "change-in-progress" });
    expect(a.raft.leaveJointConfiguration()).toEqual({ type: "appended", position: at(1, 5) });
    group.settle();
    expect(a.status).toMatchObject({ configuration: voters("a", "d", "e"), commit: 5 });
  });

  test.each(["automatic", "explicit"] as const)(
    "trap 27: are completed by any leader when theirs dies in between (%s)",
    (leave) => {
      const group = expanding(leave);
      const a = group.get("a");
      // Everybody holds the joint configuration, nobody but the leader can know that it is committed.
      const sent = a.pump();
      group.isolate("a");
      for (const message of sent) group.replicas.get(message.to)?.step(message);
      group.pass(loyalty);
      const d = group.elect("d");
      expect(d.status.term).toBe(2);
      group.settle();
      if (leave === "explicit") {
        expect(joint(group).leave).toBe("explicit");
        expect(d.raft.leaveJointConfiguration()).toMatchObject({ type: "appended" });
        group.settle();
      }
      const { status } = d;
      expect(status).toMatchObject({ role: "leader", configuration: voters("a", "d", "e") });
      expect(status.commit).toBe(status.lastLog.index);
      expect(group.get("e").status.configuration).toEqual(voters("a", "d", "e"));
    },
  );

  test("trap 27: are completed by a leader whose predecessor committed them and died", () => {
    const group = expanding("automatic");
    const a = group.get("a");
    // The stable configuration that follows is lost with the leader.
    const joined = a.status.lastLog.index;
    group.loses = (message) =>
      message.type === "append-request" && message.entries.some(({ index }) => index > joined);
    group.settle();
    expect(a.status).toMatchObject({ commit: joined, configuration: voters("a", "d", "e") });
    group.isolate("a");
    group.pass(loyalty);
    group.elect("e");
    group.settle();
    expect(group.get("d").status).toMatchObject({ configuration: voters("a", "d", "e") });
    expect(group.get("e").status).toMatchObject({ role: "leader", configuration: voters("a", "d", "e") });
  });

  test("trap 23: are not left by a new leader before an entry of its own term is committed", () => {
    const configuration: Configuration = {
      type: "joint",
      from: { voters: ["a", "b", "c"], learners: [] },
      to: { voters: ["b"], learners: [] },
      leave: "automatic",
    };
    const b = new Replica("b", {
      entries: [{ type: "configuration", ...at(1, 1), time: 0, configuration }],
      hardState: { term: 1, commit: 1 },
    });
    b.lead("c");
    b.step(matched(["c", "b", 2], 1));
    expect(b.status).toMatchObject({ commit: 1, lastLog: at(2, 2) });
    b.step(matched(["c", "b", 2], 2));
    expect(b.status).toMatchObject({ commit: 3, configuration: voters("b"), lastLog: at(2, 3) });
  });

  test("that take the leader's vote let it lead until the joint configuration is left", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    a.raft.proposeMembership([demote("a"), demote("b")], { leave: "explicit" });
    group.settle();
    expect(a.status).toMatchObject({ role: "leader", commit: 2 });
    a.raft.leaveJointConfiguration();
    group.settle();
    expect(a.status).toMatchObject({ role: "learner", commit: 3, configuration: { voters: ["c"] } });
    group.pass(TIMING.electionTimeout[1] + heartbeatInterval);
    expect(group.leader?.id).toBe("c");
  });
});

describe("a configuration", () => {
  test("trap 29: of an overwritten entry is undone: the votes and timers of the one before are back", () => {
    const b = new Replica("b", { configuration: voters("a", "b", "c") });
    const removal = {
      type: "configuration",
      ...at(1, 2),
      time: 0,
      configuration: voters("a", "c"),
    } as const;
    b.step(append(["a", "b", 1], at(0, 0), [command(1, 1), removal]));
    expect(b.status).toMatchObject({ role: "learner", configuration: voters("a", "c") });
    expect(b.raft.wakeAt).toBeUndefined();
    b.step(append(["c", "b", 2], at(1, 1), [command(2, 2)]));
    expect(b.status).toMatchObject({ role: "follower", configuration: voters("a", "b", "c") });
    expect(b.raft.wakeAt).toBeGreaterThanOrEqual(TIMING.electionTimeout[0]);
    b.wake();
    expect(b.status.role).toBe("pre-candidate");
  });

  test("is found again in the log after a restart, whether or not it is committed", () => {
    const group = led("a", "b", "c");
    group.join("d");
    change(group, addLearner("d"));
    const a = group.get("a");
    a.raft.proposeMembership([promote("d")]);
    a.pump();
    a.restart();
    expect(a.status).toMatchObject({ configuration: voters("a", "b", "c", "d"), lastLog: at(1, 3) });
  });

  test("that is not committed does not survive a leader without it, and a new change may be made", () => {
    const group = led("a", "b", "c");
    const a = group.get("a");
    group.isolate("a");
    a.raft.proposeMembership([remove("c")]);
    group.settle();
    group.pass(loyalty + heartbeatInterval);
    group.elect("b");
    group.heal();
    group.pass(2 * heartbeatInterval);
    expect(a.status).toMatchObject({ role: "follower", leader: "b", configuration: voters("a", "b", "c") });
    change(group, remove("a"));
    expect(group.get("c").status.configuration).toEqual(voters("b", "c"));
  });

  test("of one voter commits what its own disk holds, and takes a learner as a second voter", () => {
    const group = led("a");
    group.join("b");
    change(group, addLearner("b"));
    change(group, promote("b"));
    expect(group.get("b").status).toMatchObject({ configuration: voters("a", "b"), commit: 3 });
    change(group, remove("b"));
    expect(group.get("a").status).toMatchObject({ configuration: voters("a"), commit: 4 });
  });

  test("without the voter that asks does not make its vote worthless for others", () => {
    const a = new Replica("a", { entries: log(1) });
    expect(only(a.step(vote(["stranger", "a", 2], at(1, 1))), "vote-response")).toMatchObject([
      { granted: true },
    ]);
  });
});
