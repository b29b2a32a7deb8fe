import { describe, expect, test } from "vitest";
import { ELSEWHERE_MS } from "../../src/coordinator/heads.ts";
import { type CommandBody, createMemoryRecords, type Records } from "../../src/coordinator/index.ts";
import { PRIORITY_STEP_MS, WaitingQueue } from "../../src/coordinator/queue.ts";
import { Machine } from "./machine.ts";

describe("a grant", () => {
  test("serves the highest priority first and equal ones in the order of arrival", () => {
    const machine = new Machine();
    machine.register("w", { slots: 5 });
    machine.submit({ task_id: "a" });
    machine.submit({ task_id: "b", priority: 5 });
    machine.submit({ task_id: "c", priority: -5 });
    machine.submit({ task_id: "d", priority: 5 });
    expect(machine.grant("w", 3)).toEqual(["b.1", "d.1", "a.1"]);
    expect(machine.grant("w", 2)).toEqual(["c.1"]);
  });

  test("looks only at circuits that the worker has", () => {
    const machine = new Machine();
    machine.register("w", { slots: 5, circuits: ["range", "merkle"] });
    machine.register("none", { circuits: [] });
    machine.submit({ task_id: "a", circuit: "semaphore", priority: 9 });
    machine.submit({ task_id: "b", circuit: "range" });
    machine.submit({ task_id: "c", circuit: "merkle", priority: 1 });
    expect(machine.grant("none", 5)).toEqual([]);
    expect(machine.grant("w", 5)).toEqual(["c.1", "b.1"]);
  });

  test("never gives more than the free slots, whatever is asked for", () => {
    const machine = new Machine();
    machine.register("w", { slots: 2 });
    for (let task = 0; task < 9; task++) machine.submit({ task_id: `t${task}` });
    expect(machine.grant("w", 1_000_000)).toHaveLength(2);
    expect(machine.coordinator.counts.capacity).toEqual({ total: 2, used: 2, available: 0 });
    machine.apply({ type: "start-leases", lease_ids: ["t0.1", "t1.1"] });
    for (const max of [1, 0, -1, Number.NaN]) expect(machine.grant("w", max)).toEqual([]);
  });

  test("hands out again what the worker cannot know of: leases that no heartbeat listed", () => {
    const machine = new Machine();
    machine.register("w", { slots: 3 });
    for (const task_id of ["a", "b", "c", "d"]) machine.submit({ task_id });
    machine.grant("w", 1);
    machine.apply({ type: "start-leases", lease_ids: ["a.1"] });
    machine.time += 1;
    machine.grant("w", 1);
    // It believes that two slots are free, we count one.
    expect(machine.grant("w", 2)).toEqual(["b.1", "c.1"]);
    expect(machine.leases("w")).toEqual(["a.1", "b.1", "c.1"]);
    expect(machine.task("b").grants).toBe(1);
  });

  test("hands out again the newest of them: the worker is likely to be at work on the others", () => {
    const machine = new Machine();
    machine.register("w", { slots: 3 });
    for (const task_id of ["a", "b", "c"]) {
      machine.submit({ task_id });
      machine.grant("w", 1);
      machine.time += 1;
    }
    expect(machine.grant("w", 1)).toEqual(["c.1"]);
    expect(machine.grant("w", 2)).toEqual(["b.1", "c.1"]);
  });

  test("hands out again in the order of the first grants: older ones first, of the same age by priority", () => {
    const machine = new Machine();
    machine.register("w", { slots: 3 });
    machine.submit({ task_id: "old" });
    machine.grant("w", 1);
    machine.time += 1;
    machine.submit({ task_id: "low" });
    machine.submit({ task_id: "high", priority: 9 });
    expect(machine.grant("w", 2)).toEqual(["high.1", "low.1"]);
    expect(machine.grant("w", 3)).toEqual(["old.1", "high.1", "low.1"]);
    machine.coordinator.takeChanges();
    const again = new Machine(machine.records);
    expect(again.leases("w")).toEqual(["old.1", "high.1", "low.1"]);
  });

  test("says the same again under the same command id", () => {
    const machine = new Machine();
    machine.register("w", { slots: 2 });
    machine.submit({ task_id: "a" });
    const body = { type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 1, nonce: "" } as const;
    const first = machine.apply(body, "pull-1");
    machine.submit({ task_id: "b" });
    expect(machine.apply(body, "pull-1")).toEqual(first);
    expect(machine.leases("w")).toEqual(["a.1"]);
  });

  test("is refused to a worker that is unknown, dead or an older process", () => {
    const machine = new Machine();
    const ask = () =>
      machine.apply({ type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 1, nonce: "" }).outcome;
    expect(ask()).toMatchObject({ type: "refused", code: "worker-unknown" });
    machine.register("w", { boot_id: "boot-2" });
    expect(ask()).toMatchObject({ type: "refused", code: "boot-superseded" });
    machine.register("w");
    machine.apply({ type: "set-worker-state", worker_id: "w", boot_id: "boot-1", state: "dead" });
    expect(ask()).toMatchObject({ type: "refused", code: "worker-unknown" });
  });

  test("makes a suspect active, for asking is a sign of life", () => {
    const machine = new Machine();
    machine.register("w");
    machine.apply({ type: "set-worker-state", worker_id: "w", boot_id: "boot-1", state: "suspect" });
    machine.grant("w", 1);
    expect(machine.coordinator.worker("w")?.state).toBe("active");
  });

  test("gives nothing to a worker that drains, which keeps what it has", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.submit({ task_id: "b" });
    machine.grant("w", 1);
    machine.apply({ type: "drain-worker", worker_id: "w" });
    expect(machine.grant("w", 2)).toEqual([]);
    expect(machine.leases("w")).toEqual(["a.1"]);
    expect(machine.coordinator.counts.capacity).toEqual({ total: 1, used: 1, available: 0 });
    expect(machine.complete("a.1", "w", { next_max: 2 })).toMatchObject({ type: "completed", leases: [] });
  });
});

