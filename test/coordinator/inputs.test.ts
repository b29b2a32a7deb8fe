/** Inputs that are too large to stay in memory as long as their task is open. */
import { describe, expect, test } from "vitest";
import { INPUT_BYTES_WITHIN } from "../../src/coordinator/state.ts";
import { Machine } from "./machine.ts";

const LARGE = { leaves: Array.from({ length: 100 }, (_, at) => `0x${at}`) };

function submitted(): Machine {
  const machine = new Machine();
  machine.register("w", { slots: 5 });
  machine.submit({ task_id: "large", input: LARGE, input_bytes: INPUT_BYTES_WITHIN + 1 });
  machine.submit({ task_id: "small", input_bytes: INPUT_BYTES_WITHIN });
  return machine;
}

describe("a large input", () => {
  test("is not in the record of its task, and comes with every lease", () => {
    const machine = submitted();
    expect([machine.task("large").input, machine.task("small").input]).toEqual([
      undefined,
      { leaves: ["small"], leaf_index: 0 },
    ]);
    const grant = { type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 5, nonce: "" } as const;
    expect(machine.apply(grant).outcome).toMatchObject({
      type: "granted",
      leases: [
        { task_id: "large", input: LARGE },
        { task_id: "small", input: { leaves: ["small"], leaf_index: 0 } },
      ],
    });
  });

  test("stays for a retry, and goes when its task is forgotten", () => {
    const machine = submitted();
    machine.apply({ type: "cancel-task", task_id: "large" });
    expect(machine.records.get("inputs", "large")).toEqual({ v: 1, input: LARGE });
    machine.apply({ type: "retry-task", task_id: "large" });
    expect(machine.coordinator.task("large")).toMatchObject({ status: "pending" });
    machine.apply({ type: "cancel-task", task_id: "large" });
    machine.time += 1_000;
    machine.apply({ type: "forget-tasks", ended_before: machine.time, limit: 10 });
    expect(machine.coordinator.task("large")).toBeUndefined();
    expect(Array.from(machine.records.live("inputs"))).toEqual([]);
  });
});
