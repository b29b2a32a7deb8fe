/**
 * The feed: Critical events and what the machine reports, in the order of the log, and that a reader who comes back
 * misses nothing, or is told that he has.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SYSTEM_EVENTS_MAX } from "../../src/coordinator/feed.ts";
import type { FeedCursor, FeedReader } from "../../src/coordinator/index.ts";
import { BUCKET_ENTRIES } from "../../src/coordinator/ring.ts";
import { histories, take } from "./histories.ts";
import { Machine, putOperation } from "./machine.ts";

function opened(feed: FeedReader, after: string | undefined, reports: boolean): FeedCursor {
  const cursor = feed.open(after, reports);
  if (cursor === undefined) throw new Error(`nothing behind ${after} is kept: ${feed.oldest}`);
  return cursor;
}

/** Everything from the cursor on, in pieces of `size`. */
function readAll(feed: FeedReader, cursor: FeedCursor, size = 7) {
  const items: { id: string; index: number; text: string }[] = [];
  for (let at = cursor; ; ) {
    const piece = feed.read(at, size, 10_000);
    if (piece === undefined) throw new Error("compacted meanwhile");
    if (piece.items.length === 0) return items;
    items.push(...piece.items);
    at = piece.cursor;
  }
}

function append(machine: Machine, n: number, retain?: number): void {
  const body = `{"Critical":{"N":{"n":${n}}}}`;
  machine.apply({ type: "append-event", kind: "N", body, ...(retain === undefined ? {} : { retain }) });
}

const systemOf = (texts: readonly { readonly text: string }[]) =>
  texts.flatMap(({ text }) => Object.entries((JSON.parse(text) as { System?: object }).System ?? {}));

test("a task, a worker, an operation and a member report what becomes of them, and nothing private", () => {
  const machine = new Machine();
  machine.coordinator.configure([{ replica_id: "a.1", node_id: "a", role: "voter" }], 0);
  machine.register("w");
  machine.submit({ task_id: "t", input: "secret input", blinding: "secret blinding" });
  const [lease_id = ""] = machine.grant("w", 1, "boot-1", "0123456789abcdef");
  machine.apply({ type: "start-leases", lease_ids: [lease_id] });
  machine.complete(lease_id, "w");
  machine.apply({ type: "set-worker-state", worker_id: "w", boot_id: "boot-1", state: "dead" });
  machine.apply(putOperation("o", { payload: '{"big":9007199254740993}' }));
  machine.apply({ type: "remove-worker", worker_id: "w" });
  machine.coordinator.configure([], 50);
  const { feed } = machine.coordinator;
  const items = readAll(feed, opened(feed, undefined, true));
  const task = { task_id: "t", circuit: "merkle" };
  const held = { ...task, attempt: 1, worker_id: "w" };
  expect(systemOf(items)).toEqual([
    ["member.joined", { node_id: "a" }],
    ["worker.registered", { worker_id: "w" }],
    ["task.created", { ...task, status: "pending" }],
    ["task.assigned", { ...held, status: "assigned" }],
    ["task.in_progress", { ...held, status: "in_progress" }],
    ["task.completed", { ...held, status: "completed" }],
    ["worker.dead", { worker_id: "w" }],
    [
      "operation.committed",
      expect.objectContaining({ operation_id: "o", type: "noted", log_index: 7, term: 1 }),
    ],
    ["worker.removed", { worker_id: "w" }],
    ["member.removed", { node_id: "a" }],
  ]);
  const text = items.map((item) => item.text).join("\n");
  expect(text).toContain('"payload":{"big":9007199254740993}');
  expect(text).not.toContain("secret");
  expect(text).not.toContain("0123456789abcdef");
});

test("an operation that was committed before is not reported again", () => {
  const machine = new Machine();
  for (let at = 0; at < 3; at++) machine.apply(putOperation("o"));
  const { feed } = machine.coordinator;
  expect(systemOf(readAll(feed, opened(feed, undefined, true)))).toHaveLength(1);
});

test("in any history a reader who comes back behind any item gets exactly what comes after it", () => {
  fc.assert(
    fc.property(histories(80), fc.integer({ min: 1, max: 9 }), fc.nat(), (steps, size, pick) => {
      const machine = new Machine();
      for (const step of steps) take(machine, step);
      const { feed } = machine.coordinator;
      for (const reports of [true, false]) {
        const all = readAll(feed, opened(feed, undefined, reports), size);
        const indexes = all.map(({ index }) => index);
        expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
        expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
        const at = all.length === 0 ? 0 : pick % all.length;
        const behind = readAll(feed, opened(feed, all[at]?.id, reports));
        expect(behind).toEqual(all.slice(at + (all.length === 0 ? 0 : 1)));
        expect(readAll(feed, opened(feed, feed.latest(reports), reports))).toEqual([]);
        expect(feed.latest(reports)).toBe(all.at(-1)?.id ?? "0");
      }
      const critical = readAll(feed, opened(feed, undefined, false));
      expect(critical.map(({ id }) => id)).toEqual(critical.map((_, at) => String(at + 1)));
      const merged = readAll(feed, opened(feed, undefined, true));
      expect(merged.filter(({ text }) => !text.startsWith('{"System"')).map(({ text }) => text)).toEqual(
        critical.map(({ text }) => text),
      );
    }),
    { numRuns: 150 },
  );
});

