/**
 * Snapshots: how they are labelled, when one is offered, what a follower does with it, and that no
 * end of a transfer leaves a follower without a way on. The images and their transport are the
 * host's and not tested here.
 */
import { describe, expect, test } from "vitest";
import { createRaft, type Message } from "../../src/raft/index.ts";
import { Group } from "./harness/group.ts";
import {
  append,
  at,
  conflict,
  heartbeat,
  heartbeatAnswer,
  matched,
  offer,
  only,
  outcomes,
  vote,
  voteAnswer,
} from "./harness/messages.ts";
import { command, log, optionsFor, Replica, TIMING, voters } from "./harness/replica.ts";

const { heartbeatInterval } = TIMING;

/** What `a` sent to `c` that was no heartbeat. */
function toC(sent: readonly Message<string>[]): Message<string>[] {
  return sent.filter(({ to, type }) => to === "c" && type !== "heartbeat");
}

/** Leads term 2 with a log of four entries, cut behind the second; b and c are probed. */
function leaderOfCutLog(overrides = {}): Replica {
  const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 3 } }, overrides);
  a.disk.cutThrough(2);
  a.restart();
  a.lead("b");
  a.step(matched(["b", "a", 2], 4));
  return a;
}

/** The same after c has said that it holds nothing, and was offered the snapshot. */
function leaderThatOffered(overrides = {}): Replica {
  const a = leaderOfCutLog(overrides);
  const sent = toC(a.step(conflict(["c", "a", 2], 3, at(0, 0))));
  expect(sent).toMatchObject([
    { type: "snapshot-offer", term: 2, snapshot: { last: at(1, 2), handle: "cut-2" } },
  ]);
  expect(a.leading.progress.get("c")).toEqual({ type: "snapshot", matched: 0, offered: 2 });
  return a;
}

describe("a label", () => {
  test("trap 30: names the configuration in force where the image ends, not where the log does", () => {
    const group = new Group(voters("a", "b", "c"));
    const a = group.elect("a");
    group.join("d");
    a.raft.propose("x");
    group.settle();
    // The image is being taken at index 2 while the membership goes on changing.
    a.raft.proposeMembership([{ type: "add-learner", replica: "d" }]);
    group.settle();
    a.raft.proposeMembership([{ type: "promote", replica: "d" }]);
    group.settle();
    expect(a.status).toMatchObject({ commit: 4, configuration: voters("a", "b", "c", "d") });
    expect(a.raft.describeSnapshot(2, "image")).toEqual({
      last: { ...at(1, 2), time: 0 },
      configuration: voters("a", "b", "c"),
      handle: "image",
    });
    expect(a.raft.describeSnapshot(3, "image").configuration).toMatchObject({ learners: ["d"] });
    expect(a.raft.describeSnapshot(4, "image").configuration).toEqual(voters("a", "b", "c", "d"));

    // Also after a restart from an older image than the configuration in force.
    a.snapshot(2, 2);
    a.restart();
    a.pump();
    expect(a.status.configuration).toEqual(voters("a", "b", "c", "d"));
    expect(a.raft.describeSnapshot(3, "image").configuration).toMatchObject({ learners: ["d"] });
  });

  test("carries the time of the entry where the image ends, also if that was cut", () => {
    const entries = [
      { ...command(1, 1), time: 70 },
      { ...command(1, 2), time: 90 },
    ];
    const a = new Replica("a", { entries, hardState: { term: 1, commit: 2 } });
    a.pump();
    expect(a.snapshot(1, 1).last).toEqual({ ...at(1, 1), time: 70 });
    expect(a.raft.describeSnapshot(1, "again").last.time).toBe(70);
    expect(a.raft.describeSnapshot(2, "next").last.time).toBe(90);
  });

  test("is refused for a place that no image can show", () => {
    const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 2 } });
    a.pump();
    expect(() => a.raft.describeSnapshot(3, "image")).toThrow(/at 3.*up to 2/);
    a.snapshot(2);
    expect(() => a.raft.describeSnapshot(1, "image")).toThrow(/at 1.*newest is at 2/);
    const label = { configuration: voters("a", "b", "c"), handle: "image" };
    expect(() => a.raft.snapshotTaken({ ...label, last: { ...at(1, 3), time: 0 } })).toThrow(/at 3/);
    a.step(heartbeat(["b", "a", 1], { commit: 3 }));
    expect(() => a.raft.snapshotTaken({ ...label, last: { ...at(2, 3), time: 0 } })).toThrow(/of term 2/);
    // An older one than is known is nothing new.
    a.raft.snapshotTaken({ ...label, last: { ...at(1, 1), time: 0 } });
    expect(() => a.raft.describeSnapshot(1, "image")).toThrow(/newest is at 2/);
  });
});

