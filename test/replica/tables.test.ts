/** Records in tables: the same as in memory, through every checkpoint and restart, and cheap in rows. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CommandBody } from "../../src/coordinator/index.ts";
import type { Instant, TaskRecord } from "../../src/coordinator/records.ts";
import type { OpenTask } from "../../src/coordinator/tables.ts";
import type { Query } from "../../src/coordinator/views.ts";
import { Store } from "../../src/replica/store.ts";
import { Tables } from "../../src/replica/tables.ts";
import { histories, take } from "../coordinator/histories.ts";
import { Machine, TABLES, taskOf, tasksOf } from "../coordinator/machine.ts";
import { recordsSuite } from "../coordinator/records-suite.ts";
import { storedRecords } from "../support/records.ts";
import { Disk, storageOn } from "./platform.ts";

const CONFIGURATION = { type: "stable", voters: ["a"], learners: [] } as const;

describe("records in tables", () => recordsSuite(() => new Tables(storageOn(new Disk()).sql, 0)));

/** A store on a disk, with a checkpoint whenever it is asked for. */
class Stored {
  readonly #disk = new Disk();
  store = this.#open();

  restart(): void {
    this.store = this.#open();
  }

  #open(): Store {
    const store = new Store(storageOn(this.#disk));
    store.openTables();
    return store;
  }

  get segments(): number {
    return this.rowsIn("live_0");
  }

  get records(): readonly unknown[] {
    return storedRecords((query) => this.#disk.exec(query, []).rows, 0);
  }

  rowsIn(table: string): number {
    return this.#disk.exec(`SELECT 1 FROM ${table}`, []).rows.length;
  }

  checkpoint(index: number, time: Instant, changed: Parameters<Store["writeCheckpoint"]>[1]): number {
    const before = this.store.rowsWritten;
    const last = { index, term: 1, time };
    const handle = this.store.handle(index);
    this.store.writeCheckpoint({ last, configuration: CONFIGURATION, handle }, changed);
    return this.store.rowsWritten - before;
  }
}

const plans = fc.array(fc.constantFrom("go on", "go on", "checkpoint", "restart"), {
  minLength: 1,
  maxLength: 40,
});

const QUERIES: readonly Query[] = [
  { type: "tasks", limit: 500 },
  { type: "tasks", limit: 3, statuses: ["pending", "assigned"] },
  { type: "tasks", limit: 3, statuses: ["pending", "failed"] },
  { type: "tasks", limit: 3, circuit: "range" },
  { type: "tasks", limit: 3, worker_id: "w1" },
  { type: "tasks", limit: 3, statuses: ["pending", "scheduled"], created_before: 1_000_100_000 },
  { type: "changeable", action: "cancel", limit: 500 },
  { type: "changeable", action: "retry", limit: 500 },
  { type: "changeable", action: "retry", limit: 500, cursor: "e7" },
];

test("the machine on tables gives the answers of the machine in memory, whatever is checkpointed and restarted", () => {
  fc.assert(
    fc.property(histories(150), plans, (steps, plan) => {
      const inMemory = new Machine();
      const answers = steps.map((step) => JSON.stringify(take(inMemory, step)));
      inMemory.coordinator.takeChanges();
      const stored = new Stored();
      let machine = new Machine(stored.store.tables);
      const others = inMemory.log.map(({ command, place }, at) => {
        const answer = JSON.stringify(machine.coordinator.apply(command, place));
        const next = plan[at % plan.length];
        if (next !== "go on") {
          stored.checkpoint(place.index, place.time, machine.coordinator.takeChanges());
          expect(stored.store.checkpoint?.last.index).toBe(place.index);
        }
        if (next === "restart") {
          stored.restart();
          machine = new Machine(stored.store.tables);
        }
        return answer;
      });
      machine.coordinator.takeChanges();
      expect(others).toEqual(answers);
      for (const table of TABLES) {
        for (const [key, record] of inMemory.records.live(table)) {
          expect(stored.store.tables.get(table, key)).toEqual(record);
        }
      }
      expect(tasksOf(stored.store.tables)).toEqual(tasksOf(inMemory.records));
      for (const query of QUERIES) {
        expect(machine.coordinator.query(query)).toEqual(inMemory.coordinator.query(query));
      }
    }),
    { numRuns: 150 },
  );
});

test("an answer is given again after checkpoints and starts, from full buckets, cut ones and the open one", () => {
  const stored = new Stored();
  let machine = new Machine(stored.store.tables);
  // Each fortieth names so many tasks that it has a bucket of its own.
  const body = (nth: number): CommandBody =>
    nth % 40 === 17
      ? {
          type: "submit-batch",
          items: Array.from({ length: 20 }, (_, index) => ({
            index,
            task: taskOf({ task_id: `task-${nth}-${index}` }),
          })),
        }
      : { type: "append-event", kind: "noted", body: `{"nth":${nth}}` };
  const events = Array.from({ length: 150 }, (_, nth) => body(nth)).filter(
    ({ type }) => type === "append-event",
  ).length;
  const answers = Array.from({ length: 150 }, (_, nth) => {
    const answer = machine.apply(body(nth), `command-${nth}`);
    if (nth % 20 === 19) stored.checkpoint(nth + 1, machine.time, machine.coordinator.takeChanges());
    return answer;
  });
  for (const restarts of [false, true]) {
    if (restarts) {
      stored.checkpoint(1_000, machine.time, machine.coordinator.takeChanges());
      stored.restart();
      const { log, time } = machine;
      machine = new Machine(stored.store.tables);
      machine.log.push(...log);
      machine.time = time;
    }
    for (const [nth, answer] of answers.entries())
      expect(machine.apply(body(nth), `command-${nth}`)).toEqual(answer);
    expect(machine.coordinator.eventCount).toBe(events);
    expect(tasksOf(stored.store.tables)).toHaveLength((answers.length - events) * 20);
  }
});

const pick = (task: OpenTask) => {
  const { task_id, sequence, circuit, status, content_hash, attempts } = task;
  const { input_bytes, priority, created_at, not_before, deadline, tags } = task;
  const first = { task_id, sequence, circuit, status, content_hash, attempts };
  return { ...first, input_bytes, priority, created_at, not_before, deadline, tags };
};

describe("a task that waits and was never handed out", () => {
  const waiting: TaskRecord = {
    ...task(1, "scheduled"),
    input: { text: "ä𝄞\n\u2028" },
    input_bytes: 20,
    priority: 7,
    not_before: 5,
    deadline: 9,
    max_runtime_ms: 3,
    tags: ["a"],
  };
  const others = [task(2, "pending"), { ...task(3, "pending"), tags: ["b"] }];
  const all = [waiting, ...others];
  const changed = all.map(({ task_id }) => ({ table: "tasks" as const, key: task_id }));

  test("is known by what it is looked for, and read whole, before and after a checkpoint and a start", () => {
    const stored = new Stored();
    for (const one of all) stored.store.tables.put("tasks", one.task_id, one);
    const look = (unread: boolean): void => {
      const { tables } = stored.store;
      const heads = [...tables.openTasks()];
      expect(heads.map((head) => pick(head))).toEqual(all.map((one) => pick(one)));
      expect(heads.map((head) => "input" in head)).toEqual(all.map(() => !unread));
      for (const one of all) expect(tables.get("tasks", one.task_id)).toEqual(one);
      expect(Array.from(tables.live("tasks"), ([, record]) => record)).toEqual(all);
    };
    look(false);
    stored.checkpoint(1, 0, changed);
    look(true);
    stored.restart();
    look(true);
    stored.store.tables.put("tasks", waiting.task_id, { ...waiting, status: "pending" });
    expect(stored.store.tables.get("tasks", waiting.task_id)?.status).toBe("pending");
    stored.checkpoint(2, 0, [{ table: "tasks", key: waiting.task_id }]);
    stored.restart();
    expect(stored.store.tables.get("tasks", waiting.task_id)).toEqual({ ...waiting, status: "pending" });
  });
});

function task(number: number, status: TaskRecord["status"]): TaskRecord {
  const task_id = `task-${number}`;
  return {
    v: 1,
    ...taskOf({ task_id }),
    sequence: number,
    status,
    created_at: 0,
    attempts_spent: 0,
    losses: 0,
    grants: 0,
    attempts: [],
  };
}

describe("rows written", () => {
  const numbers = Array.from({ length: 500 }, (_, at) => at + 1);
  const keys = numbers.map((number) => ({ table: "tasks" as const, key: `task-${number}` }));

  test("open tasks of a checkpoint share a row or two, ended ones have a row each", () => {
    const stored = new Stored();
    for (const number of numbers) stored.store.tables.put("tasks", `task-${number}`, task(number, "pending"));
    expect(stored.checkpoint(500, 0, keys)).toBeLessThan(5);
    for (const number of numbers)
      stored.store.tables.put("tasks", `task-${number}`, task(number, "completed"));
    expect(stored.checkpoint(1_000, 0, keys)).toBeLessThan(500 + 5);
    stored.restart();
    expect(Array.from(stored.store.tables.live("tasks"))).toEqual([]);
    expect(stored.store.tables.get("tasks", "task-7")).toEqual(task(7, "completed"));
  });

  test("a backlog that changes all the time does not pile up on disk, nor does it cost a row for each change", () => {
    const stored = new Stored();
    for (const number of numbers) stored.store.tables.put("tasks", `task-${number}`, task(number, "pending"));
    let rows = 0;
    for (let round = 1; round <= 100; round++) {
      for (const number of numbers) {
        stored.store.tables.put("tasks", `task-${number}`, { ...task(number, "pending"), grants: round });
      }
      rows += stored.checkpoint(round, 0, keys);
      if (round % 10 === 0) stored.restart();
    }
    expect(rows).toBeLessThan(100 * 6);
    expect(Array.from(stored.store.tables.live("tasks")).length).toBe(500);
    expect(stored.store.tables.get("tasks", "task-500")?.grants).toBe(100);
    expect(stored.segments).toBeLessThan(20);
  });

  test("a large record that changes all the time does not pile up on disk either, and takes nothing with it", () => {
    const stored = new Stored();
    const waiting = [task(1, "pending"), { ...task(2, "pending"), tags: ["ä𝄞"] }, task(3, "assigned")];
    for (const one of waiting) stored.store.tables.put("tasks", one.task_id, one);
    stored.checkpoint(
      1,
      0,
      waiting.map(({ task_id }) => ({ table: "tasks" as const, key: task_id })),
    );
    const entries = [{ id: "batch", outcome: "x".repeat(200_000) }];
    for (let round = 2; round <= 200; round++) {
      stored.store.tables.put("commands", "0", { v: 1, time: round, entries });
      stored.checkpoint(round, 0, [{ table: "commands", key: "0" }]);
      if (round % 50 === 0) stored.restart();
      expect(stored.segments).toBeLessThan(30);
    }
    for (const one of waiting) expect(stored.store.tables.get("tasks", one.task_id)).toEqual(one);
    expect(stored.store.tables.get("commands", "0")?.time).toBe(200);
  });

  test("what was forgotten leaves nothing behind", () => {
    const stored = new Stored();
    for (let from = 0; from < 10_000; from += 500) {
      const changed = numbers.map((number) => ({ table: "tasks" as const, key: `task-${from + number}` }));
      for (const number of numbers) {
        stored.store.tables.put("tasks", `task-${from + number}`, task(from + number, "completed"));
      }
      stored.checkpoint(from + 500, 0, changed);
    }
    for (let from = 0; from < 10_000; from += 500) {
      const changed = numbers.map((number) => ({ table: "tasks" as const, key: `task-${from + number}` }));
      for (const { table, key } of changed) stored.store.tables.delete(table, key);
      stored.checkpoint(10_000 + from, 0, changed);
    }
    expect(tasksOf(stored.store.tables)).toEqual([]);
    expect(Array.from(stored.store.tables.newestTasks()).length).toBeLessThan(2 * 512);
    expect(stored.records).toEqual([]);
    expect(stored.rowsIn("arrivals_0")).toBeLessThan(3);
  });
});
