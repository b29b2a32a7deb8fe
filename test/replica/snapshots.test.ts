/**
 * A replica that the log cannot help any more takes in the leader's tables: under load, through checkpoints on both
 * sides, and through losses and restarts in the middle of it. What it has at the end are the leader's records.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { ProposeAnswer } from "../../src/replica/proposals.ts";
import { differences, recordsOf } from "../support/records.ts";
import { type Body, Group, NAMES, rowsOf } from "./harness.ts";

let group: Group;
afterEach(() => group.release());

const SMALL = {
  CHECKPOINT_ENTRIES: "40",
  LOG_TAIL_ENTRIES: "10",
  MAX_LOG_ENTRIES: "400",
  MAX_BATCH_ENTRIES: "4",
};

/** A task with an input of some size, submitted, or an event, so large that a few of them fill a chunk. */
function body(number: number): Body {
  if (number % 3 === 0)
    return { type: "append-event", kind: "noted", body: JSON.stringify({ text: "y".repeat(20_000) }) };
  return {
    type: "submit-task",
    task: {
      task_id: `task-${number}`,
      circuit: "merkle",
      circuit_type: "merkle_proof",
      input: { text: "x".repeat(200) },
      input_bytes: 200,
      blinding: "1",
      content_hash: `content-${number}`,
      public_inputs: ["1", "2", "3"],
      priority: 0,
      max_attempts: 4,
    },
  };
}

async function applyMany(from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += 50) {
    const batch = Array.from({ length: Math.min(50, from + count - at) }, (_, offset) => body(at + offset));
    const answers = await group.time.outcome(Promise.all(batch.map((one) => group.propose(one))));
    expect(answers.filter(({ type }) => type !== "applied")).toEqual([]);
  }
}

const diskOf = (name: string) => group.platform.instance(name).disk;
const recordsAt = (name: string) => recordsOf((query) => diskOf(name).exec(query, []).rows);

async function checkpoint(name: string): Promise<number> {
  const { result } = await group.time.outcome(
    group.call<{ result: { checkpoint_index: number } }>(name, "/checkpoint", {}),
  );
  return result.checkpoint_index;
}

/** All have applied the same; then their tables must say the same. */
async function expectEqualRecords(): Promise<void> {
  await group.time.pass(2_000);
  const indexes = [];
  for (const name of NAMES) indexes.push(await checkpoint(name));
  expect(new Set(indexes).size, String(indexes)).toBe(1);
  const leaders = recordsAt(group.leader);
  for (const name of NAMES) expect(differences(leaders, recordsAt(name)), `at ${name}`).toEqual([]);
}

describe("a replica that was away while the log was cut three times", () => {
  test("comes back by a snapshot under load, and its records equal the leader's", async () => {
    group = await Group.founded({ variables: SMALL });
    await applyMany(0, 200);
    const [away] = group.followers;
    const before = rowsOf(diskOf(away)).at(-1)?.last ?? 0;
    await group.fault(away, "stop");
    await applyMany(200, 600);
    expect(rowsOf(diskOf(group.leader))[0]?.first).toBeGreaterThan(before + 1);
    const refused: ProposeAnswer[] = [];
    const stop = group.load(4, (answer) => answer.type !== "applied" && refused.push(answer));
    await group.fault(away, "start");
    await group.time.until("a snapshot was taken in", 20_000, () =>
      group.logs.some((line) => line.includes("snapshot: taken in")),
    );
    await group.time.pass(1_000);
    stop();
    expect(refused).toEqual([]);
    await expectEqualRecords();
  });
});