describe("a leader", () => {
  test("offers its snapshot to a follower that needs what was cut, and sends it no appends meanwhile", () => {
    const a = leaderThatOffered();
    a.propose("x");
    expect(toC(a.pump())).toEqual([]);
    expect(only(a.tick(heartbeatInterval), "heartbeat").map(({ to }) => to)).toContain("c");
    const late = [matched(["c", "a", 2], 0), conflict(["c", "a", 2], 3, at(0, 0))];
    expect(toC(a.step(heartbeatAnswer(["c", "a", 2]), ...late))).toEqual([]);
    expect(toC(a.step(conflict(["c", "a", 2], 2, at(0, 0))))).toEqual([]);
    expect(a.leading.progress.get("c")).toMatchObject({ type: "snapshot" });
  });

  test("goes on by append once the follower has installed it", () => {
    const a = leaderThatOffered();
    const c = new Replica("c");
    const sent = c.step(offer(["a", "c", 2], at(1, 2)));
    const appended = toC(a.step(...sent));
    expect(appended).toMatchObject([{ previous: at(1, 2), entries: [{ index: 3 }, { index: 4 }] }]);
    a.step(...c.step(...appended));
    expect(a.leading.progress.get("c")).toMatchObject({ type: "replicate", matched: 4 });
    expect(c.disk.lastIndex).toBe(4);
  });

  test("goes on by append if the follower turns out to hold enough without it", () => {
    const a = leaderThatOffered();
    expect(toC(a.step(matched(["c", "a", 2], 3)))).toMatchObject([
      { type: "append-request", previous: at(1, 3) },
    ]);
  });

  test("offers the newest image there is, and none that would not help", () => {
    const a = leaderOfCutLog();
    a.step(matched(["b", "a", 2], 4));
    a.snapshot(4, 3);
    const sent = toC(a.step(conflict(["c", "a", 2], 3, at(1, 1))));
    expect(sent).toMatchObject([{ type: "snapshot-offer", snapshot: { last: at(2, 4) } }]);
  });

  test("trap 34: offers a snapshot onward that was brought to it", () => {
    const a = new Replica("a");
    a.step(offer(["c", "a", 1], at(1, 5)));
    a.tick(TIMING.loyalty);
    a.lead("b");
    expect(toC(a.step(conflict(["c", "a", a.status.term], 5, at(0, 0))))).toMatchObject([
      { type: "snapshot-offer", snapshot: { last: at(1, 5), handle: "c-5" } },
    ]);
  });

  test("stamps nothing earlier than the end of a snapshot that was brought to it", () => {
    const a = new Replica("a", {}, { now: 100 });
    const { snapshot, ...message } = offer(["c", "a", 1], at(1, 5));
    a.step({ ...message, snapshot: { ...snapshot, last: { ...snapshot.last, time: 9_000 } } });
    a.tick(100 + TIMING.loyalty);
    a.lead("b");
    expect(a.disk.entries.at(-1)).toMatchObject({ type: "barrier", time: 9_000 });
  });

  test("trap 31: continues by append with a follower that is exactly where the log was cut", () => {
    const a = leaderOfCutLog();
    expect(toC(a.step(conflict(["c", "a", 2], 3, at(1, 2))))).toMatchObject([
      { type: "append-request", previous: at(1, 2), entries: [{ index: 3 }, { index: 4 }] },
    ]);
  });

  test("trap 31: continues by append behind a snapshot that it installed itself, before it is written", () => {
    const a = new Replica("a");
    a.raft.step(offer(["c", "a", 1], at(1, 5)));
    // Twice: at first the log ends where the snapshot does, then behind it.
    for (let copy = 0; copy < 2; copy += 1) {
      a.raft.step(append(["c", "a", 1], at(1, 5), [command(1, 6)]));
    }
    const ready = a.raft.takeReady();
    expect(ready?.persist).toMatchObject({ snapshot: { last: at(1, 5) }, entries: [{ index: 6 }] });
    expect(outcomes(ready?.sendAfterPersist ?? [])).toEqual([
      { type: "matched", through: 5 },
      { type: "matched", through: 6 },
      { type: "matched", through: 6 },
    ]);
  });

  test("trap 31: no longer vouches for where a snapshot ended that it installed once, when more was cut", () => {
    const a = new Replica("a");
    a.step(offer(["c", "a", 1], at(1, 2)));
    a.step(append(["c", "a", 1], at(1, 2), [command(1, 3), command(1, 4)], { commit: 4 }));
    a.snapshot(4, 4);
    a.tick(TIMING.loyalty);
    a.lead("b");
    // The follower's log ends exactly where that snapshot did.
    expect(toC(a.step(conflict(["c", "a", a.status.term], 4, at(1, 2))))).toMatchObject([
      { type: "snapshot-offer", snapshot: { last: at(1, 4) } },
    ]);
  });

  test("trap 34: brings a learner up that was cut off while the whole log was cut, without any write", () => {
    const group = new Group(voters("a", "b", "c"));
    const a = group.elect("a");
    const d = group.join("d");
    group.isolate("d");
    a.raft.proposeMembership([{ type: "add-learner", replica: "d" }]);
    group.settle();
    group.pass(heartbeatInterval);
    expect(a.status).toMatchObject({ commit: 2, lastLog: at(1, 2) });
    a.snapshot(2, 2);
    expect(a.disk.firstIndex).toBe(3);
    group.heal();
    group.pass(3 * heartbeatInterval);
    expect(d.status).toMatchObject({ commit: 2, lastLog: at(1, 2), configuration: { learners: ["d"] } });
    expect(a.leading.progress.get("d")).toMatchObject({ type: "replicate", matched: 2 });
  });

  test("trap 34: finds out that a snapshot arrived though the answer was lost, without any write", () => {
    const a = leaderOfCutLog();
    a.snapshot(4, 4);
    a.step(conflict(["c", "a", 2], 3, at(0, 0)));
    a.raft.reportSnapshot("c", "delivered");
    expect(toC(a.pump())).toEqual([]);
    a.tick(heartbeatInterval);
    const question = toC(a.step(heartbeatAnswer(["c", "a", 2])));
    expect(question).toMatchObject([{ type: "append-request", previous: at(2, 4), entries: [] }]);
    a.step(matched(["c", "a", 2], 4));
    expect(a.leading.progress.get("c")).toMatchObject({ type: "replicate", matched: 4 });
  });

  test("trap 35: offers again after a failed transfer once the follower is heard, and not in a loop", () => {
    const a = leaderThatOffered();
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      a.raft.reportSnapshot("c", "failed");
      expect(toC(a.pump())).toEqual([]);
      expect(toC(a.step(heartbeatAnswer(["c", "a", 2])))).toEqual([]);
      a.tick(attempt * heartbeatInterval);
      expect(toC(a.step(heartbeatAnswer(["c", "a", 2])))).toMatchObject([{ type: "snapshot-offer" }]);
      a.step(heartbeatAnswer(["b", "a", 2]));
    }
  });

  test("trap 35: offers again when the time limit has passed and the follower is heard", () => {
    const a = leaderThatOffered({ timing: { ...TIMING, snapshotTimeout: 150 }, checkQuorum: false });
    a.tick(149);
    expect(toC(a.step(heartbeatAnswer(["c", "a", 2])))).toEqual([]);
    expect(toC(a.tick(150))).toEqual([]);
    expect(toC(a.step(heartbeatAnswer(["c", "a", 2])))).toMatchObject([{ type: "snapshot-offer" }]);
    // Without a limit the host's report is waited for.
    const patient = leaderThatOffered({ checkQuorum: false });
    patient.tick(100_000);
    expect(toC(patient.step(heartbeatAnswer(["c", "a", 2])))).toEqual([]);
  });

  test("trap 35: takes no report for an offer that it did not make", () => {
    const a = leaderOfCutLog();
    const before = a.leading.progress;
    for (const peer of ["b", "c", "stranger"]) {
      a.raft.reportSnapshot(peer, "failed");
      a.raft.reportSnapshot(peer, "delivered");
    }
    expect(a.leading.progress).toEqual(before);
    new Replica("b").raft.reportSnapshot("a", "failed");
  });
});

