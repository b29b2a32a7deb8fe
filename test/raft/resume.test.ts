/**
 * A leader that restarts and leads the same term again: what it must have stored, what it may not
 * say early, and why no answer to its former life counts in the new one.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../simulation/random.ts";
import { Cluster } from "./harness/cluster.ts";
import { append, at, heartbeat, heartbeatAnswer, matched, only, vote } from "./harness/messages.ts";
import { log, Replica, TIMING, voters } from "./harness/replica.ts";

const { loyalty } = TIMING;
const resuming = { resumeLeadership: true } as const;

/** Has led term 1 and committed its barrier and one command. */
function led(overrides = {}): Replica {
  const a = new Replica("a", {}, { ...resuming, ...overrides });
  a.lead("b");
  a.propose("x");
  a.step(matched(["b", "a", 1], 2), matched(["c", "a", 1], 2));
  return a;
}

describe("a leader that restarts", () => {
  test("leads the same term again without an election, behind a barrier of its own", () => {
    const a = led();
    a.restart();
    expect(a.status).toMatchObject({ role: "leader", term: 1, leader: "a", lastLog: at(1, 3) });
    const sent = a.pump();
    expect(sent).toMatchObject([
      { type: "append-request", to: "b", previous: at(1, 2), entries: [{ type: "barrier", index: 3 }] },
      { type: "append-request", to: "c" },
    ]);
    expect(a.step(vote(["b", "a", 1], at(9, 9)))).toMatchObject([{ granted: false }]);
  });

  test("commits nothing, grants no read and has no lease before a majority answers anew", () => {
    const overrides = { reads: { type: "lease", maxDrift: 10 }, now: -loyalty } as const;
    const a = new Replica("a", {}, { ...resuming, ...overrides });
    a.tick(0);
    a.lead("b");
    a.step(matched(["b", "a", 1], 1, 1));
    expect(a.leading.leaseUntil).toBeDefined();
    a.restart();
    a.pump();
    const { commit } = a.status;
    expect(a.leading.leaseUntil).toBeUndefined();
    a.read("r");
    expect(a.reads).toEqual([]);
    expect(a.status.commit).toBe(commit);
    // Replays of what was said to its former life: true as to the log, but they confirm nothing.
    const old = Array.from({ length: 50 }, (_, round) => [
      matched(["b", "a", 1], 1, round),
      heartbeatAnswer(["c", "a", 1], round),
    ]).flat();
    a.step(...old);
    expect(a.reads).toEqual([]);
    expect(a.leading.leaseUntil).toBeUndefined();
    const round = Math.max(
      ...a.batches.flatMap(({ sendAfterPersist }) =>
        sendAfterPersist.map((message) => ("round" in message ? message.round : 0)),
      ),
    );
    a.step(matched(["b", "a", 1], 2, round));
    expect(a.reads).toMatchObject([{ type: "granted", id: "r", index: 2 }]);
  });

  test("says nothing before it is durable: whatever it ever sent, it finds in its log", () => {
    const a = led({ reads: { type: "quorum" } });
    a.read("r");
    a.tick(TIMING.heartbeatInterval);
    for (const { sendNow } of a.batches) expect(sendNow).toEqual([]);
    a.raft.propose("y");
    const ready = a.raft.takeReady();
    expect(ready?.sendNow).toEqual([]);
    expect(only(ready?.sendAfterPersist ?? [], "append-request")).toHaveLength(2);
    expect(ready?.persist?.entries).toMatchObject([{ command: "y" }]);
    // It never left: another entry may take its place.
    a.restart();
    expect(a.status.lastLog).toEqual(at(1, 3));
    expect(a.disk.lastIndex).toBe(2);
  });

  test("stores who leads together with the first entry of the term, and syncs it", () => {
    const a = new Replica("a", {}, resuming);
    a.lead("b");
    const first = a.batches.find(({ persist }) => persist?.entries.some(({ type }) => type === "barrier"));
    expect(first?.persist).toMatchObject({ mustSync: true, hardState: { term: 1, leader: "a", vote: "a" } });
    expect(first?.persist?.hardState?.rounds).toBeGreaterThan(0);
  });

  test("uses rounds above every one that its former lives used, in blocks stored ahead", () => {
    const a = led();
    const used: number[] = [];
    let stored = 0;
    for (let life = 0; life < 4; life += 1) {
      const floor = Math.max(0, ...used);
      const reads = life === 2 ? 2_500 : 3;
      for (let count = 0; count < reads; count += 1) {
        const [question] = a
          .read(`${life}.${count}`)
          .flatMap((message) => ("round" in message && message.to === "b" ? [message.round] : []));
        if (question === undefined) throw new Error("no round was begun");
        expect(question).toBeGreaterThan(floor);
        // What has left is covered by what is on disk.
        stored = a.disk.durable.hardState.rounds ?? 0;
        expect(question).toBeLessThanOrEqual(stored);
        used.push(question);
        a.step(heartbeatAnswer(["b", "a", 1], question), matched(["b", "a", 1], a.disk.lastIndex, question));
      }
      a.restart();
      expect(a.status.role).toBe("leader");
      a.pump();
    }
    expect(new Set(used).size).toBe(used.length);
    const writes = a.batches.filter(({ persist }) => persist?.mustSync).length;
    expect(writes).toBeLessThan(30);
  });

  test("keeps no count of rounds in a life in which it sends before it writes, so that none is resumed", () => {
    const a = led({ resumeLeadership: false });
    a.read("r");
    expect(a.disk.durable.hardState).toMatchObject({ term: 1, vote: "a", leader: "a" });
    expect(a.disk.durable.hardState.rounds).toBeUndefined();
  });

  test("begins anew with the rounds of a new term", () => {
    const a = led();
    a.step(append(["c", "a", 4], at(1, 2)));
    expect(a.disk.durable.hardState.rounds).toBeUndefined();
    a.tick(loyalty);
    a.lead("b");
    expect(a.disk.durable.hardState).toMatchObject({ term: 5, leader: "a" });
    expect(a.disk.durable.hardState.rounds).toBeGreaterThan(0);
  });

  test("waits for a leader like anybody if that was not asked for", () => {
    const a = led();
    const { disk } = a;
    const plain = new Replica("a", { hardState: disk.durable.hardState, entries: disk.entries });
    expect(plain.status).toMatchObject({ role: "follower", term: 1 });
    expect(plain.status.leader).toBeUndefined();
  });

  test.each([
    ["it has not led", { term: 1, vote: "a", commit: 0, leader: "b" }],
    ["it voted for another", { term: 1, vote: "b", commit: 0, leader: "a", rounds: 10 }],
    ["it sent before it wrote in that life", { term: 1, vote: "a", commit: 0, leader: "a" }],
  ] as const)("does not resume if %s", (_, hardState) => {
    const a = new Replica("a", { hardState, entries: log(1) }, resuming);
    expect(a.status.role).toBe("follower");
  });

  test("does not resume what its log says it was removed from", () => {
    const hardState = { term: 1, vote: "a", commit: 0, leader: "a", rounds: 10 };
    const removed = { type: "configuration", ...at(1, 1), time: 0, configuration: voters("b", "c") } as const;
    const a = new Replica("a", { hardState, entries: [removed] }, resuming);
    expect(a.status).toMatchObject({ role: "learner", term: 1 });
    expect(a.raft.wakeAt).toBeUndefined();
  });

  test("in silence resumes when it is woken, unless a newer term wakes it", () => {
    for (const newer of [false, true]) {
      const a = led({ startQuiesced: false });
      const asleep = new Replica(
        "a",
        { hardState: a.disk.durable.hardState, entries: a.disk.entries },
        { ...resuming, startQuiesced: true },
      );
      expect(asleep.pump()).toEqual([]);
      expect(asleep.raft.wakeAt).toBeUndefined();
      if (newer) {
        asleep.step(append(["c", "a", 2], at(1, 2)));
        expect(asleep.status).toMatchObject({ role: "follower", leader: "c", lastLog: at(1, 2) });
      } else {
        expect(asleep.raft.propose("y")).toMatchObject({ type: "appended" });
        expect(asleep.status).toMatchObject({ role: "leader", term: 1, lastLog: at(1, 4) });
      }
    }
  });

  test("resumes once: what it is woken to after another has led is no reign of its own", () => {
    const a = led();
    a.restart();
    a.pump();
    expect(a.status.role).toBe("leader");
    const { index } = a.status.lastLog;
    a.step({ ...append(["c", "a", 2], at(1, index), [], { commit: index, round: 1 }) });
    a.step({ ...heartbeat(["c", "a", 2], { commit: index, round: 2 }), quiesce: true });
    expect(a.status).toMatchObject({ role: "follower", quiesced: true, term: 2 });
    a.raft.readIndex("r");
    expect(a.status).toMatchObject({ role: "follower", quiesced: false, term: 2, leader: "c" });
  });

  test("trap 46: woken by being told to campaign it resumes, and does not depose itself", () => {
    const { disk } = led();
    const a = new Replica(
      "a",
      { hardState: disk.durable.hardState, entries: disk.entries },
      { ...resuming, startQuiesced: true },
    );
    a.raft.campaign();
    const sent = a.pump();
    expect(a.status).toMatchObject({ role: "leader", term: 1 });
    expect(sent.map(({ type }) => type)).toEqual(["append-request", "append-request"]);
  });
});

