/**
 * What may be said before it is on disk, what a batch must hold, and what is left after a crash at
 * every step of one. The host's own storage is tested with the host.
 */
import { describe, expect, test } from "vitest";
import { createRaft, type Ready } from "../../src/raft/index.ts";
import { Disk } from "./harness/disk.ts";
import { append, at, heartbeat, matched, outcomes, vote, voteAnswer } from "./harness/messages.ts";
import { command, LIMITS, log, optionsFor, Replica, TIMING, voters } from "./harness/replica.ts";

/** The next batch, which must exist; nothing is carried out. */
function take({ raft }: Replica): Ready<string> {
  const ready = raft.takeReady();
  if (ready === undefined) throw new Error("there is no batch");
  return ready;
}

/** Takes the next batch and writes it, without reporting it. */
function write(replica: Replica): Ready<string> {
  const ready = take(replica);
  if (ready.persist !== undefined) replica.disk.write(ready.persist);
  return ready;
}

function types(messages: Ready<string>["sendNow"]): string[] {
  return messages.map(({ type }) => type);
}

describe("a batch", () => {
  test("trap 02: holds votes back until term and vote are durable", () => {
    const a = new Replica("a");
    a.raft.step(vote(["b", "a", 3], at(0, 0)));
    const ready = take(a);
    expect(ready.sendNow).toEqual([]);
    expect(ready.persist).toMatchObject({ hardState: { term: 3, vote: "b" }, mustSync: true });
    expect(types(ready.sendAfterPersist)).toEqual(["vote-response"]);
  });

  test("trap 02: holds a vote back also in a term that is durable already", () => {
    const a = new Replica("a", { hardState: { term: 3, commit: 0 } });
    a.raft.step(vote(["b", "a", 3], at(0, 0)));
    const ready = take(a);
    expect(ready.sendNow).toEqual([]);
    expect(ready.persist).toMatchObject({ hardState: { term: 3, vote: "b" }, mustSync: true });
  });

  test("trap 03: holds campaigns back until the term, the vote and the tail of the log are durable", () => {
    const a = new Replica("a", {}, { preVote: false });
    a.raft.step(append(["b", "a", 1], at(0, 0), log(1, 1)));
    a.raft.tick(TIMING.electionTimeout[1]);
    const ready = take(a);
    expect(ready.sendNow).toEqual([]);
    expect(ready.persist).toMatchObject({ hardState: { term: 2, vote: "a" }, entries: log(1, 1) });
    expect(types(ready.sendAfterPersist)).toEqual(["append-response", "vote-request", "vote-request"]);
  });

  test("counts a candidate's own vote only once it is durable", () => {
    const a = new Replica("a", {}, { preVote: false });
    a.raft.tick(TIMING.electionTimeout[1]);
    const { sequence } = take(a);
    expect(a.status).toMatchObject({ role: "candidate", votes: new Map() });
    a.raft.step(voteAnswer(["b", "a", 1], true));
    expect(a.status).toMatchObject({ role: "candidate", votes: new Map([["b", true]]) });
    a.raft.advance({ persisted: sequence });
    expect(a.status.role).toBe("leader");
  });

  test("does not count a vote for an earlier term that became durable meanwhile", () => {
    const a = new Replica("a", {}, { preVote: false });
    a.raft.tick(400);
    const first = take(a);
    a.raft.tick(800);
    take(a);
    a.raft.advance({ persisted: first.sequence });
    expect(a.status).toMatchObject({ role: "candidate", term: 2, votes: new Map() });
    a.raft.advance({ persisted: first.sequence + 1 });
    expect(a.status).toMatchObject({ votes: new Map([["a", true]]) });
  });

  test("lets a leader's appends and heartbeats go before the write, so that disks work in parallel", () => {
    const a = new Replica("a");
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    a.raft.propose("x");
    a.raft.readIndex("r");
    expect(types(take(a).sendNow)).toEqual(["append-request", "heartbeat"]);
  });

  test("trap 40: holds the term together with the entries of that term", () => {
    const a = new Replica("a");
    a.raft.step(append(["b", "a", 5], at(0, 0), log(5)));
    const { persist, sendAfterPersist } = take(a);
    expect(persist).toMatchObject({ hardState: { term: 5 }, entries: log(5), mustSync: true });
    expect(outcomes(sendAfterPersist)).toEqual([{ type: "matched", through: 1 }]);
  });

  test("is taken once, and nothing in it changes afterwards", () => {
    const a = new Replica("a");
    a.lead("b");
    a.raft.propose("x");
    const ready = take(a);
    const copy = structuredClone(ready);
    expect(a.raft.takeReady()).toBeUndefined();
    a.raft.propose("y");
    a.raft.step(append(["c", "a", 9], at(1, 1), [command(9, 2)], { commit: 2 }));
    a.pump();
    expect(ready).toEqual(copy);
  });

  test("hands out committed entries once, in order, and no more bytes than committedBytes", () => {
    const a = new Replica("a", { entries: log(1, 1, 1, 1, 1) }, { limits: { ...LIMITS, committedBytes: 6 } });
    a.raft.step(heartbeat(["b", "a", 1], { commit: 5 }));
    const parts = Array.from({ length: 3 }, () => take(a).committed.map(({ index }) => index));
    expect(parts).toEqual([[1, 2], [3, 4], [5]]);
    expect(a.raft.takeReady()).toBeUndefined();
  });

  test("hands out no entry that is not written with it or before it", () => {
    const a = new Replica("a");
    a.raft.step(append(["b", "a", 1], at(0, 0), log(1, 1), { commit: 2 }));
    const { persist, committed } = take(a);
    expect(persist?.entries).toEqual(committed);
  });
});

