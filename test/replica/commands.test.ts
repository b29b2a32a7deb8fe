/** The way of a command on the leader: what is refused, what leaves when, and what becomes of it when a write fails. */
import { afterEach, describe, expect, test } from "vitest";
import type { PeerMessage } from "../../src/replica/codec.ts";
import { EVENT, Group, NAMES, rowsOf } from "./harness.ts";

let group: Group;
afterEach(() => group.release());

const carriesEntries = (message: PeerMessage) =>
  message.type === "append-request" && message.entries.length > 0;

describe("a command that this version does not know", () => {
  for (const [what, body] of Object.entries({
    "of another type": { type: "cancel-everything", task_id: "x" },
    "of another version": { ...EVENT, v: 2 },
  })) {
    test(`${what} is refused with a sentence that says whom to upgrade, and nothing is appended`, async () => {
      group = await Group.founded();
      const before = NAMES.map((name) => rowsOf(group.platform.instance(name).disk));
      const answer = await group.time.outcome(group.propose(body));
      expect(answer).toMatchObject({ type: "unavailable", code: "version-unknown" });
      expect(answer.type === "unavailable" && answer.detail).toMatch(/upgrade/);
      await group.time.pass(1000);
      expect(NAMES.map((name) => rowsOf(group.platform.instance(name).disk))).toEqual(before);
      expect(await group.apply(EVENT)).toMatchObject({ type: "applied" });
    });
  }
});

describe("the leader's appends", () => {
  test("leave before its own write, however many commands wait", async () => {
    group = await Group.founded({ flush_ms: 10, variables: { MAX_BATCH_ENTRIES: "10" } });
    const { platform, time } = group;
    let sent = 0;
    let behind = 0;
    platform.watch = (call) => {
      if (!call.messages.some(carriesEntries)) return;
      sent++;
      if (call.behindWrite) behind++;
    };
    const stop = group.load(64);
    await time.pass(400);
    stop();
    expect(sent).toBeGreaterThan(40);
    expect(behind).toBe(0);
  });

  test("arrive in the order in which they were made, whatever each takes on its way", async () => {
    group = await Group.founded({ flush_ms: 3 });
    const { platform, time, random, seen } = group;
    let appends = 0;
    platform.watchAnswer = (_, messages) => {
      for (const message of messages) {
        if (message.type !== "append-response") continue;
        appends++;
        if (message.outcome.type === "conflict") seen.conflicts++;
      }
    };
    platform.latency = () => random.between(5, 35);
    const stop = group.load(48);
    await time.pass(800);
    stop();
    expect(appends).toBeGreaterThan(50);
    expect(seen.conflicts).toBe(0);
  });

  test("go out on a new stub when the one before broke", async () => {
    group = await Group.founded();
    const { platform, time } = group;
    for (let round = 0; round < 5; round++) {
      let lost = 0;
      platform.fate = () => (lost++ < 4 ? "lost" : "arrives");
      await time.until("calls that are lost", 500, () => lost >= 4);
      expect(await group.apply(EVENT)).toMatchObject({ type: "applied" });
    }
  });
});

test("when a flush fails, the instance is given up, everybody is answered and the group goes on", async () => {
  group = await Group.founded();
  const { platform, time, leader, seen } = group;
  const failing = platform.instance(leader);
  let lost = 0;
  let applied = 0;
  const stop = group.load(16, ({ type }) => {
    if (type === "applied") applied++;
    else lost++;
  });
  await time.pass(50);
  platform.failFlush = (instance) => instance === failing;
  await time.until("the end of the instance", 100, () => failing.destroyed);
  await time.until(
    "another leader",
    3000,
    () => seen.leader !== undefined && seen.term > 1 && seen.commit > 0,
  );
  expect(lost).toBeGreaterThan(0);
  const before = applied;
  await time.pass(200);
  stop();
  expect(applied).toBeGreaterThan(before);
});
