/** What happens to a task from outside its leases: delays, deadlines, cancelling, retrying by hand. */
import { describe, expect, test } from "vitest";
import { backoff } from "../../src/coordinator/attempts.ts";
import { createLiveness, type Outcome } from "../../src/coordinator/index.ts";
import { Machine, START, taskOf } from "./machine.ts";

const cancel = (machine: Machine, task_id: string): Outcome =>
  machine.apply({ type: "cancel-task", task_id }).outcome;
const retry = (machine: Machine, task_id: string): Outcome =>
  machine.apply({ type: "retry-task", task_id }).outcome;
const advance = (machine: Machine, limit = 100): Outcome =>
  machine.apply({ type: "advance-tasks", limit }).outcome;

describe("a delayed task", () => {
  test("is scheduled, is not handed out before its time, and is pending from then on", () => {
    const machine = new Machine();
    machine.register("w");
    expect(machine.submit({ task_id: "a", delay_ms: 5_000 })).toMatchObject({ status: "scheduled" });
    expect(machine.task("a")).toMatchObject({ status: "scheduled", not_before: START + 5_000 });
    expect(machine.task("a")).not.toHaveProperty("delay_ms");
    expect(machine.coordinator.nextAdvance).toBe(START + 5_000);
    machine.time += 4_999;
    advance(machine);
    expect(machine.grant("w", 1)).toEqual([]);
    expect(machine.task("a").status).toBe("scheduled");
    machine.time += 1;
    advance(machine);
    expect(machine.task("a").status).toBe("pending");
    expect(machine.coordinator.nextAdvance).toBeUndefined();
    expect(machine.grant("w", 1)).toEqual(["a.1"]);
  });

  test("is handed out when it is due, also where nobody has called it pending yet", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", delay_ms: 5_000 });
    machine.time += 5_000;
    expect(machine.coordinator.grantable("w", "boot-1", 1, machine.time)).toBe("yes");
    expect(machine.grant("w", 1)).toEqual(["a.1"]);
    expect(machine.coordinator.nextAdvance).toBeUndefined();
  });

  test("of no time at all is pending at once", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", delay_ms: 0 });
    expect(machine.task("a").status).toBe("pending");
    expect(machine.task("a").not_before).toBeUndefined();
  });

  test("counts as waiting: the same content again is the same task", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", delay_ms: 5_000, content_hash: "same" });
    const again = machine.submit({ task_id: "b", content_hash: "same" });
    expect(again).toMatchObject({ task_id: "a", cached: true, status: "scheduled" });
    expect(machine.coordinator.counts.tasks.scheduled).toBe(1);
  });
});