describe("a retry", () => {
  function failed(others: (machine: Machine) => void): Machine {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    machine.fail("a.1", "w");
    others(machine);
    machine.time = machine.task("a").not_before ?? 0;
    return machine;
  }

  test("goes to another worker that could take it", () => {
    const machine = failed((it) => it.register("v"));
    machine.submit({ task_id: "b" });
    expect(machine.grant("w", 1)).toEqual(["b.1"]);
    expect(machine.coordinator.grantable("w", "boot-1", 1, machine.time)).toBe("wait");
    expect(machine.grant("v", 1)).toEqual(["a.2"]);
  });

  test("is not kept for others longer than a bounded time", () => {
    const machine = failed((it) => it.register("v"));
    machine.time += ELSEWHERE_MS - 1;
    expect(machine.grant("w", 1)).toEqual([]);
    machine.time += 1;
    expect(machine.grant("w", 1)).toEqual(["a.2"]);
  });

  test.each<[string, (machine: Machine) => void]>([
    ["there is no other", () => {}],
    ["the other has not the circuit", (it) => it.register("v", { circuits: ["range"] })],
    ["the other has no slot", (it) => it.register("v", { slots: 0 })],
    [
      "the other drains",
      (it) => {
        it.register("v");
        it.apply({ type: "drain-worker", worker_id: "v" });
      },
    ],
    [
      "the other is suspect",
      (it) => {
        it.register("v");
        it.apply({ type: "set-worker-state", worker_id: "v", boot_id: "boot-1", state: "suspect" });
      },
    ],
  ])("goes to the same worker when %s", (_why, others) => {
    const machine = failed(others);
    expect(machine.grant("w", 1)).toEqual(["a.2"]);
  });

  test("goes to either when both have failed it", () => {
    const machine = failed((it) => it.register("v"));
    machine.grant("v", 1);
    machine.fail("a.2", "v");
    machine.time = machine.task("a").not_before ?? 0;
    expect(machine.grant("v", 1)).toEqual(["a.3"]);
  });
});

test("time never runs backwards, though the clock of a new leader may be behind", () => {
  const machine = new Machine();
  machine.register("w");
  machine.submit({ task_id: "a" });
  machine.grant("w", 1);
  machine.fail("a.1", "w");
  const due = machine.task("a").not_before ?? 0;
  machine.time = due;
  machine.submit({ task_id: "b" });
  machine.time = due - 60_000;
  expect(machine.grant("w", 2)).toEqual(["a.2", "b.1"]);
  expect(machine.task("a").attempts[1]?.granted_at).toBe(due);
});

test("a queue does not keep what was taken out of it, however many tasks come and go", () => {
  const queue = new WaitingQueue(2);
  const machine = new Machine();
  for (let at = 0; at < 20_000; at++) {
    machine.submit({ task_id: `t${at}`, circuit: at % 2 === 0 ? "merkle" : "range" });
    const task = machine.task(`t${at}`);
    queue.add(at % 3 === 0 ? { ...task, not_before: at + 1_000 } : task, 0);
    if (at >= 10) queue.remove(`t${at - 10}`);
    expect(queue.size).toBeLessThanOrEqual(10 + 10 + 1_024 + 1);
  }
});

