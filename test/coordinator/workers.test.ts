import { describe, expect, test } from "vitest";
import { WORKERS_MAX } from "../../src/coordinator/apply-workers.ts";
import { Machine } from "./machine.ts";

function withLease(): Machine {
  const machine = new Machine();
  machine.register("w");
  machine.submit({ task_id: "a" });
  machine.grant("w", 1);
  return machine;
}

const setState = (machine: Machine, state: "active" | "suspect" | "dead", boot_id = "boot-1") =>
  machine.apply({ type: "set-worker-state", worker_id: "w", boot_id, state });

describe("registering", () => {
  test("again with the same boot id changes what is told anew and lists the leases", () => {
    const machine = withLease();
    machine.apply({ type: "drain-worker", worker_id: "w" });
    expect(machine.register("w", { slots: 7 })).toMatchObject({
      type: "registered",
      created: false,
      leases: [{ lease_id: "a.1", input: { leaves: ["a"] } }],
    });
    expect(machine.coordinator.worker("w")).toMatchObject({
      max_concurrent_tasks: 7,
      draining: true,
      leases: ["a.1"],
    });
  });

  test("with a new boot id gives back the leases of the old one, which spends no attempt but counts as a loss", () => {
    const machine = withLease();
    machine.apply({ type: "drain-worker", worker_id: "w" });
    expect(machine.register("w", { boot_id: "boot-2" })).toMatchObject({ created: false, leases: [] });
    expect(machine.task("a")).toMatchObject({ status: "pending", attempts_spent: 0, losses: 1 });
    expect(machine.coordinator.worker("w")).toMatchObject({ draining: false, leases: [] });
    expect(machine.coordinator.workerRecord("w")?.boot_id).toBe("boot-2");
  });

  test("makes the dead and the suspect active", () => {
    const machine = new Machine();
    machine.register("w");
    for (const state of ["suspect", "dead"] as const) {
      setState(machine, state);
      machine.register("w");
      expect(machine.coordinator.worker("w")?.state).toBe("active");
    }
  });

  test("with fewer slots than leases takes none away and is never over capacity afterwards", () => {
    const machine = new Machine();
    machine.register("w", { slots: 3 });
    for (const task_id of ["a", "b", "c", "d"]) machine.submit({ task_id });
    machine.grant("w", 3);
    machine.register("w", { slots: 1 });
    expect(machine.leases("w")).toHaveLength(3);
    expect(machine.coordinator.counts.capacity).toEqual({ total: 3, used: 3, available: 0 });
    machine.complete("a.1", "w");
    expect(machine.complete("b.1", "w", { next_max: 1 })).toMatchObject({ leases: [{ lease_id: "c.1" }] });
    expect(machine.task("d").status).toBe("pending");
  });
});

describe("a worker's state", () => {
  test("dead gives back all leases, as losses", () => {
    const machine = withLease();
    setState(machine, "suspect");
    expect(machine.leases("w")).toEqual(["a.1"]);
    expect(machine.coordinator.counts).toMatchObject({
      workers: { total: 1, active: 0, suspect: 1, dead: 0 },
      capacity: { total: 2, used: 1, available: 1 },
    });
    setState(machine, "dead");
    expect(machine.task("a")).toMatchObject({
      status: "pending",
      losses: 1,
      attempts: [{ outcome: "worker-lost" }],
    });
    expect(machine.coordinator.counts).toMatchObject({
      workers: { total: 1, active: 0, suspect: 0, dead: 1 },
      capacity: { total: 0, used: 0, available: 0 },
      assignments_failed: 1,
    });
  });

  test("is not changed by what was proposed about an older process", () => {
    const machine = withLease();
    machine.register("w", { boot_id: "boot-2" });
    setState(machine, "dead", "boot-1");
    expect(machine.coordinator.worker("w")?.state).toBe("active");
  });

  test("dead lasts until the worker registers", () => {
    const machine = withLease();
    setState(machine, "dead");
    setState(machine, "active");
    expect(machine.coordinator.worker("w")?.state).toBe("dead");
  });
});

test("removing a worker gives back its leases without counting a loss, and forgets it", () => {
  const machine = withLease();
  machine.apply({ type: "remove-worker", worker_id: "w" });
  expect(machine.task("a")).toMatchObject({
    status: "pending",
    losses: 0,
    attempts: [{ outcome: "released" }],
  });
  expect(machine.coordinator.workers()).toEqual([]);
  expect(machine.coordinator.counts).toMatchObject({ tasks_assigned: {}, tasks_assigned_before: 1 });
  for (const type of ["remove-worker", "drain-worker"] as const) {
    expect(machine.apply({ type, worker_id: "w" }).outcome).toMatchObject({ code: "worker-unknown" });
  }
  expect(machine.complete("a.1", "w")).toMatchObject({ type: "completed", accepted_late: true });
});

test("what was counted stays counted, whoever goes and however often the machine is built anew", () => {
  const machine = withLease();
  machine.apply({ type: "remove-worker", worker_id: "w" });
  machine.register("w");
  machine.grant("w", 1);
  machine.apply({ type: "drain-worker", worker_id: "nobody" }, "refused");
  machine.apply({ type: "drain-worker", worker_id: "nobody" }, "refused");
  machine.coordinator.takeChanges();
  for (const { coordinator } of [machine, new Machine(machine.records)]) {
    expect(coordinator.counts).toMatchObject({
      tasks_assigned: { w: 1 },
      tasks_assigned_before: 1,
      commands_refused: 1,
    });
  }
});

test("names that objects know already are names like others", () => {
  const machine = new Machine();
  machine.register("__proto__");
  machine.submit({ task_id: "constructor", content_hash: "__proto__" });
  expect(machine.grant("__proto__", 1)).toEqual(["constructor.1"]);
  expect(Object.entries(machine.coordinator.counts.tasks_assigned)).toEqual([["__proto__", 1]]);
  machine.coordinator.takeChanges();
  const again = new Machine(machine.records);
  expect(Object.entries(again.coordinator.counts.tasks_assigned)).toEqual([["__proto__", 1]]);
});

test("of more than ten thousand workers the dead are forgotten, never the others", () => {
  const machine = new Machine();
  const name = (at: number) => `w${String(at).padStart(5, "0")}`;
  for (let at = 0; at < WORKERS_MAX; at++) machine.register(name(at), { slots: 1 });
  for (let at = 0; at < 10; at++) {
    const body = { type: "set-worker-state", worker_id: name(at), boot_id: "boot-1", state: "dead" } as const;
    machine.apply(body);
  }
  machine.register("one more");
  expect(machine.coordinator.counts.workers).toEqual({
    total: WORKERS_MAX - 9,
    active: WORKERS_MAX - 9,
    suspect: 0,
    dead: 0,
  });
});
