/**
 * How a log gets from a leader to its followers, and when it counts as committed: log matching,
 * backing up, the in-flight window, the commit rule, and what is sent when.
 */
import { describe, expect, test } from "vitest";
import type { AppendRequest, Message } from "../../src/raft/index.ts";
import { Cluster } from "./harness/cluster.ts";
import {
  append,
  at,
  conflict,
  heartbeat,
  heartbeatAnswer,
  matched,
  only,
  outcomes,
} from "./harness/messages.ts";
import { command, LIMITS, log, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval } = TIMING;

/** Appends to one follower. */
function appendsTo(id: string, sent: readonly Message<string>[]): AppendRequest<string>[] {
  return only(sent, "append-request").filter(({ to }) => to === id);
}

function indexesOf({ entries }: AppendRequest<string>): number[] {
  return entries.map(({ index }) => index);
}

/** A leader of term 1 whose followers have acknowledged its barrier, at index 1. */
function establishedLeader(overrides = {}): Replica {
  const a = new Replica("a", {}, overrides);
  a.lead("b");
  a.step(matched(["b", "a", 1], 1), matched(["c", "a", 1], 1));
  return a;
}

describe("a follower", () => {
  test("trap 06: deletes what conflicts, keeps what matches", () => {
    const a = new Replica("a", { entries: log(1, 1, 1, 1) });
    // Overtaken and repeated requests of the same leader: shorter, empty, in the middle.
    a.step(append(["b", "a", 1], at(1, 1), log(1, 1).slice(1)));
    a.step(append(["b", "a", 1], at(1, 2)));
    a.step(append(["b", "a", 1], at(0, 0), log(1)));
    expect(a.disk.entries).toEqual(log(1, 1, 1, 1));
    // Entry 3 conflicts: it goes, and what follows it.
    a.step(append(["c", "a", 2], at(1, 1), [command(1, 2), command(2, 3)]));
    expect(a.disk.entries).toEqual([command(1, 1), command(1, 2), command(2, 3)]);
    expect(a.batches.at(-1)?.persist?.entries).toEqual([command(2, 3)]);
  });

  test("trap 07: commits no further than the append it accepted proves equal", () => {
    const a = new Replica("a", { entries: log(1, 1, 1, 1) });
    a.step(append(["b", "a", 2], at(1, 1), [], { commit: 4 }));
    expect(a.status.commit).toBe(1);
    a.step(append(["b", "a", 2], at(1, 1), [command(1, 2)], { commit: 4 }));
    expect(a.status.commit).toBe(2);
    expect(a.committed).toEqual(log(1, 1));
  });

  test("trap 08: never claims more than was compared", () => {
    const a = new Replica("a", { entries: log(1, 1, 1, 1) });
    expect(outcomes(a.step(append(["b", "a", 2], at(1, 2))))).toEqual([{ type: "matched", through: 2 }]);
    const sent = a.step(append(["b", "a", 2], at(1, 2), [command(1, 3)]));
    expect(outcomes(sent)).toEqual([{ type: "matched", through: 3 }]);
  });

  test("trap 09: learns no commit index from a heartbeat beyond what it holds", () => {
    const a = new Replica("a", { entries: log(1, 1) });
    a.step(heartbeat(["b", "a", 1], { commit: 3 }));
    expect(a.status.commit).toBe(0);
    a.step(heartbeat(["b", "a", 1], { commit: 2 }));
    expect(a.status.commit).toBe(2);
  });

  test.each([
    ["its log is shorter", log(1, 1), at(1, 5), at(1, 2)],
    ["its tail is of a newer term", log(1, 1, 3, 3), at(2, 4), at(1, 2)],
    ["its tail is of an older term", log(1, 1, 1, 2), at(3, 4), at(2, 4)],
    ["nothing agrees", log(2, 2), at(1, 2), at(0, 0)],
  ] as const)("says where the logs may still agree when %s", (_, entries, previous, hint) => {
    const a = new Replica("a", { entries });
    expect(outcomes(a.step(append(["b", "a", 4], previous)))).toEqual([
      { type: "conflict", at: previous.index, hint },
    ]);
    expect(a.disk.entries).toEqual(entries);
  });

  test("answers an append that reaches back before its commit index without losing the new part", () => {
    const a = new Replica("a", { entries: log(1, 1, 1) });
    a.step(heartbeat(["b", "a", 1], { commit: 3 }));
    const sent = a.step(append(["b", "a", 1], at(1, 1), log(1, 1, 1, 1, 1).slice(1)));
    expect(outcomes(sent)).toEqual([{ type: "matched", through: 5 }]);
    expect(outcomes(a.step(append(["b", "a", 1], at(0, 0), log(1))))).toEqual([
      { type: "matched", through: 3 },
    ]);
  });

  test("believes nobody who denies what is committed, and no request that could not be a log", () => {
    const a = new Replica("a", { entries: log(1, 1) });
    a.step(heartbeat(["b", "a", 1], { commit: 2 }));
    expect(a.step(append(["b", "a", 2], at(2, 2)))).toEqual([]);
    expect(a.step(append(["b", "a", 2], at(1, 1), [command(2, 2)]))).toEqual([]);
    expect(a.step(append(["b", "a", 2], at(1, 2), [command(2, 4)]))).toEqual([]);
    expect(a.step(append(["b", "a", 2], at(1, 2), [command(3, 3)]))).toEqual([]);
    expect(a.disk.entries).toEqual(log(1, 1));
  });

  test("trap 29: falls back to the configuration before when an entry that changed it is overwritten", () => {
    const a = new Replica("a");
    const added = {
      type: "configuration",
      ...at(1, 2),
      time: 0,
      configuration: voters("a", "b", "c", "d"),
    } as const;
    a.step(append(["b", "a", 1], at(0, 0), [command(1, 1), added]));
    expect(a.status.configuration).toEqual(added.configuration);
    a.restart();
    expect(a.status.configuration).toEqual(added.configuration);
    a.step(append(["c", "a", 2], at(1, 1), [command(2, 2)]));
    expect(a.status.configuration).toEqual(voters("a", "b", "c"));
  });
});

