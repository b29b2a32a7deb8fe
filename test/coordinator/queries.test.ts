/**
 * What may be asked of the state machine, and that no answer holds what is for the holder of a lease alone, nor more
 * than a page.
 */
import { describe, expect, test } from "vitest";
import { renderTask } from "../../src/api/render.ts";
import {
  createMemoryRecords,
  type Page,
  type Query,
  type TaskRecord,
  type TaskSummary,
  type WorkerView,
} from "../../src/coordinator/index.ts";
import { PAGE_BYTES_MAX } from "../../src/coordinator/page.ts";
import { READ_BYTES_MAX } from "../../src/coordinator/task-pages.ts";
import { Machine } from "./machine.ts";

function filled(): Machine {
  const machine = new Machine();
  machine.register("w", { slots: 2 });
  for (let at = 1; at <= 5; at++)
    machine.submit({ task_id: `t${at}`, circuit: at === 3 ? "range" : "merkle" });
  machine.grant("w", 2);
  machine.complete("t1.1", "w");
  return machine;
}

type Filter = Omit<Extract<Query, { readonly type: "tasks" }>, "type">;

function list(machine: Machine, filter: Filter): Page<TaskSummary> {
  return machine.coordinator.query({ type: "tasks", ...filter }) as Page<TaskSummary>;
}

/** Every item of every page, and how many pages there were. */
function walk(machine: Machine, filter: Filter): { readonly ids: readonly string[]; readonly pages: number } {
  const ids: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = list(machine, { ...filter, ...(cursor === undefined ? {} : { cursor }) });
    expect(JSON.stringify(page.items).length).toBeLessThan(PAGE_BYTES_MAX + 1_000);
    ids.push(...page.items.map(({ task_id }) => task_id));
    cursor = page.next_cursor;
    pages++;
  } while (cursor !== undefined);
  return { ids, pages };
}

/** Counts the ended tasks that are read: those are not in memory. */
function counted() {
  let tasks = 0;
  const records = createMemoryRecords();
  const machine = new Machine({
    ...records,
    get(table, key) {
      const record = records.get(table, key);
      if (table === "tasks" && record !== undefined && "completed_at" in record) tasks++;
      return record;
    },
    *newestTasks(before) {
      for (const arrival of records.newestTasks(before)) {
        if (arrival.task?.completed_at !== undefined) tasks++;
        yield arrival;
      }
    },
  });
  const read = <Result>(ask: () => Result): { readonly result: Result; readonly tasks: number } => {
    tasks = 0;
    const result = ask();
    return { result, tasks };
  };
  return { machine, read };
}

/** So many tasks more come and are completed. */
function end(machine: Machine, count: number, more: object = {}): void {
  for (let at = 0; at < count; at++) machine.submit({ task_id: `ended-${at}`, ...more });
  for (let left = count; left > 0; left -= 500) {
    for (const lease_id of machine.grant("w", 500)) machine.complete(lease_id, "w");
  }
}

