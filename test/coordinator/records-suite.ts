/**
 * What every store of records has to do, in memory or in tables.
 */
import { expect, test } from "vitest";
import type { Arrival, Records, TaskRecord } from "../../src/coordinator/index.ts";
import { taskOf } from "./machine.ts";

export function recordsSuite(create: () => Records): void {
  const task = (task_id: string, sequence: number): TaskRecord => ({
    v: 1,
    ...taskOf({ task_id }),
    sequence,
    status: "pending",
    created_at: 0,
    attempts_spent: 0,
    losses: 0,
    grants: 0,
    attempts: [],
  });
  const ids = (arrivals: Iterable<Arrival>) =>
    Array.from(arrivals).flatMap(({ task }) => task?.task_id ?? []);

  test("a record is what was put last, and nothing after it was deleted", () => {
    const records = create();
    expect(records.get("content", "key")).toBeUndefined();
    records.put("content", "key", { v: 1, task_id: "a" });
    records.put("content", "key", { v: 1, task_id: "b" });
    expect(records.get("content", "key")).toEqual({ v: 1, task_id: "b" });
    expect(records.get("keys", "key")).toBeUndefined();
    records.delete("content", "key");
    expect(records.get("content", "key")).toBeUndefined();
    records.delete("content", "key");
  });

  test("tables do not share keys, and any text is a key", () => {
    const records = create();
    for (const key of ["", "__proto__", "a\nb", "ä\u0000"]) {
      records.put("content", key, { v: 1, task_id: key });
      expect(records.get("content", key)).toEqual({ v: 1, task_id: key });
    }
    expect(Array.from(records.live("workers"))).toEqual([]);
  });

  test("live tasks, workers and commands are all listed", () => {
    const records = create();
    records.put("tasks", "a", task("a", 1));
    records.put("tasks", "b", task("b", 2));
    records.put("tasks", "b", { ...task("b", 2), status: "assigned" });
    records.put("commands", "0", { v: 1, time: 0, entries: [] });
    const listed = Array.from(records.live("tasks")).sort(([a], [b]) => (a < b ? -1 : 1));
    expect(listed).toEqual([
      ["a", task("a", 1)],
      ["b", { ...task("b", 2), status: "assigned" }],
    ]);
    expect(Array.from(records.live("commands"))).toEqual([["0", { v: 1, time: 0, entries: [] }]]);
    records.put("tasks", "c", { ...task("c", 3), status: "completed" });
    expect(Array.from(records.openTasks(), ({ task_id, status }) => [task_id, status]).sort()).toEqual([
      ["a", "pending"],
      ["b", "assigned"],
    ]);
  });

  test("tasks are read newest first, from anywhere, whatever has become of others", () => {
    const records = create();
    for (const sequence of [1, 3, 5, 7, 9])
      records.put("tasks", `t${sequence}`, task(`t${sequence}`, sequence));
    expect(ids(records.newestTasks())).toEqual(["t9", "t7", "t5", "t3", "t1"]);
    expect(ids(records.newestTasks(7))).toEqual(["t5", "t3", "t1"]);
    expect(ids(records.newestTasks(6))).toEqual(["t5", "t3", "t1"]);
    expect(ids(records.newestTasks(1))).toEqual([]);
    records.delete("tasks", "t5");
    records.put("tasks", "t3", { ...task("t3", 3), status: "completed" });
    expect(ids(records.newestTasks())).toEqual(["t9", "t7", "t3", "t1"]);
    records.put("tasks", "t3", task("t3", 3));
    expect(ids(records.newestTasks(9))).toEqual(["t7", "t3", "t1"]);
  });

  test("places of tasks are read oldest first, so many at a time, whether they have ended or not", () => {
    const records = create();
    for (let sequence = 1; sequence <= 1_199; sequence += 2) {
      const task_id = `t${sequence}`;
      records.put("tasks", task_id, task(task_id, sequence));
      if (sequence % 3 === 0)
        records.put("tasks", task_id, { ...task(task_id, sequence), status: "completed" });
    }
    const all = records.arrivals(0, 1_000);
    expect(all).toHaveLength(600);
    expect(all[0]).toEqual({ sequence: 1, task_id: "t1" });
    expect(records.arrivals(0, 3).map(({ sequence }) => sequence)).toEqual([1, 3, 5]);
    expect(records.arrivals(5, 2).map(({ sequence }) => sequence)).toEqual([7, 9]);
    expect(records.arrivals(1_196, 2).map(({ task_id }) => task_id)).toEqual(["t1197", "t1199"]);
    expect(records.arrivals(1_199, 2)).toEqual([]);
  });
}