describe("a leader", () => {
  test("trap 01: never commits an older term's entry by counting", () => {
    // Figure 8: entry 2 of term 2 is on a majority, but a log ending in term 3 could still win.
    const a = new Replica("a", { entries: log(1, 2), hardState: { term: 3, commit: 1 } });
    const barrier = appendsTo("b", a.lead("b"))[0];
    expect(barrier).toMatchObject({ previous: at(2, 2), entries: [{ type: "barrier", ...at(4, 3) }] });
    a.step(matched(["b", "a", 4], 2));
    expect(a.status.commit).toBe(1);
    a.step(matched(["b", "a", 4], 3));
    expect(a.status.commit).toBe(3);
  });

  test("trap 09: promises no follower a commit index beyond what it is known to hold", () => {
    const a = establishedLeader();
    a.propose("x", "y");
    const sent = a.step(matched(["b", "a", 1], 3));
    expect(a.status.commit).toBe(3);
    expect(only(sent, "heartbeat")).toMatchObject([{ to: "b", commit: 3 }]);
    expect(only(a.tick(heartbeatInterval), "heartbeat")).toMatchObject([
      { to: "b", commit: 3 },
      { to: "c", commit: 1 },
    ]);
  });

  test("sends one append per follower and writes once for all commands proposed together", () => {
    const a = establishedLeader();
    const before = a.batches.length;
    expect(a.raft.propose("x", "y", "z")).toEqual({ type: "appended", position: at(1, 4) });
    const sent = a.pump();
    expect(sent.map(({ type, to }) => [type, to])).toEqual([
      ["append-request", "b"],
      ["append-request", "c"],
    ]);
    expect(a.batches.slice(before)).toMatchObject([
      { persist: { entries: [{ command: "x" }, { command: "y" }, { command: "z" }], mustSync: true } },
    ]);
  });

  test("shares the very entries that it writes with every message that carries them", () => {
    const a = establishedLeader();
    const [toB, toC] = only(a.propose("x", "y"), "append-request");
    const written = a.batches.at(-1)?.persist?.entries ?? [];
    expect(written).toHaveLength(2);
    for (const [place, entry] of written.entries()) {
      expect(toB?.entries[place]).toBe(entry);
      expect(toC?.entries[place]).toBe(entry);
    }
  });

  test("tells followers of a new commit index with the next append, or alone if there is none", () => {
    const a = establishedLeader();
    a.propose("x");
    // More is proposed before the batch is taken: the append carries the news.
    a.raft.step(matched(["b", "a", 1], 2));
    a.raft.propose("y");
    const carried = a.pump();
    expect(carried.map(({ type }) => type)).toEqual(["append-request", "append-request"]);
    expect(carried).toMatchObject([{ commit: 2 }, { commit: 2 }]);
    // An acknowledgement while more is under way sends nothing: the end of the burst will.
    a.propose("z");
    expect(a.step(matched(["b", "a", 1], 3))).toEqual([]);
    expect(a.status.commit).toBe(3);
    // Nothing else to send: one heartbeat to whoever holds the entry, and never the same twice.
    const alone = a.step(matched(["b", "a", 1], 4));
    expect(only(alone, "heartbeat")).toMatchObject([{ to: "b", commit: 4 }]);
    expect(alone).toHaveLength(1);
    expect(a.step(matched(["b", "a", 1], 4))).toEqual([]);
    expect(a.step(matched(["c", "a", 1], 4))).toMatchObject([{ type: "heartbeat", to: "c", commit: 4 }]);
  });

  test("waits for an append to carry the news of a commit, and sends it alone when none has come in time", () => {
    const a = establishedLeader({ timing: { ...TIMING, commitNoticeAfter: 10 } });
    a.tick(10);
    a.tick(20);
    a.propose("x");
    expect(a.step(matched(["b", "a", 1], 2))).toEqual([]);
    expect(a.status.commit).toBe(2);
    expect(a.raft.wakeAt).toBe(30);
    a.tick(25);
    expect(only(a.propose("y"), "append-request")).toMatchObject([{ commit: 2 }, { commit: 2 }]);
    // What was owed has been said; the next news has its own time.
    expect(a.raft.wakeAt).toBe(25 + heartbeatInterval);
    expect(a.tick(30)).toEqual([]);
    expect(a.step(matched(["b", "a", 1], 3))).toEqual([]);
    a.tick(35);
    expect(a.step(matched(["c", "a", 1], 3))).toEqual([]);
    expect(a.raft.wakeAt).toBe(40);
    expect(a.wake()).toMatchObject([{ type: "heartbeat", to: "b", commit: 3 }]);
    expect(a.wake()).toMatchObject([{ type: "heartbeat", to: "c", commit: 3 }]);
    expect(a.raft.wakeAt).toBe(40 + heartbeatInterval);
  });

  test("writes a commit index alone as a hint that need not be synced", () => {
    const a = establishedLeader();
    a.propose("x");
    a.step(matched(["b", "a", 1], 2));
    const { persist } = a.batches.at(-1) ?? {};
    expect(persist).toMatchObject({ entries: [], hardState: { commit: 2 }, mustSync: false });
  });

  test("heartbeats only followers that it left in silence, and is due exactly then", () => {
    const a = establishedLeader();
    expect(a.raft.wakeAt).toBe(heartbeatInterval);
    a.tick(30);
    a.propose("x");
    expect(a.raft.wakeAt).toBe(30 + heartbeatInterval);
    expect(a.tick(30 + heartbeatInterval - 1)).toEqual([]);
    expect(a.wake().map(({ type, to }) => [type, to])).toEqual([
      ["heartbeat", "b"],
      ["heartbeat", "c"],
    ]);
    expect(a.raft.wakeAt).toBe(30 + 2 * heartbeatInterval);
  });

  test("stamps entries with its clock, but never earlier than the entry before", () => {
    const a = new Replica("a", { entries: [{ ...command(1, 1), time: 500 }] }, { now: 100 });
    a.lead("b");
    a.propose("x");
    expect(a.disk.entries.map(({ time }) => time)).toEqual([500, 500, 500]);
    a.tick(120);
    a.step(matched(["b", "a", 2], 3));
    a.raft.tick(1_000);
    expect(a.status.role).toBe("follower");
    a.lead("b");
    expect(a.disk.entries.at(-1)).toMatchObject({ type: "barrier", time: 1_000 });
    a.step(append(["c", "a", 9], a.status.lastLog, [{ ...command(9, 5), time: 7_000 }]));
    a.tick(2_000);
    a.lead("b");
    expect(a.disk.entries.at(-1)).toMatchObject({ type: "barrier", time: 7_000 });
  });

  test("counts its own disk like any other, and need not wait for it", () => {
    const a = establishedLeader();
    a.raft.propose("x");
    const ready = a.raft.takeReady();
    if (ready?.persist === undefined) throw new Error("nothing to write");
    a.step(matched(["b", "a", 1], 2));
    expect(a.status.commit).toBe(1);
    a.step(matched(["c", "a", 1], 2));
    expect(a.status.commit).toBe(2);
  });

  test("refuses a command that is too large, and then appends none of those proposed with it", () => {
    const a = establishedLeader();
    const large = "x".repeat(LIMITS.entryBytes + 1);
    expect(a.raft.propose("fits", large)).toEqual({ type: "refused", refusal: { type: "too-large" } });
    expect(a.status.lastLog).toEqual(at(1, 1));
    expect(a.raft.propose(large.slice(1))).toMatchObject({ type: "appended" });
    expect(new Replica("b").raft.propose("x")).toEqual({ type: "refused", refusal: { type: "not-leader" } });
  });

  test("trap 43: takes no more work than may wait without a quorum", () => {
    const a = establishedLeader({ limits: { ...LIMITS, uncommittedBytes: 100 } });
    expect(a.raft.propose("x".repeat(150))).toMatchObject({ type: "appended" });
    expect(a.raft.propose("y")).toEqual({ type: "refused", refusal: { type: "overloaded" } });
    a.pump();
    a.step(matched(["b", "a", 1], 2));
    expect(a.raft.propose("x".repeat(60))).toMatchObject({ type: "appended" });
    expect(a.raft.propose("x".repeat(41))).toEqual({ type: "refused", refusal: { type: "overloaded" } });
    expect(a.raft.propose("x".repeat(40))).toMatchObject({ type: "appended" });
  });

  test("trap 31: a follower that is exactly where the log was cut continues by append", () => {
    const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 3 } });
    a.disk.cutThrough(2);
    a.restart();
    a.lead("b");
    const c = new Replica("c", { entries: log(1, 1) });
    const sent = a.step(conflict(["c", "a", 2], 3, at(1, 2)));
    expect(appendsTo("c", sent)).toMatchObject([
      { previous: at(1, 2), entries: [{ index: 3 }, { index: 4 }] },
    ]);
    a.step(...c.step(...sent));
    expect(a.leading.progress.get("c")).toMatchObject({ type: "replicate", matched: 4 });
    expect(c.disk.entries).toHaveLength(4);
  });
});

