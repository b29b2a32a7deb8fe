/** Linearizable reads: what a grant rests on, and how many may wait for one. */
import { afterEach, describe, expect, test } from "vitest";
import { encodeAnswer, type PeerMessage } from "../../src/replica/codec.ts";
import { type Grant, Reads } from "../../src/replica/reads.ts";
import { EVENT, Group } from "./harness.ts";
import { turn } from "./time.ts";

describe("a linearizable read", () => {
  let group: Group;
  afterEach(() => group.release());

  test("at any replica sees what was acknowledged before it", async () => {
    group = await Group.founded();
    for (const name of [group.leader, ...group.followers]) {
      const { index } = await group.apply(EVENT);
      const read = await group.time.outcome(group.read(name));
      expect(read.type === "answer" && read.applied_index).toBeGreaterThanOrEqual(index);
    }
  });

  /**
   * The leader is cut off and does not know, because the last answers of one follower are slow. The other follower's
   * old instance has a pre-vote request on its way to it, while the new one elects another leader that acknowledges a
   * write. A read then opens a round at the cut-off leader, and the only way for it to the old instance is the
   * response to that request: leaders of older versions put their heartbeats there, too.
   */
  for (const version of ["this version", "an older one"]) {
    test(`is not granted by a superseded instance, in the response to a call of its own (leader of ${version})`, async () => {
      group = await Group.founded();
      const { platform, time, leader, followers, seen } = group;
      const [superseded, slow] = followers;
      const old = platform.instance(superseded);
      platform.fate = (call) => {
        if (call.from.name === leader) return call.to === superseded ? "lost" : "arrives";
        if (call.from !== old) return call.to === leader ? "lost" : "arrives";
        if (call.to !== leader) return "lost";
        return call.carries("pre-vote-request") ? "kept" : "arrives";
      };
      await time.until("a pre-vote request", 1000, () => platform.kept.length > 0);
      platform.supersede(superseded);
      await time.outcome(group.call(superseded, "/observe", { what: "leadership" }));

      const slowSince = time.now;
      platform.latencyOfAnswer = ({ from, to }) =>
        from.name === leader && to === slow ? 1 + Math.min(700, 0.6 * (time.now - slowSince)) : 1;
      await time.pass(1200);
      const cut = platform.fate;
      platform.fate = (call) => (call.from.name === leader ? "lost" : cut(call));
      await time.until("another leader", 900, () => seen.leader !== leader && seen.commit > 0);
      const { index } = await group.apply(EVENT);

      const touches = old.touches;
      let heartbeats: readonly PeerMessage[] = [];
      platform.watch = ({ from, to, messages }) => {
        if (from.name === leader && to === superseded) heartbeats = messages;
      };
      const read = group.read(leader);
      await turn();
      // Held up for so long that its next heartbeat is due when the request arrives.
      time.skip(80);
      const request = platform.kept.at(-1);
      const carried = (await request?.deliver()) ?? [];
      if (version === "this version") request?.answer();
      else request?.answerWith(encodeAnswer([...carried, ...heartbeats]));
      const outcome = await time.outcome(read);

      if (outcome.type === "answer") expect(outcome.applied_index).toBeGreaterThanOrEqual(index);
      else expect(outcome).toMatchObject({ type: "not-leader" });
      expect(carried.map(({ type }) => type)).toEqual(["pre-vote-response"]);
      expect(heartbeats.map(({ type }) => type)).toEqual(["heartbeat"]);
      // The scenario is what it claims to be: the old instance took part, and could not find out that it is old.
      expect(old).toMatchObject({ superseded: true, destroyed: false, touches });
    });
  }
});

describe("reads that wait", () => {
  const MAX = 10_000;
  const granted: Grant = { type: "granted", index: 1 };
  const full = { type: "unavailable", code: "overloaded" };

  /** How many of `promises` are settled without time passing. */
  async function settled(promises: readonly Promise<unknown>[]): Promise<number> {
    let count = 0;
    for (const promise of promises) void promise.then(() => count++);
    await turn();
    return count;
  }

  test("for the leader's answer are bounded in number, and there is room again once it has come", async () => {
    const reads = new Reads();
    const question = Promise.withResolvers<Grant>();
    const waiting = Array.from({ length: MAX }, () => reads.ask(() => question.promise));
    expect(await settled(waiting)).toBe(0);
    expect(await reads.ask(() => question.promise)).toMatchObject(full);
    question.resolve(granted);
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => granted));
    expect(await reads.ask(() => question.promise)).toEqual(granted);
  });

  test("for entries that are granted but not applied are bounded together with them", async () => {
    const reads = new Reads();
    const waiting = Array.from({ length: MAX }, () => reads.reached(2, 1, 60_000));
    expect(await settled(waiting)).toBe(0);
    expect(await reads.ask(() => Promise.resolve(granted))).toMatchObject(full);
    expect(await reads.round(() => undefined)).toMatchObject(full);
    reads.applied(2);
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => true));
    expect(await reads.ask(() => Promise.resolve(granted))).toEqual(granted);
  });
});
