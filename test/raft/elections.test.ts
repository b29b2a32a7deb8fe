/**
 * Who may lead: votes, campaigns, pre-votes, loyalty to a living leader and the timers behind them.
 * Scripted on single replicas; groups under faults are in simulation.test.ts.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../simulation/random.ts";
import { Cluster } from "./harness/cluster.ts";
import {
  append,
  at,
  heartbeat,
  heartbeatAnswer,
  matched,
  only,
  preVote,
  preVoteAnswer,
  vote,
  voteAnswer,
} from "./harness/messages.ts";
import { log, Replica, TIMING, voters } from "./harness/replica.ts";

const HOUR = 3_600_000;

describe("votes", () => {
  test("trap 04: a vote binds only for its own term", () => {
    const a = new Replica("a");
    expect(only(a.step(vote(["b", "a", 1], at(0, 0))), "vote-response")).toMatchObject([{ granted: true }]);
    expect(only(a.step(vote(["c", "a", 1], at(0, 0))), "vote-response")).toMatchObject([{ granted: false }]);
    expect(only(a.step(vote(["b", "a", 1], at(0, 0))), "vote-response")).toMatchObject([{ granted: true }]);
    expect(only(a.step(vote(["c", "a", 2], at(0, 0))), "vote-response")).toMatchObject([
      { granted: true, term: 2 },
    ]);
    expect(a.disk.durable.hardState).toMatchObject({ term: 2, vote: "c" });
  });

  test("trap 04: a vote outlasts a campaign and a reign that end within its term", () => {
    const deposed = new Replica("a");
    deposed.lead("b");
    deposed.tick(TIMING.loyalty);
    expect(deposed.status).toMatchObject({ role: "follower", term: 1 });
    const beaten = new Replica("a", {}, { preVote: false });
    beaten.wake();
    beaten.step(heartbeat(["b", "a", 1]));
    // A pre-candidate knows of no leader any more.
    beaten.tick(beaten.now + TIMING.electionTimeout[1]);
    for (const a of [deposed, beaten]) {
      expect(a.status).toMatchObject({ term: a === beaten ? 2 : 1, vote: "a" });
      expect(a.step(vote(["c", "a", a.status.term], at(9, 9)))).toMatchObject([{ granted: false }]);
    }
  });

  test("a vote survives a restart", () => {
    const a = new Replica("a");
    a.step(vote(["b", "a", 1], at(0, 0)));
    a.restart();
    expect(only(a.step(vote(["c", "a", 1], at(0, 0))), "vote-response")).toMatchObject([{ granted: false }]);
  });

  test.each([
    ["shorter, same term", [1, 1], at(1, 1), false],
    ["equal", [1, 1], at(1, 2), true],
    ["longer, same term", [1], at(1, 2), true],
    ["longer, older term", [1, 2], at(1, 9), false],
    ["shorter, newer term", [1, 1, 1], at(2, 1), true],
  ] as const)(
    "trap 05: a voter refuses a candidate whose log is less up to date (%s)",
    (_, terms, last, granted) => {
      const a = new Replica("a", { entries: log(...terms) });
      expect(only(a.step(preVote(["b", "a", 3], last)), "pre-vote-response")).toMatchObject([{ granted }]);
      expect(only(a.step(vote(["b", "a", 3], last)), "vote-response")).toMatchObject([{ granted, term: 3 }]);
    },
  );

  test("trap 25: a learner is never counted, but its vote is given to whoever asks", () => {
    const configuration = { ...voters("a", "b", "c"), learners: ["l"] };
    const learner = new Replica("l", { configuration });
    expect(learner.status.role).toBe("learner");
    expect(learner.raft.wakeAt).toBeUndefined();
    learner.raft.campaign();
    expect(learner.pump()).toEqual([]);
    expect(only(learner.step(vote(["b", "l", 1], at(0, 0))), "vote-response")).toMatchObject([
      { granted: true },
    ]);

    const a = new Replica("a", { configuration }, { preVote: false });
    expect(a.wake().map(({ to }) => to)).toEqual(["b", "c"]);
    a.step(voteAnswer(["l", "a", 1], true));
    expect(a.status.role).toBe("candidate");
    a.step(voteAnswer(["b", "a", 1], true));
    a.step(matched(["l", "a", 1], 1));
    expect(a.status).toMatchObject({ role: "leader", commit: 0 });
  });

  test("a replica without a configuration neither votes nor campaigns until a leader told it of one", () => {
    const a = new Replica("a", { configuration: undefined });
    expect(a.raft.wakeAt).toBeUndefined();
    expect(only(a.step(vote(["b", "a", 1], at(0, 0))), "vote-response")).toMatchObject([{ granted: false }]);
    expect(only(a.step(preVote(["b", "a", 2], at(0, 0))), "pre-vote-response")).toMatchObject([
      { granted: false },
    ]);
    const configuration = voters("a", "b");
    a.step(append(["b", "a", 1], at(0, 0), [{ type: "configuration", ...at(1, 1), time: 0, configuration }]));
    expect(a.status).toMatchObject({ role: "follower", configuration });
    expect(a.raft.wakeAt).toBeGreaterThanOrEqual(TIMING.electionTimeout[0]);
  });

  test("a candidate counts every voter once and strangers never", () => {
    const a = new Replica("a", { configuration: voters("a", "b", "c", "d", "e") }, { preVote: false });
    a.wake();
    const answers = [
      ["b", true],
      ["b", true],
      ["x", true],
      ["c", false],
      ["d", false],
    ] as const;
    for (const [from, granted] of answers) a.step(voteAnswer([from, "a", 1], granted));
    expect(a.status).toMatchObject({ role: "candidate" });
    a.step(voteAnswer(["e", "a", 1], true));
    expect(a.status.role).toBe("leader");
  });

  test("a grant is not taken back by a refusal that was overtaken", () => {
    const a = new Replica("a", { configuration: voters("a", "b", "c", "d", "e") }, { preVote: false });
    a.wake();
    a.step(
      voteAnswer(["b", "a", 1], true),
      voteAnswer(["b", "a", 1], false),
      voteAnswer(["c", "a", 1], true),
    );
    expect(a.status.role).toBe("leader");
  });

  test("votes of an earlier term are not counted", () => {
    const a = new Replica("a", {}, { preVote: false });
    a.wake();
    a.wake();
    expect(a.status.term).toBe(2);
    a.step(voteAnswer(["b", "a", 1], true));
    expect(a.status.role).toBe("candidate");
  });

  test("a candidate follows whoever wins its term, and a newer term ends any role", () => {
    const a = new Replica("a", {}, { preVote: false });
    a.wake();
    a.step(heartbeat(["b", "a", 1]));
    expect(a.status).toMatchObject({ role: "follower", leader: "b", term: 1 });
    a.lead("c");
    a.step(heartbeatAnswer(["c", "a", 9]));
    expect(a.status).toMatchObject({ role: "follower", term: 9 });
    expect(a.status.leader).toBeUndefined();
  });

  test("nobody believes a second leader of the same term", () => {
    const a = new Replica("a");
    a.step(append(["b", "a", 1], at(0, 0), log(1)));
    expect(a.step(append(["c", "a", 1], at(0, 0), log(1, 1)))).toEqual([]);
    expect(a.status).toMatchObject({ leader: "b", lastLog: at(1, 1) });
    const leader = new Replica("b");
    leader.lead("a");
    expect(leader.step(heartbeat(["c", "b", 1]))).toEqual([]);
    expect(leader.status.role).toBe("leader");
  });
});

describe("timers", () => {
  test("trap 10: a follower that keeps hearing its leader does not campaign", () => {
    const a = new Replica("a");
    for (let now = 0; now < 2_000; now += 100) {
      a.tick(now);
      a.step(heartbeat(["b", "a", 1]));
      expect(a.raft.wakeAt).toBeGreaterThanOrEqual(now + TIMING.electionTimeout[0]);
    }
    expect(a.status).toMatchObject({ role: "follower", leader: "b" });
  });

  test("trap 10: pre-votes, refused votes and former leaders do not postpone an election", () => {
    const a = new Replica("a", { entries: log(2) }, { random: () => 0.5 });
    const due = a.raft.wakeAt ?? 0;
    a.tick(100);
    a.step(
      preVote(["b", "a", 3], at(2, 1)),
      vote(["b", "a", 3], at(1, 5)),
      heartbeat(["c", "a", 1]),
      append(["c", "a", 1], at(0, 0)),
    );
    expect(a.raft.wakeAt).toBe(due);
    // Only a vote that is given does.
    a.step(vote(["b", "a", 4], at(2, 1)));
    expect(a.raft.wakeAt).toBe(100 + due);
  });

  test("trap 15: after an hour's sleep nobody is loyal to the leader of then", () => {
    const a = new Replica("a");
    a.step(heartbeat(["b", "a", 1]));
    expect(only(a.step(preVote(["c", "a", 2], at(0, 0))), "pre-vote-response")).toMatchObject([
      { granted: false },
    ]);
    // The clock is told, but the replica gets no chance to act before the question.
    a.raft.tick(HOUR);
    const sent = a.step(preVote(["c", "a", 2], at(0, 0)));
    expect(only(sent, "pre-vote-response")).toMatchObject([{ granted: true }]);
  });

  test("trap 44: replicas rarely time out together, and no wait repeats the last one", () => {
    const random = new Random(44);
    let together = 0;
    for (let round = 0; round < 500; round += 1) {
      const [b, c] = ["b", "c"].map((id) => {
        const replica = new Replica(id, {}, { random: random.next });
        replica.step(heartbeat(["a", id, 1]));
        return replica.raft.wakeAt ?? 0;
      });
      if (Math.abs((b ?? 0) - (c ?? 0)) < 10) together += 1;
    }
    expect(together).toBeLessThan(75);

    const a = new Replica("a", {}, { random: random.next });
    const waits = Array.from({ length: 50 }, () => {
      a.wake();
      return (a.raft.wakeAt ?? 0) - a.now;
    });
    expect(new Set(waits).size).toBeGreaterThan(25);
    for (const wait of waits) {
      expect(Number.isInteger(wait)).toBe(true);
      expect(wait).toBeGreaterThanOrEqual(TIMING.electionTimeout[0]);
      expect(wait).toBeLessThan(TIMING.electionTimeout[1]);
    }
  });

  test("trap 44: a campaign that comes to nothing is followed by a wait drawn anew", () => {
    for (const preVote of [true, false]) {
      const chances = [0.1, 0.6, 0.3, 0.9, 0.2, 0.7];
      const drawn = [...chances];
      const a = new Replica("a", {}, { preVote, random: () => drawn.shift() ?? 0 });
      for (const chance of chances) {
        expect(a.raft.wakeAt).toBe(a.now + TIMING.electionTimeout[0] + 200 * chance);
        a.wake();
      }
    }
  });

  test("whoever ticks when it is due finds nothing due any more, also on a clock of fractions", () => {
    const random = new Random(3);
    for (let round = 0; round < 300; round += 1) {
      // A sum that crosses a power of two loses the last bit, and thirds have one to lose.
      const now = 2 ** 12 - (random.next() * 1_000) / 3;
      const a = new Replica("a", {}, { now, random: random.next });
      a.lead("b");
      for (let wake = 0; wake < 12; wake += 1) {
        const due = a.raft.wakeAt ?? 0;
        a.wake();
        expect(a.raft.wakeAt).toBeGreaterThan(due);
        if (wake < 3) a.step(heartbeatAnswer(["b", "a", 1]));
      }
    }
  });

  test("a clock that is set back stands still", () => {
    const a = new Replica("a");
    a.tick(150);
    a.tick(10);
    a.step(heartbeat(["b", "a", 1]));
    expect(a.raft.wakeAt).toBeGreaterThanOrEqual(150 + TIMING.electionTimeout[0]);
  });

  test("a leader without a majority steps down when loyalty has passed, and is due exactly then", () => {
    const a = new Replica("a");
    a.tick(1_000);
    a.lead("b");
    a.tick(1_030);
    a.step(heartbeatAnswer(["c", "a", 1]));
    let due = 0;
    while (a.status.role === "leader") {
      due = a.raft.wakeAt ?? 0;
      a.tick(due - 1);
      expect(a.status.role).toBe("leader");
      a.tick(due);
    }
    expect(due).toBe(1_030 + TIMING.loyalty);
    expect(a.status).toMatchObject({ role: "follower", term: 1 });
  });

  test("without check-quorum a leader goes on, but takes no more work", () => {
    const a = new Replica("a", {}, { checkQuorum: false });
    a.lead("b");
    a.tick(TIMING.loyalty);
    expect(a.status.role).toBe("leader");
    expect(a.raft.propose("x")).toEqual({ type: "refused", refusal: { type: "quorum-silent" } });
    expect(a.raft.readIndex("r")).toEqual({ type: "refused", refusal: { type: "quorum-silent" } });
    a.step(heartbeatAnswer(["c", "a", 1]));
    expect(a.raft.propose("x")).toMatchObject({ type: "appended" });
  });

  test("trap 46: campaigning has no effect on a sitting leader", () => {
    const a = new Replica("a");
    a.lead("b");
    a.pump();
    const before = a.status;
    a.raft.campaign();
    expect(a.pump()).toEqual([]);
    expect(a.status).toEqual(before);
  });
});

describe("pre-votes", () => {
  test("trap 11: a pre-vote request leaves hard state, role, leader and wakeAt untouched", () => {
    const a = new Replica(
      "a",
      { entries: log(1), hardState: { term: 1, vote: "b", commit: 0 } },
      { random: () => 0.5 },
    );
    a.step(heartbeat(["b", "a", 1]));
    const { status } = a;
    const { wakeAt } = a.raft;
    const writes = a.batches.filter(({ persist }) => persist !== undefined).length;
    for (const term of [1, 2, 7]) a.step(preVote(["c", "a", term], at(1, 1)));
    a.tick(TIMING.loyalty);
    expect(only(a.step(preVote(["c", "a", 7], at(1, 1))), "pre-vote-response")).toMatchObject([
      { granted: true, term: 7 },
    ]);
    expect(a.status).toEqual(status);
    expect(a.raft.wakeAt).toBe(wakeAt);
    expect(a.batches.filter(({ persist }) => persist !== undefined)).toHaveLength(writes);
  });

  test("a pre-candidate changes neither term nor vote until a majority would agree", () => {
    const a = new Replica("a");
    expect(only(a.wake(), "pre-vote-request")).toMatchObject([{ term: 1 }, { term: 1 }]);
    expect(a.status).toMatchObject({ role: "pre-candidate", term: 0 });
    expect(a.disk.durable.hardState.term).toBe(0);
    a.step(preVoteAnswer(["b", "a", 1], true));
    expect(a.status).toMatchObject({ role: "candidate", term: 1, vote: "a" });
  });

  test("a replica that was cut off does not depose a healthy leader when it returns", () => {
    const cluster = new Cluster(7, voters("a", "b", "c"));
    cluster.runUntil(() => cluster.leader !== undefined, 1_000);
    const { leader } = cluster;
    const cutOff = cluster.ids.find((id) => id !== leader) ?? "";
    cluster.partition([cutOff]);
    cluster.run(5_000);
    cluster.heal();
    cluster.run(2_000);
    expect(cluster.leader).toBe(leader);
    expect(cluster.checks.elections).toBe(1);
    expect(cluster.host(cutOff).raft?.status).toMatchObject({ role: "follower", leader });
  });

  test("trap 12: replicas of different terms elect a leader when theirs dies", () => {
    const hosts = { b: 1, c: 4 };
    const [b, c] = Object.entries(hosts).map(
      ([id, term]) => new Replica(id, { hardState: { term, commit: 0 } }, { random: new Random(term).next }),
    );
    if (b === undefined || c === undefined) throw new Error();
    for (let round = 0; round < 20 && b.status.role !== "leader" && c.status.role !== "leader"; round += 1) {
      const first = (b.raft.wakeAt ?? 0) <= (c.raft.wakeAt ?? 0) ? b : c;
      c.raft.tick(first.raft.wakeAt ?? 0);
      let messages = [...first.wake(), ...b.pump(), ...c.pump()];
      while (messages.length > 0) {
        messages = messages.flatMap((message) =>
          message.to === "b" ? b.step(message) : message.to === "c" ? c.step(message) : [],
        );
      }
    }
    expect([b.status.role, c.status.role].sort()).toEqual(["follower", "leader"]);
    expect(b.status.term).toBe(c.status.term);
  });

  test("trap 12: a refused pre-vote tells the newer term", () => {
    const behind = new Replica("a", { hardState: { term: 1, commit: 0 } });
    const ahead = new Replica("b", { hardState: { term: 4, vote: "c", commit: 0 } });
    behind.step(...ahead.step(...behind.wake()));
    expect(behind.status).toMatchObject({ role: "follower", term: 4 });
  });

  test("trap 13: two survivors that both campaign are not loyal to the dead leader", () => {
    const b = new Replica("b");
    const c = new Replica("c");
    for (const replica of [b, c]) replica.step(heartbeat(["a", replica.id, 1]));
    // Both give up at once, while either would still be loyal had it not campaigned itself.
    b.raft.campaign();
    c.raft.campaign();
    const questions = [...b.pump(), ...c.pump()];
    const answers = questions.flatMap((question) => (question.to === "b" ? b : c).step(question));
    expect(only(answers, "pre-vote-response").filter(({ granted }) => granted)).toHaveLength(2);
  });

  test("trap 13: a candidate that asked for no pre-votes is loyal to nobody either", () => {
    const b = new Replica("b", {}, { preVote: false });
    b.step(heartbeat(["a", "b", 1]));
    b.raft.campaign();
    b.pump();
    expect(b.status).toMatchObject({ role: "candidate", term: 2 });
    expect(b.status.leader).toBeUndefined();
    expect(only(b.step(vote(["c", "b", 3], at(0, 0))), "vote-response")).toMatchObject([{ granted: true }]);
  });

  test("a pre-vote for the term that the voter is in is granted only while its vote is free", () => {
    const a = new Replica("a", { hardState: { term: 2, commit: 0 } });
    expect(a.step(preVote(["b", "a", 2], at(0, 0)))).toMatchObject([{ granted: true, term: 2 }]);
    expect(a.step(preVote(["b", "a", 1], at(0, 0)))).toMatchObject([{ granted: false, term: 2 }]);
    a.step(vote(["c", "a", 2], at(0, 0)));
    expect(a.step(preVote(["b", "a", 2], at(0, 0)))).toMatchObject([{ granted: false, term: 2 }]);
    expect(a.step(preVote(["c", "a", 2], at(0, 0)))).toMatchObject([{ granted: true, term: 2 }]);
  });

  test("trap 47: pre-vote grants that arrive after the election start no second campaign", () => {
    const a = new Replica("a", { configuration: voters("a", "b", "c", "d", "e") });
    a.wake();
    a.wake();
    a.step(preVoteAnswer(["b", "a", 1], true), preVoteAnswer(["c", "a", 1], true));
    expect(a.status).toMatchObject({ role: "candidate", term: 1 });
    a.step(preVoteAnswer(["d", "a", 1], true));
    expect(a.status).toMatchObject({ role: "candidate", term: 1 });
    a.step(preVoteAnswer(["d", "a", 2], true), preVoteAnswer(["e", "a", 2], true));
    expect(a.status).toMatchObject({ role: "candidate", term: 1 });
    a.step(voteAnswer(["b", "a", 1], true), voteAnswer(["c", "a", 1], true));
    a.step(preVoteAnswer(["d", "a", 1], true), preVoteAnswer(["e", "a", 2], true));
    expect(a.status).toMatchObject({ role: "leader", term: 1 });
    a.tick(a.now + TIMING.loyalty);
    a.wake();
    a.step(preVoteAnswer(["d", "a", 1], true), preVoteAnswer(["e", "a", 1], true));
    expect(a.status).toMatchObject({ role: "pre-candidate", term: 1 });
  });
});

describe("loyalty", () => {
  test("voters disregard campaigns while they hear a leader: no answer, no new term", () => {
    const a = new Replica("a");
    a.step(heartbeat(["b", "a", 1]));
    a.tick(TIMING.loyalty - 1);
    expect(a.step(vote(["c", "a", 5], at(9, 9)))).toEqual([]);
    expect(a.status).toMatchObject({ term: 1, leader: "b" });
    a.tick(TIMING.loyalty);
    expect(only(a.step(vote(["c", "a", 5], at(9, 9))), "vote-response")).toMatchObject([{ granted: true }]);
  });

  test("trap 14: a campaign that the leader asked for passes its voters' loyalty", () => {
    const a = new Replica("a");
    a.step(heartbeat(["b", "a", 1]));
    expect(only(a.step(vote(["c", "a", 2], at(0, 0), true)), "vote-response")).toMatchObject([
      { granted: true, term: 2 },
    ]);
  });

  test("trap 14: a former leader is told the newer term, so that a replica stuck there can rejoin", () => {
    const stuck = new Replica("a", { hardState: { term: 7, commit: 0 } });
    const leader = new Replica("b");
    const [hello] = only(leader.lead("c"), "append-request").filter(({ to }) => to === "a");
    if (hello === undefined) throw new Error();
    const answers = stuck.step(hello, heartbeat(["b", "a", 1]));
    expect(answers).toMatchObject([{ term: 7 }, { term: 7 }]);
    leader.step(...answers);
    expect(leader.status).toMatchObject({ role: "follower", term: 7 });
  });

  test("trap 20: a leader that slept steps down before it answers anything", () => {
    const a = new Replica("a");
    a.lead("b");
    a.step(matched(["b", "a", 1], 1));
    a.raft.tick(2 * TIMING.loyalty);
    expect(a.raft.readIndex("r")).toEqual({ type: "refused", refusal: { type: "not-leader" } });
  });
});