describe("a list of tasks", () => {
  test("comes newest first, in pages that neither repeat nor omit one while others arrive", () => {
    const machine = filled();
    const first = list(machine, { limit: 2 });
    expect(first.items.map(({ task_id }) => task_id)).toEqual(["t5", "t4"]);
    machine.submit({ task_id: "t6" });
    const seen: string[] = [];
    let cursor = first.next_cursor;
    while (cursor !== undefined) {
      const page = list(machine, { limit: 2, cursor });
      seen.push(...page.items.map(({ task_id }) => task_id));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(["t3", "t2", "t1"]);
  });

  test("is filtered by status, circuit and worker", () => {
    const machine = filled();
    const ids = (filter: object) =>
      list(machine, { limit: 9, ...filter }).items.map(({ task_id }) => task_id);
    expect(ids({ statuses: ["completed"] })).toEqual(["t1"]);
    expect(ids({ circuit: "range" })).toEqual(["t3"]);
    expect(ids({ worker_id: "w" })).toEqual(["t2", "t1"]);
    expect(ids({ statuses: ["pending"], circuit: "merkle" })).toEqual(["t5", "t4"]);
    expect(ids({ statuses: ["no such status"] })).toEqual([]);
  });

  test("reads a bounded part of what has ended for a page and says where to go on", () => {
    const { machine, read } = counted();
    machine.register("w", { slots: 500 });
    machine.submit({ task_id: "first", circuit: "range" });
    end(machine, READ_BYTES_MAX / 2_048 + 1);
    const page = read(() => list(machine, { circuit: "range", limit: 9 }));
    expect(page.tasks).toBe(READ_BYTES_MAX / 2_048);
    expect(page.result.items).toEqual([]);
    const { next_cursor = "" } = page.result;
    const rest = list(machine, { circuit: "range", limit: 9, cursor: next_cursor });
    expect(rest.items).toMatchObject([{ task_id: "first" }]);
    expect(rest.next_cursor).toBeUndefined();
  });

  test("reads fewer the larger their inputs are, and all of them page by page", () => {
    const { machine, read } = counted();
    machine.register("w", { slots: 500 });
    end(machine, 20, { input_bytes: 1024 * 1024 });
    const page = read(() => list(machine, { limit: 500 }));
    expect([page.tasks, page.result.items.length]).toEqual([2, 2]);
    expect(walk(machine, { limit: 500 }).ids).toEqual(machine.tasks().map(({ task_id }) => task_id));
  });

  test("of open tasks reads none that has ended, however many there are and whatever is asked for", () => {
    const { machine, read } = counted();
    machine.register("w", { slots: 500 });
    for (const task_id of ["a", "b", "c", "d"]) machine.submit({ task_id, circuit: "range", tags: ["x"] });
    end(machine, 5_000);
    machine.submit({ task_id: "e", circuit: "range" });
    const first = read(() => list(machine, { statuses: ["pending", "scheduled"], limit: 2 }));
    expect([first.tasks, first.result.items.map(({ task_id }) => task_id)]).toEqual([0, ["e", "d"]]);
    const cursor = first.result.next_cursor ?? "";
    const second = list(machine, { statuses: ["pending"], limit: 3, cursor });
    expect([second.items.map(({ task_id }) => task_id), second.next_cursor]).toEqual([
      ["c", "b", "a"],
      undefined,
    ]);
    const found = read(() => machine.coordinator.query({ type: "changeable", action: "cancel", limit: 2 }));
    expect([found.tasks, found.result]).toEqual([0, { items: ["e", "d"], next_cursor: expect.any(String) }]);
  });

  test("of what may be retried reads no task that was completed", () => {
    const { machine, read } = counted();
    machine.register("w", { slots: 500 });
    for (const task_id of ["a", "b", "c"]) machine.submit({ task_id, circuit: "range" });
    machine.apply({ type: "change-tasks", action: "cancel", task_ids: ["a", "b"] });
    end(machine, 5_000);
    machine.apply({ type: "cancel-task", task_id: "c" });
    machine.time += 1;
    machine.apply({ type: "retry-task", task_id: "a" });
    machine.apply({ type: "cancel-task", task_id: "a" });
    machine.submit({ task_id: "delayed", delay_ms: 1_000 });
    const ids: string[] = [];
    let cursor: string | undefined;
    const { tasks } = read(() => {
      do {
        const query = { type: "changeable", action: "retry", limit: 2, ...(cursor && { cursor }) } as const;
        const page = machine.coordinator.query(query) as Page<string>;
        ids.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor !== undefined);
    });
    expect([ids, tasks]).toEqual([["delayed", "a", "c", "b"], 4]);
  });

  test("is bounded in bytes, and its pages still neither repeat nor omit one", () => {
    const machine = new Machine();
    const tags = Array.from({ length: 16 }, (_, at) => `${at}`.padEnd(64, "x"));
    for (let at = 0; at < 1_200; at++) machine.submit({ task_id: `t${at}`, tags });
    const { ids, pages } = walk(machine, { limit: 500 });
    expect(ids).toEqual(machine.tasks().map(({ task_id }) => task_id));
    expect(pages).toBeGreaterThan(3);
  });

  test("costs the same whatever the inputs and the proofs are", () => {
    const machine = new Machine();
    machine.register("w", { slots: 500 });
    const leaves = Array.from({ length: 1_000 }, (_, at) => at.toString(16).padStart(64, "0"));
    for (let at = 0; at < 500; at++) machine.submit({ task_id: `t${at}`, input: { leaves, leaf_index: 0 } });
    for (const lease_id of machine.grant("w", 500)) machine.complete(lease_id, "w");
    expect(walk(machine, { limit: 500 }).pages).toBe(1);
  });
});

describe("a list of workers", () => {
  test("comes in the order of their names, in pages bounded in number and bytes", () => {
    const machine = new Machine();
    const labels = Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`k${at}`, "x".repeat(256)]));
    const worker = { boot_id: "b", max_concurrent_tasks: 1, circuits: [], labels };
    const names = Array.from({ length: 120 }, (_, at) => `w${String(at).padStart(3, "0")}`);
    for (const worker_id of names.toReversed())
      machine.apply({ type: "register-worker", worker: { worker_id, ...worker } });
    const seen: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? {} : { cursor };
      const page = machine.coordinator.query({ type: "workers", limit: 50, ...more }) as Page<WorkerView>;
      expect(JSON.stringify(page.items).length).toBeLessThan(PAGE_BYTES_MAX + 1_000);
      sizes.push(page.items.length);
      seen.push(...page.items.map(({ worker_id }) => worker_id));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(names);
    expect(sizes).toEqual([50, 50, 20]);
  });
});

