/** Linearizable reads: what confirms one, what does not, and what they cost. */
import { describe, expect, test } from "vitest";
import { append, at, heartbeatAnswer, matched, only } from "./harness/messages.ts";
import { log, Replica, TIMING, voters } from "./harness/replica.ts";

function establishedLeader(overrides = {}): Replica {
  const a = new Replica("a", {}, overrides);
  a.lead("b");
  a.step(matched(["b", "a", 1], 1), matched(["c", "a", 1], 1));
  return a;
}

describe("a read", () => {
  test("is granted at the commit index once a majority confirms a round begun after it", () => {
    const a = establishedLeader();
    const sent = a.read("r");
    expect(only(sent, "heartbeat")).toMatchObject([
      { to: "b", round: 1, commit: 1 },
      { to: "c", round: 1, commit: 1 },
    ]);
    expect(a.reads).toEqual([]);
    a.step(heartbeatAnswer(["b", "a", 1], 0));
    expect(a.reads).toEqual([]);
    a.step(heartbeatAnswer(["b", "a", 1], 1));
    expect(a.reads).toEqual([{ type: "granted", id: "r", index: 1 }]);
    a.step(heartbeatAnswer(["c", "a", 1], 1));
    expect(a.reads).toHaveLength(1);
  });

  test("shares its round with the reads that were asked in the same event", () => {
    const a = establishedLeader();
    for (const id of ["r1", "r2", "r3"]) a.raft.readIndex(id);
    expect(a.pump()).toHaveLength(2);
    a.step(heartbeatAnswer(["c", "a", 1], 1));
    expect(a.reads.map(({ id }) => id)).toEqual(["r1", "r2", "r3"]);
  });

  test("needs a later round if one is under way, and all that wait share it", () => {
    const a = establishedLeader();
    a.read("r1");
    expect(a.read("r2")).toEqual([]);
    expect(a.read("r3")).toEqual([]);
    const sent = a.step(heartbeatAnswer(["b", "a", 1], 1));
    expect(a.reads.map(({ id }) => id)).toEqual(["r1"]);
    expect([...sent, ...a.pump()]).toMatchObject([{ round: 2 }, { round: 2 }]);
    a.step(heartbeatAnswer(["c", "a", 1], 1));
    expect(a.reads).toHaveLength(1);
    a.step(heartbeatAnswer(["c", "a", 1], 2));
    expect(a.reads.map(({ id }) => id)).toEqual(["r1", "r2", "r3"]);
  });

  test("rides on an append that is due anyway", () => {
    const a = establishedLeader();
    a.raft.propose("x");
    a.raft.readIndex("r");
    const sent = a.pump();
    expect(only(sent, "append-request")).toMatchObject([{ round: 1 }, { round: 1 }]);
    expect(sent).toHaveLength(2);
    a.step(matched(["b", "a", 1], 2, 1));
    expect(a.reads).toEqual([{ type: "granted", id: "r", index: 1 }]);
  });

  test("is confirmed by a later heartbeat if the messages of its round were lost", () => {
    const a = establishedLeader();
    a.read("r");
    const again = a.tick(TIMING.heartbeatInterval);
    expect(only(again, "heartbeat")).toMatchObject([{ round: 1 }, { round: 1 }]);
    a.step(heartbeatAnswer(["c", "a", 1], 1));
    expect(a.reads).toMatchObject([{ type: "granted", id: "r" }]);
  });

  test("trap 16: is not granted before the leader's barrier commits", () => {
    const a = new Replica("a", { entries: log(1, 1), hardState: { term: 1, commit: 0 } });
    a.lead("b");
    // The predecessor may have committed entry 2 and answered for it; this leader does not know yet.
    expect(a.status.commit).toBe(0);
    a.read("r");
    a.step(heartbeatAnswer(["b", "a", 2], 1), heartbeatAnswer(["c", "a", 2], 1));
    expect(a.reads).toEqual([]);
    a.step(matched(["b", "a", 2], 3));
    expect(a.reads).toEqual([{ type: "granted", id: "r", index: 3 }]);
  });

  test("trap 17: late answers to an earlier read confirm no later one, whatever its name", () => {
    const isolated = new Replica("a", {}, { checkQuorum: false });
    isolated.lead("b");
    isolated.step(matched(["b", "a", 1], 1));
    isolated.read("r");
    const late = [heartbeatAnswer(["b", "a", 1], 1), heartbeatAnswer(["c", "a", 1], 1)];
    isolated.step(...late);
    expect(isolated.reads).toHaveLength(1);

    // Another leader is elected and commits; this one has not heard of it. The read is tried again.
    const other = new Replica("c");
    other.step(append(["a", "c", 1], at(0, 0), [{ type: "barrier", ...at(1, 1), time: 0 }]));
    other.tick(TIMING.electionTimeout[1]);
    other.lead("b");
    other.propose("newer");
    other.step(matched(["b", "c", 2], 3));
    expect(other.status.commit).toBe(3);

    isolated.read("r");
    isolated.step(...late, matched(["b", "a", 1], 1, 1), ...late);
    expect(isolated.reads).toHaveLength(1);
    isolated.step(heartbeatAnswer(["b", "a", 2], 2));
    expect(isolated.reads.at(-1)).toEqual({ type: "aborted", id: "r", refusal: { type: "not-leader" } });
  });

  test("trap 17: rounds that this leader has not begun confirm nothing", () => {
    const a = establishedLeader();
    a.step(heartbeatAnswer(["b", "a", 1], 5));
    a.read("r");
    expect(a.reads).toEqual([]);
  });

  test("is aborted when its leader is deposed, and names the successor if it is known", () => {
    const a = establishedLeader();
    a.read("open");
    a.read("waiting");
    a.step(append(["b", "a", 2], at(1, 1)));
    const refusal = { type: "not-leader", leader: "b" };
    expect(a.reads).toEqual([
      { type: "aborted", id: "open", refusal },
      { type: "aborted", id: "waiting", refusal },
    ]);
    expect(a.raft.readIndex("r")).toEqual({ type: "refused", refusal });
  });

  test("counts no learner", () => {
    const configuration = { ...voters("a", "b", "c"), learners: ["l"] };
    const a = new Replica("a", { configuration });
    a.lead("b");
    a.step(matched(["b", "a", 1], 1), matched(["l", "a", 1], 1));
    expect(a.read("r").map(({ to }) => to)).toEqual(["b", "c"]);
    a.step(heartbeatAnswer(["l", "a", 1], 1));
    expect(a.reads).toEqual([]);
  });
});
