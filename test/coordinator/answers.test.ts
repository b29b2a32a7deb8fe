/**
 * What repeated commands, repeated idempotency keys and Critical events do.
 */
import { describe, expect, test } from "vitest";
import { COMMAND_MS, COMMANDS_MAX, KEY_MS } from "../../src/coordinator/answers.ts";
import type { BucketRecord, Command } from "../../src/coordinator/index.ts";
import { BUCKET_ENTRIES, Ring } from "../../src/coordinator/ring.ts";
import { Machine, taskOf } from "./machine.ts";

const event = (body: string, key?: string, digest = body) =>
  ({
    type: "append-event",
    kind: "PlayerJoin",
    body,
    ...(key === undefined ? {} : { client_key: { scope: "token events", key, digest } }),
  }) as const;

describe("a command id", () => {
  test("repeated within a minute of entry time changes nothing and gives the first answer, silently", () => {
    const machine = new Machine();
    const first = machine.apply(event("one"), "id");
    machine.time += COMMAND_MS;
    expect(machine.apply(event("one"), "id")).toEqual(first);
    expect(first.replayed).toBe(false);
    expect(machine.coordinator.eventCount).toBe(1);
  });

  test("is remembered with its refusal, too", () => {
    const machine = new Machine();
    const body = { type: "drain-worker", worker_id: "w" } as const;
    const first = machine.apply(body, "id");
    machine.register("w");
    expect(machine.apply(body, "id")).toEqual(first);
    expect(machine.coordinator.worker("w")?.draining).toBe(false);
  });

  test("is forgotten after a minute, with its record", () => {
    const machine = new Machine();
    machine.apply(event("one"), "id");
    machine.time += COMMAND_MS + 1;
    machine.apply(event("one"), "id");
    expect(machine.coordinator.eventCount).toBe(2);
    expect(Array.from(machine.records.live("commands"))).toHaveLength(1);
  });

  test("is forgotten early only when very many came after it", () => {
    const machine = new Machine();
    machine.apply(event("one"), "id");
    for (let at = 0; at < COMMANDS_MAX - 1; at++)
      machine.apply({ type: "remove-worker", worker_id: "w" }, `other-${at}`);
    machine.apply(event("one"), "id");
    expect(machine.coordinator.eventCount).toBe(1);
    machine.apply({ type: "remove-worker", worker_id: "w" }, "last");
    machine.apply({ type: "remove-worker", worker_id: "w" }, "the one too many");
    machine.apply(event("one"), "id");
    expect(machine.coordinator.eventCount).toBe(2);
    const buckets = Array.from(machine.records.live("commands"));
    expect(buckets.length).toBeLessThanOrEqual(COMMANDS_MAX / BUCKET_ENTRIES + 1);
  });

  test("answers with the same leases as the first time, and keeps no second copy of their inputs", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", input: "a large input" });
    const body = {
      worker_id: "w",
      boot_id: "boot-1",
      max_concurrent_tasks: 1,
      circuits: ["merkle"],
      labels: {},
    };
    machine.apply({ type: "register-worker", worker: body });
    const first = machine.apply(
      { type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 1, nonce: "" },
      "id",
    );
    machine.complete("a.1", "w");
    expect(
      machine.apply({ type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 1, nonce: "" }, "id"),
    ).toEqual(first);
    expect(JSON.stringify(Array.from(machine.records.live("commands")))).not.toContain("a large input");
  });
});

describe("an idempotency key", () => {
  test("repeated with the same body gives the first answer and says so, also when that is repeated under its id", () => {
    const machine = new Machine();
    const first = machine.apply(event("one", "key"));
    expect(first.replayed).toBe(false);
    const again = machine.apply(event("one", "key"), "second");
    expect(again).toEqual({ outcome: first.outcome, replayed: true });
    expect(machine.apply(event("one", "key"), "second")).toEqual(again);
    expect(machine.coordinator.eventCount).toBe(1);
  });

  test("repeated with another body is refused and nothing happens", () => {
    const machine = new Machine();
    machine.apply(event("one", "key"));
    const { outcome, replayed } = machine.apply(event("two", "key"));
    expect(outcome).toMatchObject({ type: "refused", code: "idempotency-key-reused" });
    expect(replayed).toBe(false);
    expect(machine.coordinator.eventCount).toBe(1);
  });

  test("belongs to its scope", () => {
    const machine = new Machine();
    machine.apply(event("one", "key"));
    const client_key = { scope: "token tasks", key: "key", digest: "other" };
    expect(machine.apply({ type: "submit-task", task: taskOf({ task_id: "a" }), client_key })).toMatchObject({
      outcome: { type: "submitted", cached: false },
      replayed: false,
    });
  });

  test("lasts a day, and another day when it is used again afterwards", () => {
    const machine = new Machine();
    machine.apply(event("one", "key"));
    machine.time += KEY_MS / 2;
    machine.apply(event("other", "other key"));
    machine.time += KEY_MS / 2;
    expect(machine.apply(event("one", "key")).replayed).toBe(true);
    machine.time += 1;
    expect(machine.apply(event("two", "key"))).toMatchObject({ outcome: { seq: 3 }, replayed: false });
    machine.time += KEY_MS;
    expect(machine.apply(event("two", "key"))).toMatchObject({ outcome: { seq: 3 }, replayed: true });
    machine.time += 2 * KEY_MS;
    machine.apply(event("three"));
    expect(Array.from(machine.records.live("keys"))).toEqual([]);
    expect(Array.from(machine.records.live("key_order"))).toEqual([]);
  });
});

