/** Requests passed on to the leader: what comes of them, and what is said when nothing does. */
import { describe, expect, test } from "vitest";
import { Group } from "./harness/group.ts";
import { append, at, forward, heartbeat, matched, only } from "./harness/messages.ts";
import { LIMITS, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval, electionTimeout } = TIMING;
const forwardRequests = true;

function led(): Group {
  const group = new Group(voters("a", "b", "c"), { forwardRequests });
  group.elect("a");
  return group;
}

/** Follows `a` in term 1. */
function follower(overrides = {}): Replica {
  const b = new Replica("b", {}, { forwardRequests, ...overrides });
  b.step(heartbeat(["a", "b", 1]));
  return b;
}

describe("a proposal at a follower", () => {
  test("is appended by the leader and committed everywhere", () => {
    const group = led();
    const b = group.get("b");
    expect(b.raft.propose("x", "y")).toEqual({ type: "forwarded", leader: "a" });
    group.settle();
    for (const { committed } of group.replicas.values()) {
      expect(committed.slice(1)).toMatchObject([{ command: "x" }, { command: "y" }]);
    }
  });

  test("is refused if no leader is known, if it leads nowhere, or if forwarding is off", () => {
    const refusal = { type: "refused", refusal: { type: "not-leader" } };
    expect(new Replica("b", {}, { forwardRequests }).raft.propose("x")).toEqual(refusal);
    const campaigning = follower();
    campaigning.tick(electionTimeout[1]);
    expect(campaigning.raft.propose("x")).toEqual(refusal);
    expect(follower({ forwardRequests: false }).raft.propose("x")).toEqual({
      type: "refused",
      refusal: { type: "not-leader", leader: "a" },
    });
  });

  test("is refused at once if the leader would refuse it for its size", () => {
    const b = follower();
    const large = "x".repeat(LIMITS.entryBytes + 1);
    expect(b.raft.propose("fits", large)).toEqual({ type: "refused", refusal: { type: "too-large" } });
    expect(b.pump()).toEqual([]);
    expect(b.raft.propose(large.slice(1))).toMatchObject({ type: "forwarded" });
  });

  test("goes no further than a replica that does not lead", () => {
    const b = follower();
    const lastLog = b.status.lastLog;
    const requests = [
      { type: "propose", commands: ["x"] },
      { type: "read", id: "r" },
      { type: "transfer", successor: "c" },
    ] as const;
    for (const request of requests) expect(b.step(forward("c", "b", request))).toEqual([]);
    expect(b.status.lastLog).toEqual(lastLog);
  });

  test("may be empty or too large without harm to the leader", () => {
    const a = led().get("a");
    const { lastLog } = a.status;
    a.step(forward("b", "a", { type: "propose", commands: [] }));
    a.step(forward("b", "a", { type: "propose", commands: ["x".repeat(LIMITS.entryBytes + 1)] }));
    a.step(forward("b", "a", { type: "transfer", successor: "stranger" }));
    expect(a.status).toMatchObject({ role: "leader", lastLog });
  });
});

describe("a transfer asked for at a follower", () => {
  test("is made by the leader", () => {
    const group = led();
    expect(group.get("b").raft.transferLeadership("c")).toEqual({ type: "forwarded", leader: "a" });
    group.settle();
    expect(group.leader?.id).toBe("c");
  });
});