test("under random faults, with every message repeated into later lives, no read is stale", () => {
  let granted = 0;
  let resumed = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const chance = new Random(seed);
    const cluster = new Cluster(seed, voters("a", "b", "c"), {
      ...resuming,
      checkQuorum: chance.chance(0.5),
    });
    const { random, schedule } = cluster;
    cluster.weather = { loss: 0.05, repetition: 0.5, delay: [0, 40], overtaken: 0, flush: [0, 20] };
    cluster.slowness = () => (random.chance(0.3) ? 600 : 0);
    const work = () => {
      const id = random.pick(cluster.ids) ?? "a";
      if (random.chance(0.4)) cluster.propose(cluster.leader ?? id);
      for (const each of cluster.ids) cluster.read(each);
      schedule.after(random.between(1, 20), work);
    };
    const misfortune = () => {
      const id = random.chance(0.7) ? (cluster.leader ?? "a") : (random.pick(cluster.ids) ?? "a");
      if (random.chance(0.3)) cluster.heal();
      else if (random.chance(0.4)) cluster.partition([id]);
      else {
        const term = cluster.host(id).raft?.status.term;
        const leads = cluster.host(id).raft?.status.role === "leader";
        cluster.crash(id);
        schedule.after(random.between(0, 100), () => {
          cluster.start(id);
          const status = cluster.host(id).raft?.status;
          if (leads && status?.role === "leader" && status.term === term) resumed += 1;
        });
      }
      schedule.after(random.between(20, 400), misfortune);
    };
    schedule.after(1, work);
    schedule.after(300, misfortune);
    try {
      cluster.run(4_000);
      cluster.checks.matching([...cluster.hosts.values()].map(({ disk }) => disk));
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    granted += cluster.checks.granted;
  }
  expect(granted).toBeGreaterThan(3_000);
  expect(resumed).toBeGreaterThan(100);
}, 30_000);