test("an idempotency key used again is not forgotten with its first use", () => {
  const machine = new Machine();
  machine.apply(event("one", "key"));
  machine.time += KEY_MS / 2;
  for (let at = 1; at < BUCKET_ENTRIES; at++) machine.apply(event("other", `other key ${at}`));
  machine.time += KEY_MS / 2 + 1;
  const again = machine.apply(event("two", "key"));
  expect(again.replayed).toBe(false);
  machine.time += KEY_MS / 2;
  expect(machine.apply(event("two", "key"))).toEqual({ outcome: again.outcome, replayed: true });
  expect(Array.from(machine.records.live("keys"))).toHaveLength(1);
});

function emptyStore() {
  const buckets = new Map<string, BucketRecord<number>>();
  const store = {
    get: (key: string) => buckets.get(key),
    put: (key: string, bucket: BucketRecord<number>) => void buckets.set(key, bucket),
    delete: (key: string) => void buckets.delete(key),
  };
  return { buckets, store };
}

test("a ring forgets from the oldest on, in whole buckets, by age and by number", () => {
  const { buckets, store } = emptyStore();
  const ring = new Ring<number>(store, 3 * BUCKET_ENTRIES, { oldest: 0, next: 0 });
  const dropped: number[] = [];
  for (let at = 0; at < 10 * BUCKET_ENTRIES; at++) {
    ring.expire(at - 100, (entry) => dropped.push(entry));
    ring.append(at, at);
    expect(buckets.size).toBeLessThanOrEqual(4);
  }
  expect(dropped).toEqual(Array.from(dropped, (_, at) => at));
  expect(dropped.length % BUCKET_ENTRIES).toBe(0);
  ring.append(0, 640);
  ring.expire(10_000, () => {});
  expect(buckets.size).toBe(0);
  ring.append(1, 20_000);
  expect(new Ring<number>(store, 1, ring.position).position).toEqual({ oldest: 11, next: 705 });
});

test("what stands alone in a ring has a bucket to itself, and counts as one", () => {
  const { buckets, store } = emptyStore();
  const max = 2 * BUCKET_ENTRIES;
  let ring = new Ring<number>(store, max, { oldest: 0, next: 0 });
  const dropped: number[] = [];
  for (let at = 0; at < 1_000; at++) {
    ring.append(at, at, at % 3 === 0);
    const alone = [...buckets.values()].filter(({ entries }) => entries.some((entry) => entry % 3 === 0));
    for (const { entries } of alone) expect(entries).toHaveLength(1);
    ring.expire(0, (entry) => dropped.push(entry));
    const kept = [...buckets.values()].flatMap(({ entries }) => entries);
    expect(kept).toEqual(Array.from(kept, (_, nth) => dropped.length + nth));
    // What stands between two that are alone is dropped together.
    expect(kept.length).toBeGreaterThanOrEqual(Math.min(at + 1, max - 1));
    expect(kept.length).toBeLessThanOrEqual(max);
    if (at % 50 === 0) ring = new Ring<number>(store, max, ring.position);
  }
  ring.expire(10_000, (entry) => dropped.push(entry));
  expect(dropped).toEqual(Array.from({ length: 1_000 }, (_, at) => at));
  expect(buckets.size).toBe(0);
  expect(ring.position.unused).toBeUndefined();
});

test("the answers to large batches make no record that a row could not hold", () => {
  const machine = new Machine();
  for (let batch = 0; batch < 70; batch++) {
    const items = Array.from({ length: 500 }, (_, index) => ({
      index,
      task: taskOf({ task_id: `${"task".repeat(9)}-${batch}-${index}` }),
    }));
    machine.apply({ type: "submit-batch", items }, `batch-${batch}`);
  }
  const sizes = Array.from(machine.records.live("commands"), ([, record]) => JSON.stringify(record).length);
  expect(Math.max(...sizes)).toBeLessThan(100_000);
  expect(machine.apply({ type: "submit-batch", items: [] }, "batch-3").outcome).toMatchObject({
    items: { length: 500 },
  });
});

describe("events", () => {
  test("are numbered from one and read back in order, as they were written", () => {
    const machine = new Machine();
    machine.register("w");
    for (let at = 1; at <= 5; at++) {
      const { outcome } = machine.apply(event(`{"big":9007199254740993${at}}`));
      expect(outcome).toEqual({ type: "event-appended", seq: at, log_index: at + 1 });
    }
    expect(machine.coordinator.events(0, 10).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(machine.coordinator.events(2, 2)).toMatchObject([
      { seq: 3, kind: "PlayerJoin", body: `{"big":90071992547409933}` },
      { seq: 4 },
    ]);
    expect(machine.coordinator.events(5, 10)).toEqual([]);
  });
});

test("a command that this code does not know stops the machine before it changes anything", () => {
  const machine = new Machine();
  const place = { index: 42, term: 1, time: machine.time };
  const unknown = { v: 1, id: "x", type: "cancel-everything" } as unknown as Command;
  expect(() => machine.coordinator.apply(unknown, place)).toThrow(
    /entry 42: command cancel-everything of version 1/,
  );
  const newer = { v: 2, id: "x", type: "drain-worker", worker_id: "w" } as unknown as Command;
  expect(() => machine.coordinator.apply(newer, place)).toThrow(/entry 42.*version 2.*upgrade/);
  expect(machine.coordinator.takeChanges()).toEqual([]);
});
