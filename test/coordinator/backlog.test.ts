/** How much may wait: asked by whoever is about to append a submission, never by whoever applies one. */
import { beforeEach, describe, expect, test } from "vitest";
import type { ClientKey, SubmitTask } from "../../src/coordinator/index.ts";
import { Machine, taskOf } from "./machine.ts";

let machine: Machine;

beforeEach(() => {
  machine = new Machine();
  machine.register("w", { slots: 9 });
});

function submission(
  task_id: string,
  more: Partial<SubmitTask["task"]> = {},
  client_key?: ClientKey,
): SubmitTask {
  const task = taskOf({ task_id, input_bytes: 100, ...more });
  return { v: 1, id: `submit ${task_id}`, type: "submit-task", task, ...(client_key ? { client_key } : {}) };
}

function submit(command: SubmitTask): void {
  const { v: _, id, ...body } = command;
  machine.apply(body, id);
}

const noRoom = (command: SubmitTask, limits: { tasks?: number; bytes?: number }) =>
  machine.coordinator.noRoom(command, { tasks: 1_000, bytes: 1_000_000, ...limits });

describe("the backlog", () => {
  test("counts tasks until they end, whether they wait or are being proved", () => {
    for (const task_id of ["a", "b", "c"]) submit(submission(task_id));
    const [first = ""] = machine.grant("w", 2);
    expect(machine.coordinator.counts.backlog).toEqual({ tasks: 3, bytes: 300 });
    machine.complete(first, "w");
    expect(machine.coordinator.counts.backlog).toEqual({ tasks: 2, bytes: 200 });
    machine.fail("b.1", "w", false);
    expect(machine.coordinator.counts.backlog).toEqual({ tasks: 1, bytes: 100 });
    machine.coordinator.takeChanges();
    expect(new Machine(machine.records).coordinator.counts.backlog).toEqual({ tasks: 1, bytes: 100 });
  });

  test("has room until the limit, in number and in bytes, and says which one it is", () => {
    submit(submission("a"));
    submit(submission("b"));
    const next = submission("c");
    expect(noRoom(next, { tasks: 3 })).toBeUndefined();
    expect(noRoom(next, { tasks: 2 })).toMatch(/^2 tasks wait or are being proved, and 2 are allowed$/);
    expect(noRoom(next, { bytes: 300 })).toBeUndefined();
    expect(noRoom(next, { bytes: 299 })).toMatch(/have 200 bytes, this one has 100, and 299 are allowed$/);
  });

  test("has room for what is there already: the same content, the same key, the same command", () => {
    const key = { scope: "s", key: "k", digest: "d" };
    const first = submission("a", {}, key);
    submit(first);
    const full = { tasks: 1 };
    expect(noRoom(first, full)).toBeUndefined();
    expect(noRoom(submission("b", { content_hash: "content of a" }), full)).toBeUndefined();
    expect(noRoom(submission("b", {}, key), full)).toBeUndefined();
    expect(noRoom(submission("b"), full)).toBeDefined();
  });

  test("does not hold up anything but submissions", () => {
    submit(submission("a"));
    const drain = { v: 1, id: "d", type: "drain-worker", worker_id: "w" } as const;
    expect(machine.coordinator.noRoom(drain, { tasks: 0, bytes: 0 })).toBeUndefined();
  });

  test("does not decide what is applied", () => {
    submit(submission("a"));
    submit(submission("b"));
    expect(noRoom(submission("c"), { tasks: 0 })).toBeDefined();
    submit(submission("c"));
    expect(machine.task("c").status).toBe("pending");
  });
});