describe("what only the holder of a lease may know", () => {
  const secrets = ["0x5ec4e7", "424242", "c0ffee", "boot-1", "00000000000000a1", "d16e57"];

  test("stands in no answer to any query, before and after the task has ended", () => {
    const machine = new Machine();
    machine.register("w", { slots: 2 });
    for (const task_id of ["a", "b"]) {
      const input = { leaves: ["0x5ec4e7"] };
      machine.submit({ task_id, input, blinding: "424242", content_hash: `c0ffee ${task_id}` });
    }
    const leases = machine.grant("w", 2, "boot-1", "00000000000000a1");
    machine.complete(leases[0] ?? "", "w", { digest: "d16e57" });
    const queries: readonly Query[] = [
      { type: "task", task_id: "a" },
      { type: "task", task_id: "b" },
      { type: "tasks", limit: 5 },
      { type: "worker", worker_id: "w" },
      { type: "workers", limit: 5 },
    ];
    for (const query of queries) {
      const { proof: _, ...answer } = { proof: 0, ...machine.coordinator.query(query) };
      const text = JSON.stringify(answer);
      expect(text.length).toBeGreaterThan(50);
      for (const secret of secrets) expect([query, text.includes(secret)]).toEqual([query, false]);
    }
  });

  test("cannot be shown by mistake: a record is not of a type that is shown", () => {
    const record = new Machine().tasks()[0] as TaskRecord;
    // @ts-expect-error The whole record has the input in it.
    const show = () => renderTask(record);
    expect(show).toThrow();
  });
});

test("every query answers null or a list for what is unknown", () => {
  const { coordinator } = new Machine();
  expect(coordinator.query({ type: "task", task_id: "x" })).toBeNull();
  expect(coordinator.query({ type: "lease", lease_id: "x.1" })).toBeNull();
  expect(coordinator.query({ type: "worker", worker_id: "x" })).toBeNull();
  expect(coordinator.query({ type: "workers", limit: 5 })).toEqual({ items: [] });
  expect(coordinator.query({ type: "tasks", limit: 5 })).toEqual({ items: [] });
});

test("a query answers what the records say", () => {
  const { coordinator } = filled();
  expect(coordinator.query({ type: "task", task_id: "t2" })).toMatchObject({
    task_id: "t2",
    status: "assigned",
  });
  expect(coordinator.query({ type: "lease", lease_id: "t2.1" })).toEqual({
    task_id: "t2",
    circuit: "merkle",
    public_inputs: ["1", "2", "3"],
    status: "assigned",
    worker_id: "w",
  });
  expect(coordinator.query({ type: "lease", lease_id: "t1.1" })).toMatchObject({
    status: "completed",
    outcome: "completed",
    proof_digest: "proof of t1.1",
  });
  expect(coordinator.query({ type: "task", task_id: "t1" })).toMatchObject({
    proof: { of: "proof of t1.1" },
    history: [{ attempt: 1, worker_id: "w", outcome: "completed" }],
  });
  expect(coordinator.query({ type: "workers", limit: 5 })).toMatchObject({
    items: [{ worker_id: "w", leases: ["t2.1"] }],
  });
});
