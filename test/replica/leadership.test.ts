/** When a leader is kept, and when it is replaced: losses, and replicas that were themselves held up. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeBatch } from "../../src/replica/codec.ts";
import { EVENT, Group, NAMES } from "./harness.ts";

/** The longest wait for a leader, and one more election should the first one end in a draw. */
const REPLACED_WITHIN_MS = 600 + 600;
const STALLS_MS = [160, 250, 320, 500, 2000];
/** One way between replicas, so far that a heartbeat which is sent as soon as its leader runs again is still late. */
const FAR_MS = 30;
/** So that stalls begin everywhere between two heartbeats. */
const PHASES_MS = Array.from({ length: 25 }, (_, phase) => 400 + 3 * phase);

let group: Group;
beforeEach(async () => {
  group = await Group.founded();
});
afterEach(() => group.release());

/** Takes the leader away and says how long it takes until another one commits. */
async function replaced(): Promise<number> {
  const { leader: before, seen } = group;
  await group.fault(before, "stop");
  const took = await group.time.until("another leader", 5000, () => {
    return seen.leader !== undefined && seen.leader !== before && seen.commit > 0;
  });
  await group.fault(before, "start");
  return took;
}

describe("a connection that fails for a moment", () => {
  test("40 ms without network under load change no term and cost no tenth of a second more", async () => {
    const { time, platform, seen } = group;
    const { term } = seen;
    let last = time.now;
    let longest = 0;
    const stop = group.load(8, ({ type }) => {
      if (type === "applied") last = time.now;
      longest = Math.max(longest, time.now - last);
    });
    await time.pass(100);
    for (let hiccup = 0; hiccup < 3; hiccup++) {
      // Also what is under way is cut off.
      platform.fate = () => "lost";
      platform.fateOfAnswer = () => "lost";
      await time.pass(40);
      platform.fate = () => "arrives";
      platform.fateOfAnswer = () => "arrives";
      await time.pass(200 + hiccup * 11);
    }
    stop();
    expect(seen.term).toBe(term);
    expect(longest).toBeLessThan(40 + 100);
  });

  test("calls that fail together count as one failure", async () => {
    const { time, platform, logs } = group;
    platform.latency = () => 5;
    const stop = group.load(16);
    for (let cut = 0; cut < 5; cut++) {
      await time.pass(50);
      platform.fateOfAnswer = () => "lost";
      await time.pass(6);
      platform.fateOfAnswer = () => "arrives";
    }
    stop();
    expect(logs.filter((line) => line.includes("unreachable"))).toEqual([]);
  });

  test("a leader is heard again before the loyalty to it ends, however long it could reach nobody", async () => {
    // Nobody writes: they would fall asleep.
    group.release();
    group = await Group.founded({ variables: { SLEEP_AFTER_MS: "0" } });
    const { time, platform, followers, seen } = group;
    const { term } = seen;
    const [lost] = followers;
    for (let round = 0; round < 6; round++) {
      platform.fate = ({ to, from }) => (to === lost || from.name === lost ? "lost" : "arrives");
      await time.pass(2000 + 37 * round);
      platform.fate = () => "arrives";
      const healed = time.now;
      platform.watchAnswer = (call) => {
        if (call.from.name === group.leader && call.to === lost) last ??= time.now;
      };
      let last: number | undefined;
      await time.until("an answer of the replica that was lost", 300, () => last !== undefined);
      expect(time.now - healed).toBeLessThan(300);
    }
    expect(seen.term).toBe(term);
  });
});

describe("a replica that was held up", () => {
  for (const stall of STALLS_MS) {
    test(`${stall} ms in which none of them runs change no term`, async () => {
      group.platform.latency = () => FAR_MS;
      const { term, leader } = group.seen;
      for (const phase of PHASES_MS) {
        await group.time.pass(phase);
        group.time.skip(stall);
      }
      await group.time.pass(1000);
      expect(group.seen).toMatchObject({ term, leader });
    });

    test(`a follower that alone does not run for ${stall} ms changes no term`, async () => {
      group.platform.latency = () => FAR_MS;
      const { term, leader } = group.seen;
      for (const [at, phase] of PHASES_MS.entries()) {
        await group.time.pass(phase);
        group.time.stall(stall, group.followers[at % 2 === 0 ? 0 : 1]);
        await group.time.pass(stall);
      }
      await group.time.pass(1000);
      expect(group.seen).toMatchObject({ term, leader });
    });
  }

  test("no time from 100 to 700 ms in which none of them runs makes a follower doubt its leader", async () => {
    group.platform.latency = () => FAR_MS;
    group.logs.length = 0;
    for (let stall = 100; stall <= 700; stall += 4) {
      await group.time.pass(400 + group.random.between(0, 75));
      group.time.skip(stall);
    }
    await group.time.pass(1000);
    expect(group.logs.filter((line) => line.includes("candidate"))).toEqual([]);
  });

  test("a leader that was late stamps entries in whole milliseconds, and with the right time by and by", async () => {
    const { time, platform, leader } = group;
    const stamp = async () => {
      await group.apply(EVENT);
      const [row] = platform
        .instance(leader)
        .disk.exec("SELECT body FROM log ORDER BY first DESC LIMIT 1", []).rows as { body: string }[];
      return decodeBatch(row?.body ?? "", "the last row").at(-1)?.time ?? Number.NaN;
    };
    time.skip(2000);
    const stamps: number[] = [];
    for (let second = 0; second < 25; second++) {
      await time.pass(1000);
      stamps.push(await stamp());
    }
    expect(stamps.every(Number.isInteger)).toBe(true);
    expect(time.now - (stamps.at(-1) ?? 0)).toBeLessThan(20);
  });

  test("a leader that alone does not run for 2 s is replaced in time, and then follows", async () => {
    const { leader: before, time, seen } = group;
    time.stall(2000, before);
    const took = await time.until("another leader", 5000, () => seen.leader !== before && seen.commit > 0);
    expect(took).toBeLessThan(REPLACED_WITHIN_MS);
    const { term } = seen;
    await time.pass(4000);
    expect(seen.term).toBe(term);
    expect(await time.outcome(group.read(before))).toMatchObject({ type: "answer" });
  });

  test("a leader that is gone is replaced in time", async () => {
    for (let round = 0; round < 8; round++) {
      expect(await replaced()).toBeLessThan(REPLACED_WITHIN_MS);
      await group.time.pass(500);
    }
  });

  test("so it is where the others had been held up just before", async () => {
    for (let round = 0; round < 8; round++) {
      group.time.skip(2000);
      await group.time.pass(30 * round);
      expect(await replaced()).toBeLessThan(REPLACED_WITHIN_MS);
      await group.time.pass(500);
    }
  });

  test("so it is, in the end, where the others do not run for four fifths of the time", async () => {
    const { leader: before, time, seen } = group;
    time.stall(60_000, before);
    const gone = time.now;
    const others = NAMES.filter((name) => name !== before);
    while ((seen.leader === before || seen.commit === 0) && time.now - gone < 5 * REPLACED_WITHIN_MS) {
      time.stall(160, ...others);
      await time.pass(200);
    }
    expect(time.now - gone).toBeLessThan(5 * REPLACED_WITHIN_MS);
  });
});
