/** Many tasks in one command: batches, bulk changes, forgetting what ended long ago. */
import { describe, expect, test } from "vitest";
import type { Outcome, Page, SubmitTask } from "../../src/coordinator/index.ts";
import { Machine, taskOf } from "./machine.ts";

type Task = Partial<SubmitTask["task"]> & { readonly task_id: string };

const batch = (machine: Machine, tasks: readonly Task[], key?: string): Outcome =>
  machine.apply({
    type: "submit-batch",
    items: tasks.map((task, index) => ({ index, task: taskOf(task) })),
    ...(key === undefined ? {} : { client_key: { scope: "s", key, digest: "d" } }),
  }).outcome;
const change = (machine: Machine, action: "cancel" | "retry", task_ids: readonly string[]): Outcome =>
  machine.apply({ type: "change-tasks", action, task_ids }).outcome;
const forget = (machine: Machine, ended_before: number, limit = 100): Outcome =>
  machine.apply({ type: "forget-tasks", ended_before, limit }).outcome;

describe("a batch", () => {
  test("is so many submissions, each with its own answer, in the order of the list", () => {
    const machine = new Machine();
    machine.submit({ task_id: "known", content_hash: "same" });
    const outcome = batch(machine, [
      { task_id: "a" },
      { task_id: "b", content_hash: "same" },
      { task_id: "c", delay_ms: 1_000 },
      { task_id: "d", content_hash: "content of a" },
    ]);
    expect(outcome).toEqual({
      type: "batch-submitted",
      items: [
        { index: 0, task_id: "a", cached: false, status: "pending" },
        { index: 1, task_id: "known", cached: true, status: "pending" },
        { index: 2, task_id: "c", cached: false, status: "scheduled" },
        { index: 3, task_id: "a", cached: true, status: "pending" },
      ],
    });
  });

  test("has a place in the order of arrival for each task, also for those that come after it", () => {
    const machine = new Machine();
    machine.submit({ task_id: "before" });
    batch(
      machine,
      Array.from({ length: 5 }, (_, at) => ({ task_id: `t${at}` })),
    );
    machine.submit({ task_id: "after" });
    machine.coordinator.takeChanges();
    const again = new Machine(machine.records);
    again.log.push(...machine.log);
    again.submit({ task_id: "last" });
    const order = ["before", "t0", "t1", "t2", "t3", "t4", "after", "last"];
    const sequences = order.map((task_id) => again.task(task_id).sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(
      again
        .tasks()
        .map(({ task_id }) => task_id)
        .reverse(),
    ).toEqual(order);
  });

  test("under a key gives its first answer again", () => {
    const machine = new Machine();
    const first = batch(machine, [{ task_id: "a" }, { task_id: "b" }], "k");
    expect(batch(machine, [{ task_id: "c" }, { task_id: "d" }], "k")).toEqual(first);
    expect(machine.tasks()).toHaveLength(2);
  });

  test("needs room for what is new in it, and for nothing else", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", input_bytes: 10 });
    const items = ["a", "b", "c", "c again"].map((name, index) => {
      const content_hash = `content of ${name.slice(0, 1)}`;
      return { index, task: taskOf({ task_id: name, content_hash, input_bytes: 10 }) };
    });
    const command = { v: 1, id: "b", type: "submit-batch", items } as const;
    const { coordinator } = machine;
    expect(coordinator.noRoom(command, { tasks: 3, bytes: 30 })).toBeUndefined();
    expect(coordinator.noRoom(command, { tasks: 2, bytes: 30 })).toMatch(/2 more are submitted at once/);
    expect(coordinator.noRoom(command, { tasks: 3, bytes: 29 })).toMatch(
      /these 2 have 20, and 29 are allowed/,
    );
  });
});