test("who waits at a replica for what a snapshot brings need not wait for the next entry", async () => {
  group = await Group.founded({ variables: SMALL });
  await applyMany(0, 100);
  await group.time.pass(1_000);
  const [away] = group.followers;
  await group.fault(away, "stop");
  await applyMany(100, 300);
  const index = await checkpoint(group.leader);
  await group.fault(away, "isolate");
  await group.fault(away, "start");
  const poll = JSON.stringify({ consistency: "stale", after: "latest", wait_ms: 20_000 });
  const polled = group.platform
    .fetch(away, "/events", poll)
    .then((response) => response.json() as Promise<{ readonly count: number }>);
  await group.time.pass(100);
  await group.fault(away, "heal");
  const began = group.time.now;
  const read = group.read(away);
  expect((await group.time.outcome(polled)).count).toBeGreaterThan(50);
  expect(await group.time.outcome(read)).toMatchObject({ type: "answer", applied_index: index });
  expect(group.time.now - began).toBeLessThan(2_000);
  expect(group.logs.some((line) => line.includes("snapshot: taken in"))).toBe(true);
});

describe("what arrives of a snapshot otherwise than it was sent", () => {
  const WAYS: readonly { readonly what: string; readonly garble: (text: string) => string }[] = [
    { what: "a record with another text", garble: (text) => text.replace("yyyyyyyy", "yyyyzyyy") },
    {
      what: "a record under another key",
      garble: (text) => text.replace('"records","events","1', '"records","events","7'),
    },
    { what: "a live record with another text", garble: (text) => text.replace("content-7", "content-5") },
    {
      what: "a place among the arrivals less",
      garble: (text) => text.replace(/\[\d+,\\"task-9\d\\"\],/, ""),
    },
  ];
  for (const { what, garble } of WAYS) {
    test(`is refused and reported, and the transfer begins anew: ${what}`, async () => {
      group = await Group.founded({ variables: SMALL });
      const { platform, logs } = group;
      const [away] = group.followers;
      await group.fault(away, "stop");
      await applyMany(0, 300);
      let garbled = 0;
      platform.garble = ({ path, to }, text) => {
        if (path !== "/peer/transfer" || to !== group.leader || garbled > 0) return text;
        const other = garble(text);
        if (other !== text) garbled++;
        return other;
      };
      await group.fault(away, "start");
      await group.time.until("a snapshot was taken in", 20_000, () =>
        logs.some((line) => line.includes("snapshot: taken in")),
      );
      expect(garbled).toBe(1);
      const refusals = logs.filter((line) => /snapshot: from \S+ refused: .* rows with digest/.test(line));
      expect(refusals).toHaveLength(1);
      const [, kept] = /taken in index=\d+ rows=\d+ kept=(\d+)/.exec(logs.join("\n")) ?? [];
      expect(Number(kept)).toBeGreaterThan(50);
      await expectEqualRecords();
    });
  }
});

describe("whatever happens to anybody while a snapshot is taken in", () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`nothing acknowledged is lost, and all end with the same records (seed ${seed})`, async () => {
      group = await Group.founded({ seed, variables: SMALL });
      const { random, platform, time, logs } = group;
      const [away] = group.followers;
      await applyMany(0, 100);
      await group.fault(away, "stop");
      await applyMany(100, 300);
      const acknowledged = new Set<number>();
      const stop = group.load(3, (answer) => {
        if (answer.type === "applied" && answer.outcome.type === "event-appended") {
          expect(acknowledged.has(answer.outcome.seq)).toBe(false);
          acknowledged.add(answer.outcome.seq);
        }
      });
      platform.fate = (call) => {
        if (!call.path.startsWith("/peer")) return "arrives";
        return random.next() < 0.1 ? "lost" : "arrives";
      };
      await group.fault(away, "start");
      for (let strike = 0; strike < 12; strike++) {
        await time.pass(random.between(1, 400));
        const name = random.next() < 0.5 ? away : (NAMES[random.between(0, 2)] ?? away);
        platform.instance(name).destroy();
      }
      platform.fate = () => "arrives";
      await time.until("a snapshot was taken in", 60_000, () =>
        logs.some((line) => line.includes("snapshot: taken in")),
      );
      await time.pass(3_000);
      stop();
      await expectEqualRecords();
      const events = recordsAt(group.leader);
      for (const seq of acknowledged) expect(events.has(`events ${seq}`), `event ${seq}`).toBe(true);
      expect(acknowledged.size).toBeGreaterThan(50);
    });
  }
});