describe("a read at a follower", () => {
  test("is granted by the leader's round, under the name that its caller gave it", () => {
    const group = led();
    const b = group.get("b");
    group.get("a").raft.propose("x");
    group.settle();
    expect(b.raft.readIndex("r")).toEqual({ type: "forwarded", leader: "a" });
    const [asked] = only(b.pump(), "forward");
    if (asked === undefined) throw new Error("nothing was forwarded");
    const a = group.get("a");
    const round = a.step(asked);
    expect(a.reads).toEqual([]);
    expect(round.map(({ type }) => type)).toEqual(["heartbeat", "heartbeat"]);
    group.deliver(round);
    expect(b.reads).toEqual([{ type: "granted", id: "r", index: 2 }]);
    expect(a.reads).toEqual([]);
  });

  test("is not granted before the leader's barrier is committed", () => {
    const a = new Replica("a", {}, { forwardRequests });
    a.lead("b");
    a.step(forward("b", "a", { type: "read", id: "r" }));
    const echoes = { type: "heartbeat-response", to: "a", term: 1, round: 1, quiesced: false } as const;
    expect(only(a.step({ ...echoes, from: "b" }, { ...echoes, from: "c" }), "read-grant")).toEqual([]);
    expect(only(a.step(matched(["b", "a", 1], 1, 1)), "read-grant")).toMatchObject([
      { to: "b", id: "r", index: 1, term: 1 },
    ]);
  });

  test("trap 17: is not granted by an answer to an earlier attempt under the same name", () => {
    const attempts = [follower(), follower({ random: () => 0.7 })].map((b) => {
      const names = ["first", "second"].map(() => {
        b.raft.readIndex("r");
        const [asked] = only(b.pump(), "forward");
        return asked?.request.type === "read" ? asked.request.id : "";
      });
      return { b, names };
    });
    const [before, after] = attempts;
    if (before === undefined || after === undefined) throw new Error();
    const names = [...before.names, ...after.names];
    expect(new Set(names).size).toBe(4);
    const grant = { type: "read-grant", from: "a", to: "b", term: 1, index: 9 } as const;
    // The first attempt is given up, the second goes on under the same name.
    after.b.tick(electionTimeout[1]);
    expect(after.b.reads.map(({ type }) => type)).toEqual(["aborted", "aborted"]);
    after.b.step(...names.map((id) => ({ ...grant, id })), { ...grant, id: "r" });
    expect(after.b.reads.every(({ type }) => type === "aborted")).toBe(true);
  });

  test("is granted once, however often the answer arrives", () => {
    const b = follower();
    b.raft.readIndex("r");
    const [asked] = only(b.pump(), "forward");
    const id = asked?.request.type === "read" ? asked.request.id : "";
    const grant = { type: "read-grant", from: "a", to: "b", term: 1, id, index: 3 } as const;
    b.step(grant, grant);
    expect(b.reads).toEqual([{ type: "granted", id: "r", index: 3 }]);
    expect(b.status.leader).toBe("a");
  });

  test("is aborted when the leader or its term changes, and names the new leader", () => {
    const b = follower();
    b.raft.readIndex("r1");
    b.step(heartbeat(["c", "b", 2]));
    expect(b.reads).toEqual([{ type: "aborted", id: "r1", refusal: { type: "not-leader", leader: "c" } }]);
    b.raft.readIndex("r2");
    b.step(append(["c", "b", 3], at(0, 0)));
    expect(b.reads.at(-1)).toMatchObject({ type: "aborted", id: "r2", refusal: { leader: "c" } });
    b.raft.readIndex("r3");
    b.wake();
    expect(b.status.role).toBe("pre-candidate");
    expect(b.reads.at(-1)).toEqual({ type: "aborted", id: "r3", refusal: { type: "not-leader" } });
  });

  test("is aborted when it is lost, exactly when that is due", () => {
    const b = follower();
    b.tick(30);
    b.raft.readIndex("r");
    const due = 30 + electionTimeout[1];
    for (let now = 80; now < due; now += heartbeatInterval) {
      b.tick(now);
      b.step(heartbeat(["a", "b", 1]));
    }
    expect(b.raft.wakeAt).toBe(due);
    b.tick(due - 1);
    expect(b.reads).toEqual([]);
    b.tick(due);
    expect(b.reads).toMatchObject([{ type: "aborted", id: "r" }]);
    expect(b.raft.wakeAt).toBeGreaterThan(due);
  });

  test("that is granted in a newer term tells of that term", () => {
    const b = follower();
    b.raft.readIndex("r");
    const [asked] = only(b.pump(), "forward");
    const id = asked?.request.type === "read" ? asked.request.id : "";
    b.step({ type: "read-grant", from: "a", to: "b", term: 4, id, index: 3 });
    expect(b.reads).toEqual([{ type: "granted", id: "r", index: 3 }]);
    expect(b.status).toMatchObject({ role: "follower", term: 4 });
  });

  test("works at a learner", () => {
    const group = new Group({ ...voters("a", "b", "c"), learners: ["l"] }, { forwardRequests });
    group.elect("a");
    const l = group.get("l");
    l.raft.readIndex("r");
    l.raft.propose("x");
    group.settle();
    expect(l.reads).toMatchObject([{ type: "granted", id: "r" }]);
    expect(l.committed.at(-1)).toMatchObject({ command: "x" });
  });
});