describe("batches that are written while others are under way", () => {
  test("each hold only what is new", () => {
    const a = new Replica("a");
    a.lead("b");
    a.raft.propose("x");
    const first = write(a);
    a.raft.propose("y");
    const second = write(a);
    expect(first.persist?.entries).toMatchObject([{ command: "x" }]);
    expect(second.persist?.entries).toMatchObject([{ command: "y" }]);
    a.raft.step(matched(["b", "a", 1], 3));
    expect(a.status.commit).toBe(1);
    a.raft.advance({ persisted: first.sequence });
    expect(a.status.commit).toBe(2);
    a.raft.advance({ persisted: second.sequence });
    expect(a.status.commit).toBe(3);
  });

  test("may be reported durable together, again, or not at all", () => {
    const a = new Replica("a");
    a.lead("b");
    a.raft.propose("x");
    write(a);
    a.raft.propose("y");
    const { sequence } = write(a);
    a.raft.advance({ persisted: sequence });
    a.raft.advance({ persisted: sequence - 1 });
    a.raft.advance({ persisted: sequence });
    a.raft.step(matched(["b", "a", 1], 3));
    expect(a.status.commit).toBe(3);
    expect(() => a.raft.advance({ persisted: sequence + 5 })).toThrow(/batch/);
    expect(() => a.raft.advance({ applied: 99 })).toThrow(/99/);
  });

  test("trap 38: completing an overwritten batch does not vouch for what replaced it", () => {
    const a = new Replica("a");
    const original = log(1, 1);
    a.raft.step(append(["b", "a", 1], at(0, 0), original));
    const first = write(a);
    a.raft.step(append(["c", "a", 2], at(1, 1), [command(2, 2)]));
    const second = write(a);
    // A third leader, whose log never lost the original entry, puts the very same one back.
    a.raft.step(append(["b", "a", 3], at(1, 1), [...original.slice(1), command(3, 3)]));
    const third = take(a);
    expect(third.persist?.entries).toEqual([command(1, 2), command(3, 3)]);
    // Storage still shows what the second batch wrote; entry 2 must not be read from there.
    for (const { sequence } of [first, second]) {
      a.raft.advance({ persisted: sequence });
      expect(a.disk.termAt(2)).toBe(2);
      a.raft.step(heartbeat(["b", "a", 3], { commit: sequence }));
      expect(take(a).committed).toEqual([command(1, sequence)]);
    }
  });

  test("a batch without entries acknowledges nothing beyond batches before it", () => {
    const a = new Replica("a");
    a.raft.step(append(["b", "a", 1], at(0, 0), log(1, 1)));
    const first = take(a);
    a.raft.step(append(["b", "a", 1], at(0, 0), log(1, 1)));
    const second = take(a);
    expect(outcomes(second.sendAfterPersist)).toEqual([{ type: "matched", through: 2 }]);
    expect(second.persist?.entries ?? []).toEqual([]);
    expect(second.sequence).toBe(first.sequence + 1);
  });
});

