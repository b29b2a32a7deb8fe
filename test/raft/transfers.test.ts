/**
 * Handing leadership over, and who is elected when nobody hands over: the successor's log, everybody
 * else's loyalty, what is refused meanwhile, and the way back when it fails.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../simulation/random.ts";
import { Group } from "./harness/group.ts";
import { append, at, heartbeat, matched, only, timeoutNow, voteAnswer } from "./harness/messages.ts";
import { log, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval, loyalty } = TIMING;

function led(): Group {
  const group = new Group(voters("a", "b", "c"));
  group.elect("a");
  return group;
}

describe("a transfer", () => {
  test("makes the successor lead at once, although everybody hears the present leader", () => {
    const group = led();
    const a = group.get("a");
    expect(a.raft.transferLeadership("c")).toEqual({ type: "started" });
    expect(a.leading.successor).toBe("c");
    group.settle();
    expect(group.now).toBe(0);
    expect(group.leader?.id).toBe("c");
    for (const { status } of group.replicas.values()) expect(status).toMatchObject({ leader: "c", term: 2 });
    expect(only(group.sent, "pre-vote-request").every(({ term }) => term === 1)).toBe(true);
    expect(only(group.sent, "vote-request").filter(({ transfer }) => transfer)).toMatchObject([
      { from: "c", term: 2 },
      { from: "c", term: 2 },
    ]);
  });

  test("waits until the successor holds the whole log", () => {
    const group = led();
    const a = group.get("a");
    a.raft.propose("x");
    const sent = a.pump();
    a.raft.transferLeadership("c");
    expect(a.pump()).toEqual([]);
    a.step(matched(["b", "a", 1], 2));
    expect(a.status).toMatchObject({ commit: 2, successor: "c" });
    const urged = a.step(matched(["c", "a", 1], 2));
    expect(only(urged, "timeout-now")).toEqual([timeoutNow(["a", "c", 1], at(1, 2))]);
    expect(sent).toHaveLength(2);
  });

  test("refuses proposals and changes meanwhile, and names the successor", () => {
    const group = led();
    const a = group.get("a");
    group.isolate("c");
    a.raft.transferLeadership("c");
    const refusal = { type: "transferring", successor: "c" };
    expect(a.raft.propose("x")).toEqual({ type: "refused", refusal });
    expect(a.raft.proposeMembership([{ type: "remove", replica: "b" }])).toEqual({
      type: "refused",
      refusal,
    });
    expect(a.raft.leaveJointConfiguration()).toEqual({ type: "refused", refusal });
    expect(a.raft.transferLeadership("b")).toEqual({ type: "refused", refusal });
    expect(a.raft.transferLeadership("c")).toEqual({ type: "started" });
    expect(a.raft.readIndex("r")).toEqual({ type: "started" });
  });

  test("trap 21: is refused towards a replica that is behind, votes not, or leads already", () => {
    const group = new Group({ ...voters("a", "b", "c"), learners: ["l"] });
    const a = group.elect("a");
    for (const id of ["a", "l", "stranger"]) {
      expect(a.raft.transferLeadership(id)).toMatchObject({
        type: "refused",
        refusal: { type: "invalid-change" },
      });
    }
    group.isolate("c");
    a.raft.propose("x");
    group.settle();
    group.pass(loyalty);
    expect(a.raft.transferLeadership("c")).toEqual({
      type: "refused",
      refusal: { type: "learner-behind", matched: 1 },
    });
    expect(group.get("b").raft.transferLeadership("c")).toEqual({
      type: "refused",
      refusal: { type: "not-leader", leader: "a" },
    });
  });

  test("trap 21: is refused while a change is pending or the term is not established", () => {
    const a = new Replica("a");
    a.lead("b");
    expect(a.raft.transferLeadership("b")).toEqual({
      type: "refused",
      refusal: { type: "term-not-established" },
    });
    a.step(matched(["b", "a", 1], 1));
    a.raft.proposeMembership([{ type: "add-learner", replica: "d" }]);
    expect(a.raft.transferLeadership("b")).toEqual({
      type: "refused",
      refusal: { type: "change-in-progress" },
    });
  });

  test("trap 21: is ignored by a successor that does not hold durably what was expected", () => {
    const c = new Replica("c");
    c.raft.step(append(["a", "c", 1], at(0, 0), log(1, 1)));
    const batch = c.raft.takeReady();
    if (batch?.persist !== undefined) c.disk.write(batch.persist);
    c.raft.step(timeoutNow(["a", "c", 1], at(1, 2)));
    expect(c.status).toMatchObject({ role: "follower", term: 1 });
    c.raft.advance({ persisted: batch?.sequence ?? 0 });
    expect(c.step(timeoutNow(["a", "c", 1], at(1, 3)))).toEqual([]);
    expect(c.step(timeoutNow(["a", "c", 1], at(0, 2)))).toEqual([]);
    const sent = c.step(timeoutNow(["a", "c", 1], at(1, 2)));
    expect(only(sent, "vote-request")).toMatchObject([{ term: 2, transfer: true }, { transfer: true }]);
  });

  test("trap 21: is ignored by a successor whose snapshot is not durable yet", () => {
    const c = new Replica("c");
    const configuration = voters("a", "b", "c");
    const snapshot = { last: { ...at(1, 5), time: 0 }, configuration, handle: "image" };
    c.raft.step({ type: "snapshot-offer", from: "a", to: "c", term: 1, snapshot, round: 0 });
    c.raft.step(timeoutNow(["a", "c", 1], at(1, 5)));
    expect(c.status.role).toBe("follower");
    c.pump();
    expect(only(c.step(timeoutNow(["a", "c", 1], at(1, 5))), "vote-request")).toHaveLength(2);
  });

  test("is asked for by the leader of the term only, and not of a learner", () => {
    const c = new Replica("c", { entries: log(2) });
    c.step(heartbeat(["a", "c", 2]));
    c.step(timeoutNow(["b", "c", 2], at(2, 1)), timeoutNow(["a", "c", 1], at(2, 1)));
    expect(c.status).toMatchObject({ role: "follower", term: 2 });
    const l = new Replica("l", { entries: log(2), configuration: { ...voters("a"), learners: ["l"] } });
    expect(l.step(timeoutNow(["a", "l", 2], at(2, 1)))).toEqual([]);
    expect(l.status).toMatchObject({ role: "learner", term: 2 });
  });

  test("asks again if the request was lost", () => {
    const group = led();
    const a = group.get("a");
    a.raft.transferLeadership("c");
    expect(only(a.pump(), "timeout-now")).toHaveLength(1);
    expect(a.pump()).toEqual([]);
    expect(only(a.tick(heartbeatInterval), "timeout-now")).toHaveLength(1);
  });

  test("trap 22: to a successor that cannot be reached is given up when loyalty has passed, not before", () => {
    const group = led();
    const a = group.get("a");
    group.pass(heartbeatInterval);
    const begun = group.now;
    a.raft.transferLeadership("c");
    group.isolate("c");
    group.settle();
    let last = begun;
    while (a.leading.successor !== undefined) {
      expect(a.raft.propose("x")).toMatchObject({ refusal: { type: "transferring" } });
      expect(a.raft.wakeAt).toBeLessThanOrEqual(begun + loyalty);
      last = a.raft.wakeAt ?? 0;
      for (const replica of group.replicas.values()) group.deliver(replica.tick(last));
    }
    expect(last).toBe(begun + loyalty);
    expect(a.raft.propose("x")).toMatchObject({ type: "appended" });
    group.settle();
    expect(a.status).toMatchObject({ role: "leader", term: 1, commit: 2 });
  });

  test("that failed does not keep the old leader from leading a later term", () => {
    const group = led();
    const a = group.get("a");
    a.raft.transferLeadership("c");
    // The campaign is heard by nobody, then c's next one is an ordinary one.
    group.loses = ({ from }) => from === "c";
    group.settle();
    expect(group.get("c").status).toMatchObject({ role: "candidate", term: 2 });
    group.get("c").tick(TIMING.electionTimeout[1]);
    expect(group.get("c").status.role).toBe("pre-candidate");
    group.heal();
    group.pass(2 * TIMING.electionTimeout[1]);
    expect(group.leader?.status.term).toBeGreaterThanOrEqual(2);
    expect(group.leader?.raft.propose("x")).toMatchObject({ type: "appended" });
  });

  test("waives loyalty for its own election only", () => {
    const c = new Replica("c", { entries: log(1) });
    c.step(timeoutNow(["a", "c", 1], at(1, 1)));
    c.tick(TIMING.electionTimeout[1]);
    const questions = c.wake();
    expect(c.status.role).toBe("pre-candidate");
    expect(only(questions, "pre-vote-request")).toHaveLength(2);
    const sent = c.step({ type: "pre-vote-response", from: "b", to: "c", term: 3, granted: true });
    expect(only(sent, "vote-request")).toMatchObject([{ term: 3, transfer: false }, { transfer: false }]);
    c.step(voteAnswer(["b", "c", 3], true));
    expect(c.status.role).toBe("leader");
  });
});

test("replicas with a lower range of election timeouts lead, whoever hears what last", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new Random(seed);
    const preferred = random.pick(["b", "c", "d", "e"]) ?? "b";
    const group = new Group(voters("a", "b", "c", "d", "e"), (id) => ({
      random: random.next,
      timing: { ...TIMING, electionTimeout: id === preferred ? [200, 300] : [400, 700] },
    }));
    group.elect("a");
    group.pass(500);
    group.isolate("a");
    group.pass(loyalty + 300);
    expect(group.leader?.id).toBe(preferred);
  }
});