describe("a bulk change", () => {
  function mixed(): Machine {
    const machine = new Machine();
    machine.register("w", { slots: 2 });
    for (const [task_id, tags] of [
      ["completed", []],
      ["failed", ["x"]],
    ] as const)
      machine.submit({ task_id, tags });
    machine.grant("w", 2);
    machine.complete("completed.1", "w");
    machine.fail("failed.1", "w", false);
    machine.submit({ task_id: "held", tags: ["x"] });
    machine.grant("w", 1);
    machine.submit({ task_id: "waits", circuit: "range" });
    machine.time += 1_000;
    machine.submit({ task_id: "delayed", delay_ms: 60_000, tags: ["x"] });
    return machine;
  }
  function found(machine: Machine, action: "cancel" | "retry", filter: object = {}): readonly string[] {
    const query = { type: "changeable", action, limit: 9, ...filter } as const;
    const page = machine.coordinator.query(query) as Page<string>;
    const { items, next_cursor: cursor } = page;
    return cursor === undefined ? items : [...items, ...found(machine, action, { ...filter, cursor })];
  }

  test("finds the tasks to which it can be done by filter: the open ones, newest first, then the others", () => {
    const machine = mixed();
    expect(found(machine, "cancel")).toEqual(["delayed", "waits", "held"]);
    expect(found(machine, "retry")).toEqual(["delayed", "failed"]);
    expect(found(machine, "cancel", { tag: "x" })).toEqual(["delayed", "held"]);
    expect(found(machine, "cancel", { circuit: "range" })).toEqual(["waits"]);
    expect(found(machine, "cancel", { worker_id: "w" })).toEqual(["held"]);
    expect(found(machine, "cancel", { statuses: ["pending", "completed"] })).toEqual(["waits"]);
    expect(found(machine, "cancel", { created_before: machine.time })).toEqual(["waits", "held"]);
  });

  test("changes what it still can, and counts what it cannot any more", () => {
    const machine = mixed();
    const named = ["held", "waits", "completed", "nobody"];
    expect(change(machine, "cancel", named)).toEqual({ type: "tasks-changed", changed: 2, skipped: 2 });
    expect(change(machine, "cancel", named)).toEqual({ type: "tasks-changed", changed: 0, skipped: 4 });
    expect(change(machine, "retry", ["held", "failed", "delayed"])).toMatchObject({ changed: 3 });
    expect(machine.coordinator.counts.tasks).toMatchObject({ pending: 3, cancelled: 1, completed: 1 });
  });

  test("of retries needs room in the backlog", () => {
    const machine = mixed();
    const command = { v: 1, id: "c", type: "change-tasks", task_ids: ["failed", "completed"] } as const;
    const limits = { tasks: 3, bytes: 1_000 };
    expect(machine.coordinator.noRoom({ ...command, action: "retry" }, limits)).toMatch(/3 are allowed/);
    expect(machine.coordinator.noRoom({ ...command, action: "cancel" }, limits)).toBeUndefined();
  });
});

describe("what ended long ago", () => {
  test("is forgotten with its content, the first to end first, in bounded slices", () => {
    const machine = new Machine();
    machine.register("w", { slots: 200 });
    for (let at = 0; at < 150; at++) machine.submit({ task_id: `t${at}` });
    machine.submit({ task_id: "open" });
    const leases = machine.grant("w", 150);
    for (const lease_id of leases) {
      machine.time += 1;
      machine.complete(lease_id, "w");
    }
    const hour_later = machine.time + 3_600_000;
    expect(machine.coordinator.firstEnded).toBe(machine.time - 149);
    forget(machine, machine.time - 49);
    expect(machine.tasks()).toHaveLength(51);
    expect(machine.coordinator.task("t99")).toBeUndefined();
    expect(machine.task("t100").status).toBe("completed");
    forget(machine, hour_later, 49);
    expect(machine.tasks()).toHaveLength(2);
    forget(machine, hour_later);
    expect(machine.tasks().map(({ task_id }) => task_id)).toEqual(["open"]);
    expect(machine.coordinator.firstEnded).toBeUndefined();
    expect(Array.from(machine.records.live("ended"))).toHaveLength(1);
    expect(Array.from(machine.records.live("content"))).toHaveLength(0);
    expect(machine.submit({ task_id: "twin", content_hash: "content of open" })).toMatchObject({
      ...{ task_id: "open", cached: true },
    });

    expect(machine.coordinator.counts.tasks.completed).toBe(150);
    expect(machine.complete("t0.1", "w")).toMatchObject({ code: "lease-unknown" });
    expect(machine.submit({ task_id: "new", content_hash: "content of t0" })).toMatchObject({
      task_id: "new",
      cached: false,
    });
  });

  test("is not forgotten while it is open again, and counts from when it ended last", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a" });
    machine.apply({ type: "cancel-task", task_id: "a" });
    const first = machine.time;
    machine.time += 1_000;
    machine.apply({ type: "retry-task", task_id: "a" });
    forget(machine, first + 1);
    expect(machine.task("a").status).toBe("pending");
    machine.time += 1_000;
    machine.apply({ type: "cancel-task", task_id: "a" });
    forget(machine, machine.time);
    expect(machine.task("a").status).toBe("cancelled");
    forget(machine, machine.time + 1);
    expect(machine.coordinator.task("a")).toBeUndefined();
  });

  test("counts from when it ended last, however often it ended", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a" });
    machine.apply({ type: "cancel-task", task_id: "a" });
    machine.apply({ type: "retry-task", task_id: "a" });
    machine.time += 1_000;
    machine.apply({ type: "cancel-task", task_id: "a" });
    forget(machine, machine.time);
    expect(machine.task("a").status).toBe("cancelled");
    forget(machine, machine.time + 1);
    expect(machine.coordinator.task("a")).toBeUndefined();
  });

  test("does not take along the content that another task holds by now", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", content_hash: "same" });
    machine.apply({ type: "cancel-task", task_id: "a" });
    machine.submit({ task_id: "b", content_hash: "same" });
    forget(machine, machine.time + 1);
    expect(machine.coordinator.task("a")).toBeUndefined();
    expect(machine.submit({ task_id: "c", content_hash: "same" })).toMatchObject({
      task_id: "b",
      cached: true,
    });
  });
});
