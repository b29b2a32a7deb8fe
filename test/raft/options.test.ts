/** What a replica refuses to start with, and what it shows of itself. */
import { expect, test } from "vitest";
import { createRaft, type LogPosition, type RaftOptions } from "../../src/raft/index.ts";
import { Disk } from "./harness/disk.ts";
import { append, at, offer, only, vote } from "./harness/messages.ts";
import { LIMITS, log, optionsFor, Replica, TIMING, voters } from "./harness/replica.ts";

function start(changes: Partial<RaftOptions<string>>): void {
  const disk = new Disk({ configuration: voters("a") });
  createRaft({ ...optionsFor("a", disk), ...changes });
}

test.each([
  ["heartbeatInterval", { timing: { ...TIMING, heartbeatInterval: 0 } }],
  ["electionTimeout", { timing: { ...TIMING, electionTimeout: [199, 400] } }],
  ["electionTimeout", { timing: { ...TIMING, electionTimeout: [200, 200] } }],
  ["electionTimeout", { timing: { ...TIMING, heartbeatInterval: 200 } }],
  ["checkQuorum", { reads: { type: "lease", maxDrift: 1 }, checkQuorum: false }],
  ["maxDrift", { reads: { type: "lease", maxDrift: 200 } }],
  ["maxDrift", { reads: { type: "lease", maxDrift: -1 } }],
  ["snapshotTimeout", { timing: { ...TIMING, snapshotTimeout: 0 } }],
  ["quiesceAfter", { timing: { ...TIMING, quiesceAfter: 0 } }],
  ["commitNoticeAfter", { timing: { ...TIMING, commitNoticeAfter: 0 } }],
  ["inFlightMessages", { limits: { ...LIMITS, inFlightMessages: 0 } }],
  ["now", { now: Number.NaN }],
  ["id", { id: "" }],
] as const)("an option out of range is rejected by its name: %s", (name, changes) => {
  expect(() => start(changes as Partial<RaftOptions<string>>)).toThrow(name);
});

test("messages for others are not taken in", () => {
  const a = new Replica("a");
  expect(a.step(vote(["b", "c", 9], at(0, 0)), vote(["a", "a", 9], at(0, 0)))).toEqual([]);
  expect(a.status.term).toBe(0);
});

test("proposing nothing is a mistake of the caller", () => {
  const alone = new Replica("a", { configuration: voters("a") });
  alone.tick(0);
  expect(() => alone.raft.propose()).toThrow(/at least one/);
});

test("every step is traced as it happens, with the term and log it left behind", () => {
  const seen: string[] = [];
  const a = new Replica(
    "a",
    {},
    { trace: ({ type, term, commit }) => seen.push(`${type} ${term} ${commit}`) },
  );
  const sent = a.lead("b");
  expect(only(sent, "append-request")).toHaveLength(2);
  expect(seen).toEqual([
    "sent 0 0",
    "sent 0 0",
    "received 0 0",
    "became-candidate 1 0",
    "sent 1 0",
    "sent 1 0",
    "received 1 0",
    "became-leader 1 0",
    "appended 1 0",
    "sent 1 0",
    "sent 1 0",
  ]);
});

test("what happens to a follower's log is traced as well", () => {
  const seen: string[] = [];
  const trace = ({ type, lastLog, commit }: { type: string; lastLog: LogPosition; commit: number }) =>
    seen.push(`${type} ${lastLog.term}.${lastLog.index} ${commit}`);
  const a = new Replica("a", { entries: log(1, 1) }, { trace });
  const configuration = voters("a", "b");
  const change = { type: "configuration", ...at(2, 2), time: 0, configuration } as const;
  a.step(append(["b", "a", 2], at(1, 1), [change], { commit: 1 }), offer(["b", "a", 2], at(2, 9)));
  expect(seen.filter((line) => !/^(sent|received)/.test(line))).toEqual([
    "became-follower 1.2 0",
    "truncated 2.2 0",
    "appended 2.2 0",
    "configured 2.2 0",
    "committed 2.2 1",
    "restored 2.9 9",
  ]);
});