describe("a crash", () => {
  test("trap 39: at any step of a batch neither repeats nor loses a command", () => {
    const entries = log(1, 1, 1, 1);
    for (const step of ["before the write", "after the write", "after applying", "after everything"]) {
      const a = new Replica("a");
      a.step(append(["b", "a", 1], at(0, 0), entries.slice(0, 2), { commit: 2 }));
      // The state machine is stored together with its applied index.
      const stored = [...a.committed];
      a.disk.applied = 2;
      a.raft.step(append(["b", "a", 1], at(1, 2), entries.slice(2), { commit: 4 }));
      const ready = take(a);
      if (step !== "before the write") {
        if (ready.persist !== undefined) a.disk.write(ready.persist);
        a.disk.flush();
      }
      if (step === "after applying" || step === "after everything") {
        stored.push(...ready.committed);
        a.disk.applied = 4;
      }
      if (step === "after everything") a.raft.advance({ persisted: ready.sequence, applied: 4 });
      a.restart();
      a.step(append(["b", "a", 1], at(1, 2), entries.slice(2), { commit: 4 }));
      expect([...stored, ...a.committed.slice(stored.length)], step).toEqual(entries);
      expect(a.status.commit, step).toBe(4);
    }
  });

  test("loses nothing that was said: term, vote, entries and configuration come back", () => {
    const a = new Replica("a");
    a.step(append(["b", "a", 3], at(0, 0), log(1, 3), { commit: 1 }));
    a.step(vote(["c", "a", 4], at(9, 9), true));
    a.restart();
    expect(a.status).toMatchObject({
      role: "follower",
      term: 4,
      vote: "c",
      commit: 1,
      lastLog: at(3, 2),
      configuration: voters("a", "b", "c"),
    });
  });

  test("leaves a hint whom to ask, but no loyalty to it", () => {
    const a = new Replica("a");
    a.step(heartbeat(["b", "a", 1]));
    a.restart();
    expect(a.status.leader).toBe("b");
    expect(a.raft.readIndex("r")).toEqual({ type: "refused", refusal: { type: "not-leader", leader: "b" } });
    expect(a.step(vote(["c", "a", 2], at(0, 0)))).toMatchObject([{ type: "vote-response", granted: true }]);
  });

  test("does not bring a leader back as a leader, nor as its own hint", () => {
    const a = new Replica("a");
    a.lead("b");
    a.restart();
    expect(a.status).toMatchObject({ role: "follower", term: 1, vote: "a" });
    expect(a.status.leader).toBeUndefined();
  });

  test("a state machine ahead of the stored commit index is believed: what it applied is committed", () => {
    const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 1 } });
    a.disk.applied = 3;
    a.restart();
    expect(a.status).toMatchObject({ commit: 3, applied: 3 });
    expect(a.raft.takeReady()).toBeUndefined();
  });
});

describe("a restored state that contradicts itself is refused", () => {
  test.each([
    [
      "a log newer than the term",
      { entries: log(5), hardState: { term: 4, commit: 0 } },
      0,
      /term 5.*term 4/,
    ],
    ["a commit index beyond the log", { entries: log(1), hardState: { term: 1, commit: 2 } }, 0, /index 2/],
    ["an applied index beyond the log", { entries: log(1) }, 4, /index 4/],
    ["an entry in the wrong place", { entries: [command(1, 2)] }, 0, /entry 2 in the place of 1/],
  ] as const)("%s", (_, start, applied, complaint) => {
    const disk = new Disk({ configuration: voters("a"), ...start });
    disk.applied = applied;
    expect(() => createRaft(optionsFor("a", disk))).toThrow(complaint);
  });

  test("a log cut beyond what is applied", () => {
    const a = new Replica("a", { entries: log(1, 1, 1), hardState: { term: 1, commit: 3 } });
    a.disk.cutThrough(3);
    a.disk.applied = 1;
    expect(() => a.restart()).toThrow(/applied index 1/);
  });
});
