import { describe, expect, test } from "vitest";
import { backoff } from "../../src/coordinator/attempts.ts";
import { Machine } from "./machine.ts";

describe("submission", () => {
  test("a submitted task is pending, and its sequence is the index of its entry", () => {
    const machine = new Machine();
    machine.register("w");
    expect(machine.submit({ task_id: "a" })).toEqual({
      type: "submitted",
      task_id: "a",
      cached: false,
      status: "pending",
    });
    expect(machine.task("a")).toMatchObject({
      sequence: 2,
      created_at: machine.time,
      attempts: [],
      grants: 0,
    });
  });

  test("the same content again is the first task, while that is open and when it is completed", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", content_hash: "same" });
    expect(machine.submit({ task_id: "b", content_hash: "same" })).toMatchObject({
      task_id: "a",
      cached: true,
    });
    machine.grant("w", 1);
    machine.complete("a.1", "w");
    const again = machine.submit({ task_id: "c", content_hash: "same" });
    expect(again).toMatchObject({ task_id: "a", cached: true, status: "completed" });
    expect(machine.coordinator.task("b")).toBeUndefined();
  });

  test("the content of a failed task is a new task", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", content_hash: "same" });
    machine.grant("w", 1);
    machine.fail("a.1", "w", false);
    expect(machine.submit({ task_id: "b", content_hash: "same" })).toMatchObject({
      task_id: "b",
      cached: false,
    });
    expect(machine.submit({ task_id: "c", content_hash: "same" })).toMatchObject({
      task_id: "b",
      cached: true,
    });
  });

  test("the same task id again is the same task and not a cached one", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a" });
    machine.time += 3_600_000;
    expect(machine.submit({ task_id: "a" })).toMatchObject({ task_id: "a", cached: false });
    expect(machine.coordinator.counts.tasks.pending).toBe(1);
  });
});

describe("retries", () => {
  test("a retryable failure spends an attempt and the task waits, each time twice as long, up to a minute", () => {
    const pauses = Array.from({ length: 10 }, (_, at) => backoff("some-task", at + 1));
    pauses.forEach((pause, at) => {
      const base = Math.min(60_000, 1_000 * 2 ** at);
      expect(pause).toBeGreaterThanOrEqual(base * 0.8);
      expect(pause).toBeLessThanOrEqual(base * 1.2);
    });
    expect(new Set(["a", "b", "c", "d"].map((task_id) => backoff(task_id, 1))).size).toBe(4);

    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    expect(machine.fail("a.1", "w")).toMatchObject({ type: "attempt-ended", status: "pending" });
    const due = machine.time + backoff("a", 1);
    expect(machine.task("a")).toMatchObject({
      attempts_spent: 1,
      not_before: due,
      error: "prover: out of memory",
    });
    expect(machine.coordinator.nextDue).toBe(due);
    machine.time = due - 1;
    expect(machine.grant("w", 1)).toEqual([]);
    machine.time = due;
    expect(machine.grant("w", 1)).toEqual(["a.2"]);
  });

  test("a task fails with its last error when its attempts are spent", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", max_attempts: 2 });
    machine.grant("w", 1);
    machine.apply({ type: "reject-proof", lease_id: "a.1", worker_id: "w", reason: "pairing check failed" });
    machine.time += 60_000;
    machine.grant("w", 1);
    expect(machine.fail("a.2", "w")).toMatchObject({ status: "failed" });
    expect(machine.task("a")).toMatchObject({
      status: "failed",
      error: "prover: out of memory",
      completed_at: machine.time,
      worker_id: "w",
    });
    machine.time += 3_600_000;
    expect(machine.grant("w", 1)).toEqual([]);
  });

  test("a failure that is not retryable ends the task at once", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    expect(machine.fail("a.1", "w", false)).toMatchObject({ status: "failed" });
  });

  test("a released lease spends nothing and the task can be had at once, by the same worker too", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    for (let grant = 1; grant <= 100; grant++) {
      expect(machine.grant("w", 1)).toEqual([`a.${grant}`]);
      machine.apply({ type: "release-lease", lease_id: `a.${grant}`, worker_id: "w" });
    }
    const task = machine.task("a");
    expect(task).toMatchObject({ status: "pending", attempts_spent: 0, losses: 0, grants: 100 });
    expect(task.attempts.length).toBe(64);
    expect(task.worker_id).toBeUndefined();
    expect(task.started_at).toBeUndefined();
    expect(machine.coordinator.counts.assignments_failed).toBe(0);
  });

  test("the tenth worker lost with a task ends it, and the error says so", () => {
    const machine = new Machine();
    machine.submit({ task_id: "killer" });
    machine.register("w", { boot_id: "boot-1" });
    for (let boot = 1; boot <= 10; boot++) {
      expect(machine.task("killer").status).toBe("pending");
      expect(machine.grant("w", 1, `boot-${boot}`)).toEqual([`killer.${boot}`]);
      machine.register("w", { boot_id: `boot-${boot + 1}` });
    }
    const task = machine.task("killer");
    expect(task).toMatchObject({ status: "failed", attempts_spent: 0, losses: 10 });
    expect(task.error).toMatch(/10 workers were lost/);
  });
});