test("a cursor of one kind of reader opens the other kind, too", () => {
  const machine = new Machine();
  machine.register("a");
  append(machine, 1);
  machine.register("b");
  append(machine, 2);
  const { feed } = machine.coordinator;
  const ids = (after: string, reports: boolean) =>
    readAll(feed, opened(feed, after, reports)).map(({ id }) => id);
  expect(ids("0", true)).toEqual(["1.0", "2.0", "3.0", "4.0"]);
  expect(ids("1", true)).toEqual(["3.0", "4.0"]);
  expect(ids("3.0", false)).toEqual(["2"]);
  expect(ids("0.5", false)).toEqual(["1", "2"]);
  expect(ids("9", true)).toEqual([]);
  expect(ids("9", false)).toEqual([]);
});

test("a replica that is behind repeats nothing to a reader who comes from one that is ahead", () => {
  const begun = (): Machine => {
    const machine = new Machine();
    append(machine, 1);
    return machine;
  };
  const goOn = (machine: Machine): void => {
    machine.register("a");
    append(machine, 2);
    append(machine, 3);
    machine.register("b");
  };
  const ahead = begun();
  goOn(ahead);
  for (const reports of [true, false]) {
    const all = readAll(ahead.coordinator.feed, opened(ahead.coordinator.feed, undefined, reports));
    for (const [at, { id }] of all.entries()) {
      const machine = begun();
      const cursor = opened(machine.coordinator.feed, id, reports);
      expect(readAll(machine.coordinator.feed, cursor)).toEqual([]);
      goOn(machine);
      expect(readAll(machine.coordinator.feed, cursor)).toEqual(all.slice(at + 1));
    }
  }
});

describe("what is forgotten", () => {
  test("of the events: all but the newest that are to be kept, and who is behind that is told so", () => {
    const machine = new Machine();
    for (let n = 1; n <= 10; n++) append(machine, n, 4);
    const { coordinator } = machine;
    expect(coordinator.eventCount).toBe(4);
    expect(coordinator.events(0, 100).map(({ seq }) => seq)).toEqual([7, 8, 9, 10]);
    expect(Array.from(machine.records.live("events"))).toHaveLength(4);
    for (const [after, reports] of [
      ["5", false],
      ["0", true],
      ["5.0", false],
      ["5.0", true],
    ] as const)
      expect(coordinator.feed.open(after, reports), after).toBeUndefined();
    for (const after of [undefined, "6", "6.0"])
      expect(readAll(coordinator.feed, opened(coordinator.feed, after, false)).map(({ id }) => id)).toEqual([
        "7",
        "8",
        "9",
        "10",
      ]);
    const late = opened(coordinator.feed, "8", false);
    for (let n = 11; n <= 20; n++) append(machine, n, 4);
    expect(coordinator.feed.read(late, 10, 10_000)).toBeUndefined();
  });

  test("a retention that is made shorter is reached within a few entries", () => {
    const machine = new Machine();
    for (let n = 1; n <= 1_000; n++) append(machine, n);
    for (let n = 0; n < 10; n++) append(machine, n, 10);
    expect(machine.coordinator.eventCount).toBe(10);
  });

  test("of the machine's own reports: all but the last ten thousand, in records that stay few", () => {
    const machine = new Machine();
    const boots = SYSTEM_EVENTS_MAX + 10 * BUCKET_ENTRIES;
    const { feed } = machine.coordinator;
    const early = opened(feed, undefined, true);
    append(machine, 0);
    for (let n = 1; n <= boots; n++) machine.register("w", { boot_id: `boot-${n}` });
    expect(feed.read(early, 10, 10_000)).toBeUndefined();
    expect(feed.open("1", true)).toBeUndefined();
    expect(feed.open("1", false)).toBeDefined();
    const all = readAll(feed, opened(feed, undefined, true), 500);
    expect(all[0]?.id).toBe("1.0");
    expect(all.length).toBeGreaterThan(SYSTEM_EVENTS_MAX - BUCKET_ENTRIES);
    expect(all.length).toBeLessThanOrEqual(SYSTEM_EVENTS_MAX + 1);
    const first = all[1]?.index ?? 0;
    expect(feed.open(`${first - 2}.0`, true)).toBeUndefined();
    expect(readAll(feed, opened(feed, `${first - 1}.0`, true), 500)).toEqual(all.slice(1));
    expect(Array.from(machine.records.live("system_events")).length).toBeLessThan(
      SYSTEM_EVENTS_MAX / BUCKET_ENTRIES + 2,
    );
  });
});
