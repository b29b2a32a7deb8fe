/** A founding that is interrupted, and replicas that are to stay out. Decisions are proved in birth.test.ts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Fault } from "../../src/replica/rpc.ts";
import { Group, NAMES } from "./harness.ts";
import type { Call } from "./platform.ts";

const [FOUNDER, , LAST] = NAMES;
/** As the profile has it. */
const RETRY_MS = 500;
let group: Group;
let calls: Call[];
beforeEach(() => {
  group = new Group({ variables: { SLEEP_AFTER_MS: "0" } });
  calls = [];
  const { watch } = group.platform;
  group.platform.watch = (call) => {
    watch(call);
    calls.push(call);
  };
});
afterEach(() => group.release());

const callsOf = (name: string) =>
  calls.filter(({ from }) => from.name === name).map(({ to, path }) => `${path} of ${to}`);
const look = (name: string) => group.time.outcome(group.call(name, "/observe", { what: "health" }));
const founded = () => calls.some(({ path }) => path === "/peer/found");

describe("a founding that is interrupted", () => {
  const INTERRUPTIONS: readonly (readonly [Fault["action"], Fault["action"]])[] = [
    ["stop", "start"],
    ["isolate", "heal"],
  ];
  for (const [interrupt, resume] of INTERRUPTIONS) {
    for (const [after, before] of [
      [20, 100],
      [20, 2000],
      [300, 900],
    ] as const) {
      test(`by ${interrupt} after ${after} ms goes on by itself at ${resume}, ${before} ms later`, async () => {
        const { platform, time } = group;
        // The others do not answer at first, and slowly then.
        platform.latency = () => 40;
        platform.fate = () => (time.now < silentUntil ? "lost" : "arrives");
        const silentUntil = time.now + (after > 100 ? after : 0);
        const asked = group.call(FOUNDER, "/observe", { what: "health" });
        await time.pass(after);
        await group.fault(FOUNDER, interrupt);
        await time.pass(before);
        expect(founded()).toBe(false);
        await group.fault(FOUNDER, resume);
        await time.until("the founding", 2000, founded);
        await asked;
      });
    }
  }
});

test("a replica that is stopped while it is told of the founding does not come to life", async () => {
  const { platform, time } = group;
  platform.fate = (call) => (call.path === "/peer/found" && call.to === LAST ? "lost" : "arrives");
  await look(FOUNDER);
  await time.until("the founding", 2000, founded);
  const told = calls.find(({ path, to }) => path === "/peer/found" && to === LAST);
  platform.fate = (call) => (call.to === LAST ? "lost" : "arrives");

  // The message is still on its way when the operator's request comes.
  await group.fault(LAST, "degrade", { delay_ms: 100 });
  const telling = platform.ask(LAST, "/peer/found", told?.text ?? "");
  await time.pass(50);
  await group.fault(LAST, "stop");
  calls.length = 0;
  expect(await time.outcome(telling)).toBeUndefined();
  await time.pass(3000);
  expect(callsOf(LAST)).toEqual([]);

  platform.fate = () => "arrives";
  await group.fault(LAST, "heal");
  await group.fault(LAST, "start");
  await time.pass(1000);
  expect(await look(LAST)).toMatchObject({ result: { status: "healthy" } });
});

test("the founder that has lost its storage asks until it knows, and then no more", async () => {
  const { platform, time } = group;
  await look(FOUNDER);
  await time.until("a leader", 10_000, () =>
    group.logs.some((line) => line.includes("leadership established")),
  );
  platform.wipe(FOUNDER);
  await look(FOUNDER);
  await time.pass(1000);
  expect(await look(FOUNDER)).toMatchObject({ result: { status: "unhealthy" } });
  calls.length = 0;
  await time.pass(10_000);
  expect(callsOf(FOUNDER)).toEqual([]);
});

test("a replica that has lost its storage is told so once by each, and hardly asked again, however long it stays", async () => {
  const { platform, time } = group;
  await look(FOUNDER);
  await time.until("a first leader", 10_000, () => group.seen.commit > 0);
  const [, lost] = group.followers;
  platform.wipe(lost);
  await time.pass(2_000);
  calls.length = 0;
  await time.pass(20_000);
  const toLost = calls.filter(({ to }) => to === lost);
  expect(toLost.filter(({ path }) => path === "/peer/found")).toEqual([]);
  // It is another replica by now: the one that the group knows will not answer any more.
  expect(toLost.length).toBeLessThan(6);
  expect(callsOf(lost)).toEqual([]);
  expect(await look(lost)).toMatchObject({
    result: { status: "unhealthy", reason: expect.stringContaining("storage lost") },
  });
});

test("a blank replica that could not be told of the founding is told as soon as it can be, and not all the time until then", async () => {
  const { platform, time } = group;
  platform.fate = ({ from, path, to }) => {
    const told = (to === LAST && path === "/peer/found") || (from.name === LAST && path === "/peer/hello");
    return told ? "lost" : "arrives";
  };
  await look(FOUNDER);
  await time.until("a first leader", 10_000, () => group.seen.commit > 0);
  calls.length = 0;
  await time.pass(10_000);
  const told = calls.filter(({ to, path }) => to === LAST && path === "/peer/found");
  expect(told.length).toBeGreaterThan(10);
  expect(told.length).toBeLessThanOrEqual(10_000 / RETRY_MS);
  platform.fate = () => "arrives";
  await time.pass(3_000);
  expect(await look(LAST)).toMatchObject({ result: { status: "healthy" } });
});
