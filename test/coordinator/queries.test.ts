import { describe, expect, test } from "vitest";
import { EXAMINED_MAX } from "../../src/coordinator/queries.ts";
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

describe("a list of tasks", () => {
  test("comes newest first, in pages that neither repeat nor omit one while others arrive", () => {
    const machine = filled();
    const first = machine.coordinator.tasks({ limit: 2 });
    expect(first.items.map(({ task_id }) => task_id)).toEqual(["t5", "t4"]);
    machine.submit({ task_id: "t6" });
    const seen: string[] = [];
    let cursor = first.next_cursor;
    while (cursor !== undefined) {
      const page = machine.coordinator.tasks({ limit: 2, cursor });
      seen.push(...page.items.map(({ task_id }) => task_id));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(["t3", "t2", "t1"]);
  });

  test("is filtered by status, circuit and worker", () => {
    const { coordinator } = filled();
    const ids = (filter: object) =>
      coordinator.tasks({ limit: 9, ...filter }).items.map(({ task_id }) => task_id);
    expect(ids({ status: "completed" })).toEqual(["t1"]);
    expect(ids({ circuit: "range" })).toEqual(["t3"]);
    expect(ids({ worker_id: "w" })).toEqual(["t2", "t1"]);
    expect(ids({ status: "pending", circuit: "merkle" })).toEqual(["t5", "t4"]);
    expect(ids({ status: "no such status" })).toEqual([]);
    expect(ids({ cursor: "nonsense" })).toEqual([]);
  });

  test("looks at a bounded number of tasks for a page and says where to go on", () => {
    const machine = new Machine();
    machine.submit({ task_id: "first", circuit: "range" });
    for (let at = 0; at < EXAMINED_MAX; at++) machine.submit({ task_id: `t${at}` });
    const page = machine.coordinator.tasks({ circuit: "range", limit: 9 });
    expect(page.items).toEqual([]);
    const { next_cursor = "" } = page;
    const rest = machine.coordinator.tasks({ circuit: "range", limit: 9, cursor: next_cursor });
    expect(rest.items).toMatchObject([{ task_id: "first" }]);
    expect(rest.next_cursor).toBeUndefined();
  });
});

test("every query answers null or a list for what is unknown", () => {
  const { coordinator } = new Machine();
  expect(coordinator.query({ type: "task", task_id: "x" })).toBeNull();
  expect(coordinator.query({ type: "lease", lease_id: "x.1" })).toBeNull();
  expect(coordinator.query({ type: "worker", worker_id: "x" })).toBeNull();
  expect(coordinator.query({ type: "workers" })).toEqual([]);
  expect(coordinator.query({ type: "tasks", limit: 5 })).toEqual({ items: [] });
});

test("a query answers what the records say", () => {
  const { coordinator } = filled();
  expect(coordinator.query({ type: "task", task_id: "t2" })).toMatchObject({
    task_id: "t2",
    status: "assigned",
  });
  expect(coordinator.query({ type: "lease", lease_id: "t2.1" })).toMatchObject({ current: true });
  expect(coordinator.query({ type: "lease", lease_id: "t1.1" })).toMatchObject({
    current: false,
    attempt: { outcome: "completed" },
  });
  expect(coordinator.query({ type: "workers" })).toMatchObject([{ worker_id: "w", leases: ["t2.1"] }]);
});