describe("the stream to a follower", () => {
  test("is cut into messages of messageBytes, one at least per entry", () => {
    const a = establishedLeader({ limits: { ...LIMITS, messageBytes: 10, inFlightMessages: 10 } });
    const sent = a.propose("12345", "12345", "123", "x".repeat(50), "1");
    expect(appendsTo("b", sent).map(indexesOf)).toEqual([[2, 3], [4], [5], [6]]);
    expect(appendsTo("b", sent).map(({ previous }) => previous.index)).toEqual([1, 3, 4, 5]);
  });

  test("stops at the in-flight limits and goes on with each acknowledgement", () => {
    const a = establishedLeader({ limits: { ...LIMITS, inFlightMessages: 2 } });
    expect(appendsTo("b", a.propose("2"))).toHaveLength(1);
    expect(appendsTo("b", a.propose("3"))).toHaveLength(1);
    expect(appendsTo("b", a.propose("4"))).toEqual([]);
    expect(appendsTo("b", a.propose("5"))).toEqual([]);
    expect(a.leading.progress.get("b")).toEqual({
      type: "replicate",
      matched: 1,
      next: 4,
      inFlight: { messages: 2, bytes: 2 },
    });
    expect(appendsTo("b", a.step(matched(["b", "a", 1], 2))).map(indexesOf)).toEqual([[4, 5]]);
    expect(a.leading.progress.get("b")).toMatchObject({ inFlight: { messages: 2, bytes: 3 } });
    expect(appendsTo("b", a.propose("6"))).toEqual([]);

    const narrow = establishedLeader({ limits: { ...LIMITS, inFlightBytes: 8 } });
    expect(appendsTo("b", narrow.propose("12345678"))).toHaveLength(1);
    expect(appendsTo("b", narrow.propose("9"))).toEqual([]);
  });

  test("trap 36: repeated and reordered answers move progress neither back nor too far", () => {
    const a = establishedLeader();
    a.propose("2");
    a.propose("3");
    a.step(matched(["b", "a", 1], 3));
    const progress = a.leading.progress.get("b");
    expect(progress).toMatchObject({ type: "replicate", matched: 3, next: 4 });
    const old = [
      matched(["b", "a", 1], 1),
      matched(["b", "a", 1], 2),
      conflict(["b", "a", 1], 2, at(1, 1)),
      conflict(["b", "a", 1], 3, at(1, 1)),
      conflict(["b", "a", 1], 9, at(1, 1)),
      matched(["b", "a", 1], 99),
      matched(["stranger", "a", 1], 3),
    ];
    expect(a.step(...old, ...old)).toEqual([]);
    expect(a.leading.progress.get("b")).toEqual(progress);
    expect(a.status.commit).toBe(3);
  });

  test("trap 37: answers of an earlier term say nothing about this one", () => {
    const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 0 } });
    a.lead("b");
    a.step(matched(["b", "a", 1], 4), matched(["c", "a", 1], 4), heartbeatAnswer(["c", "a", 1], 1));
    expect(a.status.commit).toBe(0);
    expect(a.leading.progress.get("b")).toMatchObject({ matched: 0 });
  });

  test("trap 37: a leader whose followers' answers are all lost goes on once they arrive again", () => {
    const cluster = new Cluster(37, voters("a", "b", "c"), { checkQuorum: false });
    cluster.runUntil(() => cluster.leader !== undefined, 1_000);
    const leader = cluster.leader ?? "";
    cluster.filter = ({ type }) => type !== "append-response";
    for (let count = 0; count < 10; count += 1) cluster.propose(leader);
    cluster.run(1_000);
    cluster.filter = () => true;
    cluster.runUntil(() => cluster.converged && cluster.checks.history.length >= 11, 500);
    expect(cluster.leader).toBe(leader);
  });

  test("trap 41: a window whose appends were all lost is revived by a heartbeat answer", () => {
    const a = establishedLeader({ limits: { ...LIMITS, inFlightMessages: 2 } });
    for (const lost of ["2", "3", "4"]) a.propose(lost);
    // An answer to a heartbeat that was sent together with the appends proves nothing yet.
    expect(a.step(heartbeatAnswer(["b", "a", 1]))).toEqual([]);
    expect(only(a.tick(heartbeatInterval), "heartbeat")).toHaveLength(2);
    const [question] = appendsTo("b", a.step(heartbeatAnswer(["b", "a", 1])));
    expect(question).toMatchObject({ previous: at(1, 3), entries: [] });
    const [again] = appendsTo("b", a.step(conflict(["b", "a", 1], 3, at(1, 1))));
    expect(again).toMatchObject({ previous: at(1, 1), entries: [{ index: 2 }, { index: 3 }, { index: 4 }] });
    a.step(matched(["b", "a", 1], 4));
    expect(a.leading.progress.get("b")).toMatchObject({ type: "replicate", matched: 4 });
  });

  test("trap 41: a probe that was lost is repeated after a heartbeat answer, not in a loop", () => {
    const a = new Replica("a", { entries: log(1) });
    a.lead("b");
    expect(a.step(heartbeatAnswer(["c", "a", 2]))).toEqual([]);
    a.tick(heartbeatInterval);
    expect(appendsTo("c", a.step(heartbeatAnswer(["c", "a", 2])))).toHaveLength(1);
    expect(a.step(heartbeatAnswer(["c", "a", 2]))).toEqual([]);
  });

  test("becomes a probe when a message could not be delivered, and a dead peer is not probed in a loop", () => {
    const a = establishedLeader();
    a.propose("2");
    a.propose("3");
    a.raft.reportUnreachable("b");
    const [probe, ...rest] = appendsTo("b", a.pump());
    expect(probe).toMatchObject({ previous: at(1, 1), entries: [{ index: 2 }, { index: 3 }] });
    expect(rest).toEqual([]);
    a.raft.reportUnreachable("b");
    expect(a.pump()).toEqual([]);
    expect(appendsTo("b", a.propose("4"))).toEqual([]);
    expect(a.leading.progress.get("b")).toEqual({ type: "probe", matched: 1, next: 2, waiting: true });
  });

  test("begins anew with an empty window after it was a probe", () => {
    const a = establishedLeader({ limits: { ...LIMITS, inFlightMessages: 2 } });
    a.propose("2");
    a.propose("3");
    a.raft.reportUnreachable("b");
    a.pump();
    // Only the first entry of the probe was new to it.
    expect(appendsTo("b", a.step(matched(["b", "a", 1], 2))).map(indexesOf)).toEqual([[3]]);
    expect(a.leading.progress.get("b")).toMatchObject({ inFlight: { messages: 1, bytes: 1 } });
  });

  test("trap 41: asks once if a window in doubt and a lost message are learnt of in the same event", () => {
    const a = establishedLeader({ limits: { ...LIMITS, inFlightMessages: 2 } });
    for (const lost of ["2", "3", "4"]) a.propose(lost);
    a.tick(heartbeatInterval);
    a.raft.step(heartbeatAnswer(["b", "a", 1]));
    a.raft.reportUnreachable("b");
    expect(appendsTo("b", a.pump())).toMatchObject([{ previous: at(1, 1), entries: [{}, {}, {}] }]);
  });

  test("trap 42: backs up at most one round trip per term", () => {
    // Figure 7 (f) with long tails: terms the leader never saw, then terms the follower never saw.
    const tail = (term: number) => Array.from({ length: 200 }, () => term);
    const leader = new Replica("a", {
      entries: log(1, ...tail(4), ...tail(5), ...tail(6)),
      hardState: { term: 7, commit: 0 },
    });
    const follower = new Replica("b", { entries: log(1, ...tail(2), ...tail(3), ...tail(7)) });
    leader.lead("c");
    let roundTrips = 0;
    let sent = appendsTo("b", leader.tick(heartbeatInterval));
    leader.raft.reportUnreachable("b");
    sent = appendsTo("b", leader.step(heartbeatAnswer(["b", "a", 8])));
    while (sent.length > 0 && roundTrips < 10) {
      const answers = follower.step(...sent);
      if (outcomes(answers).some(({ type }) => type === "conflict")) roundTrips += 1;
      sent = appendsTo("b", leader.step(...answers));
    }
    expect(follower.disk.entries.length).toBe(602);
    expect(roundTrips).toBeGreaterThan(0);
    expect(roundTrips).toBeLessThanOrEqual(3);
  });
});
