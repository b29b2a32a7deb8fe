/** What bounds the log: it is cut also where few rows hold many entries, and where it cannot be, writes are held back. */
import { afterEach, expect, test } from "vitest";
import type { ProposeAnswer } from "../../src/replica/proposals.ts";
import { EVENT, Group, NAMES, rowsOf } from "./harness.ts";

let group: Group;
afterEach(() => group.release());

function checkpointOf(name: string): number {
  const [row] = group.platform
    .instance(name)
    .disk.exec("SELECT body FROM state WHERE key = 'checkpoint'", []).rows;
  return (JSON.parse((row as { readonly body: string }).body) as { readonly index: number }).index;
}
const logOf = (name: string) => rowsOf(group.platform.instance(name).disk);

test("writes are refused as overloaded while the log is full and in no checkpoint, and accepted again afterwards", async () => {
  const variables = {
    CHECKPOINT_ENTRIES: "10",
    MAX_LOG_ENTRIES: "40",
    LOG_TAIL_ENTRIES: "2",
    MAX_BATCH_ENTRIES: "1",
  };
  group = await Group.founded({ variables });
  const { platform, time } = group;
  for (let count = 0; count < 30; count++) await group.apply(EVENT);
  const { leader } = group;
  const before = logOf(leader).at(-1)?.last ?? 0;
  // What is appended is not acknowledged; heartbeats are.
  platform.fateOfAnswer = (call) =>
    call.from.name === leader && call.carries("append-request") ? "lost" : "arrives";
  const answers: ProposeAnswer[] = [];
  for (let count = 0; count < 60; count++) {
    void group.propose(EVENT).then((answer) => answers.push(answer));
    await time.pass(5);
  }
  const full = { type: "unavailable", code: "overloaded", retry_after_ms: 1000 };
  expect(answers.length).toBeGreaterThan(5);
  for (const answer of answers) expect(answer).toMatchObject(full);
  const appended = (logOf(leader).at(-1)?.last ?? 0) - before;
  expect(appended).toBeGreaterThan(25);
  expect((logOf(leader).at(-1)?.last ?? 0) - checkpointOf(leader)).toBe(40);
  platform.fateOfAnswer = () => "arrives";
  await time.until("all that was accepted is committed", 10_000, () => answers.length === 60);
  expect(answers.filter(({ type }) => type === "applied")).toHaveLength(appended);
  expect(answers.filter(({ type }) => type === "unavailable")).toHaveLength(60 - appended);
  expect((await group.apply(EVENT)).type).toBe("applied");
});

test("a log of few rows with many entries in each stays below its limit", async () => {
  const variables = { CHECKPOINT_ENTRIES: "100", MAX_LOG_ENTRIES: "400", LOG_TAIL_ENTRIES: "20" };
  group = await Group.founded({ variables });
  for (let round = 0; round < 12; round++) {
    const batch = Array.from({ length: 40 }, () => group.propose(EVENT));
    const answers = await group.time.outcome(Promise.all(batch));
    expect(answers.filter(({ type }) => type !== "applied")).toEqual([]);
    for (const name of NAMES) {
      const rows = logOf(name);
      const entries = (rows.at(-1)?.last ?? 0) - (rows[0]?.first ?? 0) + 1;
      expect(entries).toBeLessThan(300);
    }
  }
  expect(logOf(group.leader).length).toBeLessThan(20);
});