describe("a follower", () => {
  test("replaces log and state machine in one write, and applies only what follows", () => {
    const c = new Replica("c", { entries: log(1, 1) });
    const configuration = voters("a", "c", "d");
    c.raft.step(offer(["a", "c", 3], at(2, 5), { configuration }));
    c.raft.step(append(["a", "c", 3], at(2, 5), [command(3, 6)], { commit: 6 }));
    c.pump();
    expect(c.batches).toHaveLength(1);
    expect(c.batches[0]).toMatchObject({
      persist: {
        snapshot: { last: at(2, 5) },
        entries: [command(3, 6)],
        hardState: { term: 3, commit: 6 },
        mustSync: true,
      },
      committed: [command(3, 6)],
    });
    expect(c.status).toMatchObject({ configuration, commit: 6, applied: 6, lastLog: at(3, 6) });
    c.restart();
    expect(c.status).toMatchObject({ configuration, commit: 6, lastLog: at(3, 6) });
  });

  test("counts a snapshot as applied once it is written", () => {
    const c = new Replica("c");
    c.raft.step(offer(["a", "c", 1], at(1, 5)));
    const ready = c.raft.takeReady();
    expect(c.status).toMatchObject({ commit: 5, applied: 0 });
    c.raft.advance({ persisted: ready?.sequence ?? 0 });
    expect(c.status).toMatchObject({ commit: 5, applied: 5 });
  });

  test("trap 32: drops a tail that conflicts with a snapshot ending inside it", () => {
    const c = new Replica("c", { entries: log(1, 1, 1, 1, 1) });
    const sent = c.step(offer(["a", "c", 3], at(2, 3)));
    expect(outcomes(sent)).toEqual([{ type: "matched", through: 3 }]);
    expect(c.status).toMatchObject({ commit: 3, lastLog: at(2, 3) });
    expect(c.disk.lastIndex).toBe(3);
    // It can go on, and does not answer with the conflict for ever.
    const next = c.step(append(["a", "c", 3], at(2, 3), [command(3, 4)], { commit: 4 }));
    expect(outcomes(next)).toEqual([{ type: "matched", through: 4 }]);
    expect(c.disk.entries).toEqual([command(3, 4)]);
  });

  test("trap 32: forgets what was under way to its disk when the log is replaced", () => {
    const c = new Replica("c");
    c.raft.step(append(["b", "c", 1], at(0, 0), log(1, 1, 1, 1)));
    const overwritten = c.raft.takeReady();
    c.raft.step(offer(["a", "c", 3], at(2, 2)));
    c.raft.step(append(["a", "c", 3], at(2, 2), [command(3, 3)], { commit: 3 }));
    const installing = c.raft.takeReady();
    c.raft.advance({ persisted: overwritten?.sequence ?? 0 });
    expect(c.status).toMatchObject({ applied: 0, commit: 3, lastLog: at(3, 3) });
    expect(installing).toMatchObject({
      persist: { snapshot: { last: at(2, 2) }, entries: [command(3, 3)] },
      committed: [command(3, 3)],
    });
    // Nothing behind the snapshot is on disk yet: what follows comes from memory.
    c.raft.step(append(["a", "c", 3], at(3, 3), [command(3, 4)], { commit: 4 }));
    expect(c.raft.takeReady()).toMatchObject({
      persist: { entries: [command(3, 4)] },
      committed: [command(3, 4)],
    });
  });

  test("trap 33: keeps a matching tail: only the commit index moves", () => {
    const c = new Replica("c", { entries: log(1, 1, 2, 2, 2) });
    const sent = c.step(offer(["a", "c", 3], at(2, 3)));
    expect(outcomes(sent)).toEqual([{ type: "matched", through: 3 }]);
    expect(c.status).toMatchObject({ commit: 3, lastLog: at(2, 5) });
    expect(c.batches.some(({ persist }) => persist?.snapshot !== undefined)).toBe(false);
    expect(c.committed.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(c.disk.entries).toEqual(log(1, 1, 2, 2, 2));
  });

  test("trap 33: answers a snapshot behind its commit index with what it holds", () => {
    const c = new Replica("c", { entries: log(1, 1, 1), hardState: { term: 1, commit: 3 } });
    const sent = c.step(offer(["a", "c", 1], at(1, 2)));
    expect(outcomes(sent)).toEqual([{ type: "matched", through: 3 }]);
    expect(c.status).toMatchObject({ commit: 3, lastLog: at(1, 3) });
    // Also if what it stands for was cut here.
    c.snapshot(3, 3);
    expect(outcomes(c.step(offer(["a", "c", 1], at(1, 2))))).toEqual([{ type: "matched", through: 3 }]);
  });

  test("hears its leader in the snapshot that it brings", () => {
    const c = new Replica("c", {}, { random: () => 0.5 });
    c.step(heartbeat(["a", "c", 1]));
    const due = c.raft.wakeAt ?? 0;
    c.tick(100);
    c.step(offer(["a", "c", 1], at(1, 5)));
    expect(c.raft.wakeAt).toBe(100 + due);
    const beaten = new Replica("b", {}, { preVote: false });
    beaten.wake();
    beaten.step(offer(["a", "b", 1], at(1, 5)));
    expect(beaten.status).toMatchObject({ role: "follower", term: 1, leader: "a" });
  });

  test("writes everything that follows a snapshot together with it", () => {
    const c = new Replica("c");
    c.raft.step(offer(["a", "c", 1], at(1, 1)));
    c.raft.step(append(["a", "c", 1], at(1, 1), log(1, 1, 1, 1, 1).slice(1)));
    expect(c.raft.takeReady()?.persist?.entries.map(({ index }) => index)).toEqual([2, 3, 4, 5]);
  });

  test("welcomes a snapshot whose leader is deposed, without believing that it leads", () => {
    const c = new Replica("c");
    c.step(heartbeat(["b", "c", 4], { round: 7 }));
    const due = c.raft.wakeAt;
    c.tick(10);
    const [answer] = only(c.step(offer(["a", "c", 3], at(2, 5), { round: 9 })), "append-response");
    expect(answer).toMatchObject({ to: "a", term: 4, outcome: { type: "matched", through: 5 } });
    expect(c.status).toMatchObject({ term: 4, leader: "b", commit: 5 });
    expect(c.raft.wakeAt).toBe(due);
  });

  test("acknowledges a snapshot with the newest round of its term, not with that of the offer", () => {
    const c = new Replica("c");
    c.step(heartbeat(["a", "c", 4], { round: 7 }), heartbeat(["a", "c", 4], { round: 6 }));
    expect(only(c.step(offer(["a", "c", 4], at(2, 5), { round: 3 })), "append-response")).toMatchObject([
      { round: 7 },
    ]);
    c.step(vote(["b", "c", 5], at(9, 9), true));
    expect(only(c.step(offer(["a", "c", 4], at(2, 5), { round: 3 })), "append-response")).toMatchObject([
      { term: 5, round: 0 },
    ]);
  });

  test("believes no snapshot that is newer than the term that offers it", () => {
    const c = new Replica("c");
    expect(c.step(offer(["a", "c", 2], at(3, 5)))).toEqual([]);
    expect(c.status).toMatchObject({ term: 0, commit: 0 });
  });

  test("waiting to be added learns the configuration from a snapshot", () => {
    const d = new Replica("d", { configuration: undefined });
    d.step(offer(["a", "d", 2], at(2, 5), { configuration: voters("a", "d") }));
    expect(d.status).toMatchObject({ role: "follower", configuration: voters("a", "d") });
    expect(d.raft.wakeAt).toBeGreaterThanOrEqual(TIMING.electionTimeout[0]);
  });

  test("gives up a campaign for a log that was replaced", () => {
    const c = new Replica("c", { entries: log(1, 3) }, { preVote: false });
    c.wake();
    expect(c.status).toMatchObject({ role: "candidate", term: 4 });
    c.step(offer(["a", "c", 3], at(2, 5)));
    c.step(voteAnswer(["b", "c", 4], true));
    expect(c.status).toMatchObject({ role: "follower", term: 4, lastLog: at(2, 5) });
  });
});

test("a restored log that begins behind its newest snapshot is refused: nobody could be brought up", () => {
  const a = new Replica("a", {
    configuration: undefined,
    entries: log(1, 1, 1),
    hardState: { term: 1, commit: 3 },
  });
  a.disk.cutThrough(2);
  a.disk.applied = 3;
  expect(() => a.restart()).toThrow(/begins at 3.*ends at 0/);
});

test("a restored replica takes the configuration of its snapshot, even if it knows no other", () => {
  const d = new Replica("d", { configuration: undefined });
  d.step(offer(["a", "d", 2], at(2, 5), { configuration: voters("a", "d") }));
  d.restart();
  const { configuration: _, ...restored } = d.disk.restored;
  const { status } = createRaft({ ...optionsFor("d", d.disk), restored });
  expect(status).toMatchObject({ role: "follower", configuration: voters("a", "d"), commit: 5, applied: 5 });
});