describe("a deadline", () => {
  function withDeadline(): Machine {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", deadline: START + 1_000 });
    return machine;
  }

  test("that passes ends the task as expired, whether it waits or is worked on", () => {
    const machine = withDeadline();
    machine.submit({ task_id: "b", deadline: START + 1_000, priority: 1 });
    machine.grant("w", 1);
    machine.time += 999;
    advance(machine);
    expect([machine.task("a").status, machine.task("b").status]).toEqual(["pending", "assigned"]);
    machine.time += 1;
    advance(machine);
    for (const task_id of ["a", "b"]) {
      expect(machine.task(task_id)).toMatchObject({
        status: "expired",
        completed_at: START + 1_000,
        error: "expired: no proof before 2026-01-01T00:00:01.000Z",
      });
    }
    expect(machine.task("b").attempts).toMatchObject([{ outcome: "expired", ended_at: START + 1_000 }]);
    expect(machine.task("b")).toMatchObject({ attempts_spent: 0, losses: 0 });
    expect(machine.coordinator.counts.capacity.used).toBe(0);
  });

  test("that has passed keeps a task from being handed out, before anybody has called it expired", () => {
    const machine = withDeadline();
    machine.time += 1_000;
    expect(machine.coordinator.grantable("w", "boot-1", 1, machine.time)).toBe("wait");
    expect(machine.grant("w", 1)).toEqual([]);
  });

  test("does not refuse a proof that comes before the task is called expired, and refuses it after", () => {
    const machine = withDeadline();
    machine.submit({ task_id: "b", deadline: START + 1_000 });
    machine.grant("w", 2);
    machine.time += 2_000;
    expect(machine.complete("a.1", "w")).toMatchObject({ type: "completed" });
    advance(machine);
    expect(machine.task("a").status).toBe("completed");
    expect(machine.complete("b.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
  });

  test("is met in slices: the earliest first, as many as one command may change", () => {
    const machine = new Machine();
    for (const [task_id, ms] of [
      ["late", 30],
      ["early", 10],
      ["middle", 20],
    ] as const)
      machine.submit({ task_id, deadline: START + ms });
    machine.time += 1_000;
    advance(machine, 2);
    expect(machine.coordinator.counts.tasks).toMatchObject({ expired: 2, pending: 1 });
    expect(machine.task("late").status).toBe("pending");
    advance(machine, 2);
    expect(machine.task("late").status).toBe("expired");
  });

  test("of what has ended counts no more", () => {
    const machine = withDeadline();
    machine.grant("w", 1);
    machine.complete("a.1", "w");
    expect(machine.coordinator.nextAdvance).toBeUndefined();
  });

  test("that has passed frees the content for a new task", () => {
    const machine = withDeadline();
    machine.time += 1_000;
    advance(machine);
    const { content_hash } = taskOf({ task_id: "a" });
    expect(machine.submit({ task_id: "b", content_hash })).toMatchObject({ task_id: "b", cached: false });
  });
});

describe("cancelling", () => {
  test("ends a task that waits, and again changes nothing", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.submit({ task_id: "b", delay_ms: 1_000 });
    for (const task_id of ["a", "b", "a"]) {
      expect(cancel(machine, task_id)).toEqual({ type: "task-changed", task_id, status: "cancelled" });
    }
    machine.time += 60_000;
    expect(machine.task("a").completed_at).toBe(START);
    expect(machine.grant("w", 2)).toEqual([]);
    expect(machine.coordinator.counts.tasks).toMatchObject({ cancelled: 2, pending: 0, scheduled: 0 });
    expect(machine.coordinator.counts.backlog.tasks).toBe(0);
  });

  test("takes a task from its prover, whom the next heartbeat tells to stop, and frees the slot", () => {
    const machine = new Machine();
    machine.register("w", { slots: 1 });
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    const liveness = createLiveness({ coordinator: machine.coordinator, lease_ms: 30_000, now: START });
    const beat = { worker_id: "w", boot_id: "boot-1", leases: [{ lease_id: "a.1" }] };
    const heard = liveness.heartbeat(beat, START);
    if ("type" in heard) throw new Error(heard.detail);
    for (const body of heard.propose) machine.apply(body);
    expect(machine.task("a").status).toBe("in_progress");
    cancel(machine, "a");
    expect(machine.task("a").attempts).toMatchObject([{ outcome: "cancelled", ended_at: START }]);
    expect(machine.coordinator.counts.capacity).toEqual({ total: 1, used: 0, available: 1 });
    expect(liveness.heartbeat(beat, START)).toMatchObject({
      result: { leases: [{ lease_id: "a.1", directive: "cancel" }], missing: [] },
      propose: [],
    });
    expect(machine.complete("a.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
    expect(machine.fail("a.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
  });

  test("is refused for what has ended otherwise, and for what is unknown", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    machine.complete("a.1", "w");
    expect(cancel(machine, "a")).toMatchObject({ type: "refused", code: "task-conflict" });
    expect(machine.task("a").status).toBe("completed");
    expect(cancel(machine, "nobody")).toMatchObject({ type: "refused", code: "task-not-found" });
  });
});

describe("retrying by hand", () => {
  function failed(max_attempts = 1): Machine {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "a", max_attempts, content_hash: "same" });
    machine.grant("w", 1);
    machine.fail("a.1", "w", false);
    expect(machine.task("a").status).toBe("failed");
    return machine;
  }

  test("lets a failed task wait again at once, with one more attempt where all were spent", () => {
    const machine = failed();
    expect(retry(machine, "a")).toEqual({ type: "task-changed", task_id: "a", status: "pending" });
    expect(machine.task("a")).toMatchObject({ attempts_spent: 1, max_attempts: 2, created_at: START });
    for (const gone of ["completed_at", "started_at", "worker_id", "not_before"])
      expect(machine.task("a")).not.toHaveProperty(gone);
    expect(machine.grant("w", 1)).toEqual(["a.2"]);
    expect(machine.complete("a.2", "w")).toMatchObject({ type: "completed" });
    expect(machine.task("a").attempts).toMatchObject([{ outcome: "failed" }, { outcome: "completed" }]);
  });

  test("leaves the attempts that there still are", () => {
    const machine = failed(4);
    retry(machine, "a");
    expect(machine.task("a")).toMatchObject({ attempts_spent: 1, max_attempts: 4 });
  });

  test("again, while it may be handed out, changes nothing", () => {
    const machine = failed();
    retry(machine, "a");
    const before = machine.task("a");
    expect(retry(machine, "a")).toMatchObject({ type: "task-changed", status: "pending" });
    expect(machine.task("a")).toBe(before);
  });

  test("ends a delay and a backoff", () => {
    const machine = new Machine();
    machine.register("w");
    machine.submit({ task_id: "delayed", delay_ms: 60_000 });
    machine.submit({ task_id: "backing-off" });
    machine.grant("w", 1);
    machine.fail("backing-off.1", "w");
    expect(machine.task("backing-off").not_before).toBe(START + backoff("backing-off", 1));
    retry(machine, "delayed");
    retry(machine, "backing-off");
    expect(machine.grant("w", 2)).toEqual(["delayed.1", "backing-off.2"]);
  });

  test("lets a cancelled and an expired task wait again; a deadline that has passed counts no more", () => {
    const machine = new Machine();
    machine.submit({ task_id: "a", deadline: START + 10 });
    machine.submit({ task_id: "b", deadline: START + 60_000 });
    cancel(machine, "b");
    machine.time += 10;
    advance(machine);
    for (const task_id of ["a", "b"]) {
      retry(machine, task_id);
      expect(machine.task(task_id).status).toBe("pending");
    }
    expect(machine.task("a")).not.toHaveProperty("deadline");
    expect(machine.coordinator.nextAdvance).toBe(START + 60_000);
  });

  test("gives a task that lost ten workers as many once more", () => {
    const machine = new Machine();
    machine.submit({ task_id: "killer" });
    machine.register("w", { boot_id: "boot-0" });
    let boot = 0;
    const loseWorkers = () => {
      for (; machine.task("killer").status === "pending"; boot++) {
        machine.grant("w", 1, `boot-${boot}`);
        machine.register("w", { boot_id: `boot-${boot + 1}` });
      }
    };
    loseWorkers();
    expect(machine.task("killer")).toMatchObject({ status: "failed", losses: 10 });
    retry(machine, "killer");
    loseWorkers();
    expect(machine.task("killer")).toMatchObject({ status: "failed", losses: 20 });
  });

  test("holds the content again, so that submitting it is no second task", () => {
    const machine = failed();
    retry(machine, "a");
    expect(machine.submit({ task_id: "b", content_hash: "same" })).toMatchObject({
      task_id: "a",
      cached: true,
    });
  });

  test("is refused while its content is another task's, for what is worked on, completed or unknown", () => {
    const machine = failed();
    machine.submit({ task_id: "b", content_hash: "same" });
    expect(retry(machine, "a")).toMatchObject({ type: "refused", code: "task-conflict" });
    expect(machine.task("a").status).toBe("failed");
    machine.grant("w", 1);
    expect(retry(machine, "b")).toMatchObject({ type: "refused", code: "task-conflict" });
    machine.complete("b.1", "w");
    expect(retry(machine, "b")).toMatchObject({ type: "refused", code: "task-conflict" });
    expect(retry(machine, "a")).toMatchObject({ type: "refused", code: "task-conflict" });
    expect(retry(machine, "nobody")).toMatchObject({ type: "refused", code: "task-not-found" });
  });

  test("needs room in the backlog like a submission", () => {
    const machine = failed();
    machine.submit({ task_id: "b" });
    const command = { v: 1, id: "r", type: "retry-task", task_id: "a" } as const;
    expect(machine.coordinator.noRoom(command, { tasks: 1, bytes: 1_000 })).toMatch(/1 are allowed/);
    expect(machine.coordinator.noRoom(command, { tasks: 2, bytes: 1_000 })).toBeUndefined();
  });
});