test("no command touches more records the more tasks wait, leases run or workers there are", () => {
  let touched = 0;
  const records = createMemoryRecords();
  const counting: Records = {
    ...records,
    get: (table, key) => {
      touched++;
      return records.get(table, key);
    },
    put: (table, key, record) => {
      touched++;
      records.put(table, key, record);
    },
  };
  const machine = new Machine(counting);
  const limited = <Result>(act: () => Result): Result => {
    touched = 0;
    const result = act();
    expect(touched).toBeLessThanOrEqual(16);
    return result;
  };
  const workers = Array.from({ length: 500 }, (_, at) => `w${at}`);
  for (const worker_id of workers) limited(() => machine.register(worker_id));
  for (let at = 0; at < 5_000; at++) limited(() => machine.submit({ task_id: `t${at}` }));
  for (const worker_id of workers) {
    const [lease_id = ""] = limited(() => machine.grant(worker_id, 1));
    limited(() => machine.apply({ type: "start-leases", lease_ids: [lease_id] }));
    if (Number(worker_id.slice(1)) % 2 === 0) limited(() => machine.fail(lease_id, worker_id));
    else limited(() => machine.complete(lease_id, worker_id, { next_max: 1 }));
    limited(() => machine.coordinator.grantable(worker_id, "boot-1", 1, machine.time));
  }
});

test("a task that is asked for too early by a leader with a fast clock is still not granted early", () => {
  const machine = new Machine();
  machine.register("w");
  machine.submit({ task_id: "a" });
  machine.grant("w", 1);
  machine.fail("a.1", "w");
  expect(machine.coordinator.grantable("w", "boot-1", 1, machine.time + 3_600_000)).toBe("yes");
  expect(machine.grant("w", 1)).toEqual([]);
  machine.time = machine.task("a").not_before ?? 0;
  expect(machine.grant("w", 1)).toEqual(["a.2"]);
});

describe("waiting makes up for priority", () => {
  test("one point is worth a minute: the higher goes first up to that and not beyond it", () => {
    const machine = new Machine();
    machine.register("w", { slots: 9 });
    machine.submit({ task_id: "old", priority: -100 });
    machine.time += 200 * PRIORITY_STEP_MS - 1;
    machine.submit({ task_id: "in time", priority: 100 });
    machine.time += 1;
    machine.submit({ task_id: "equal", priority: 100 });
    machine.time += 1;
    machine.submit({ task_id: "late", priority: 100 });
    expect(machine.grant("w", 9)).toEqual(["in time.1", "old.1", "equal.1", "late.1"]);
  });

  test("so a lowest one is served although higher ones never stop coming", () => {
    const machine = new Machine();
    machine.register("w", { slots: 1 });
    machine.submit({ task_id: "lowest", priority: -100 });
    const began = machine.time;
    for (let at = 0; machine.task("lowest").status === "pending"; at++) {
      machine.submit({ task_id: `a${at}`, priority: 100 });
      machine.submit({ task_id: `b${at}`, priority: 100 });
      const [lease_id = ""] = machine.grant("w", 1);
      machine.complete(lease_id, "w");
      machine.time += 10 * PRIORITY_STEP_MS;
      if (machine.time - began > 10 ** 9) throw new Error("it starves");
    }
    // Twice as many come as are served: what came before its bound is served before it.
    expect(machine.time - began).toBeLessThanOrEqual(2 * 200 * PRIORITY_STEP_MS + 10 * PRIORITY_STEP_MS);
  });
});

describe("a log from before waiting made up for priority", () => {
  const minutes = (count: number) => count * PRIORITY_STEP_MS;

  /** As version 1 wrote it: grants that meant something else. */
  function old(machine: Machine): void {
    machine.submit({ task_id: "old" });
    machine.time += minutes(60);
    machine.submit({ task_id: "new", priority: 1 });
    machine.submit({ task_id: "newer", priority: 1 });
  }
  const grant = (machine: Machine, v: 1 | 2) =>
    machine.apply({
      v,
      type: "grant-leases",
      worker_id: "w",
      boot_id: "boot-1",
      max: 1,
      nonce: "",
    } as CommandBody).outcome;

  test("replays to the leases that were granted then, and the first new grant changes the rules for good", () => {
    const machine = new Machine();
    machine.register("w", { slots: 9 });
    old(machine);
    expect(grant(machine, 1)).toMatchObject({ leases: [{ task_id: "new" }] });
    machine.submit({ task_id: "newest", priority: 1 });
    expect(grant(machine, 2)).toMatchObject({ leases: [{ task_id: "old" }] });
    old(machine);
    machine.coordinator.takeChanges();
    const again = new Machine(machine.records);
    again.time = machine.time + minutes(60);
    again.log.push(...machine.log);
    again.submit({ task_id: "last", priority: 9 });
    expect(grant(again, 1)).toMatchObject({ leases: [{ task_id: "newer" }] });
  });
});
