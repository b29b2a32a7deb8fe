import { describe, expect, it } from "vitest";
import { renderAttempt, renderTask } from "../../src/api/render.ts";
import type { TaskView } from "../../src/coordinator/views.ts";

const pending: TaskView = {
  v: 1,
  task_id: "5f0c6f6e-6a53-4f5c-9d0a-0a3c7f1f8b11",
  sequence: 4,
  circuit: "merkle",
  circuit_type: "merkle_proof",
  status: "pending",
  public_inputs: ["1", "2", "3"],
  merkle_root: "0x01",
  priority: 0,
  max_attempts: 4,
  created_at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  attempts_spent: 0,
  losses: 0,
  grants: 0,
  history: [],
};

const completed: TaskView = {
  ...pending,
  status: "completed",
  started_at: pending.created_at + 10,
  completed_at: pending.created_at + 900,
  grants: 2,
  attempts_spent: 1,
  history: [
    {
      attempt: 1,
      worker_id: "w1",
      granted_at: 1,
      ended_at: 2,
      outcome: "failed",
      error: "oops",
    },
    { attempt: 2, worker_id: "w2", granted_at: 3, ended_at: 4, outcome: "completed" },
  ],
  proof: { pi_a: ["1", "2", "1"] },
  worker_id: "w2",
  error: "oops",
};

describe("a task from outside", () => {
  it("shows its fields in the contract's order and leaves out what it has not got", () => {
    expect(Object.keys(renderTask(pending))).toEqual([
      "task_id",
      "status",
      "circuit_type",
      "merkle_root",
      "public_inputs",
      "created_at",
      "circuit",
      "priority",
      "max_attempts",
      "attempts_spent",
      "losses",
    ]);
    expect(Object.keys(renderTask(completed)).slice(0, 12)).toEqual([
      "task_id",
      "status",
      "circuit_type",
      "proof",
      "merkle_root",
      "public_inputs",
      "error",
      "attempt",
      "worker_id",
      "created_at",
      "started_at",
      "completed_at",
    ]);
  });

  it("has exactly one key named status", () => {
    expect(JSON.stringify(renderTask(completed)).match(/"status":/g)).toHaveLength(1);
  });

  it("gives times in RFC 3339 with milliseconds", () => {
    expect(renderTask(completed)).toMatchObject({
      created_at: "2026-01-02T03:04:05.006Z",
      started_at: "2026-01-02T03:04:05.016Z",
      completed_at: "2026-01-02T03:04:05.906Z",
    });
  });

  it("has attempts with the numbers of their grants", () => {
    const [, second] = completed.history;
    expect.assert(second !== undefined);
    expect(renderAttempt(second)).toEqual({
      attempt: 2,
      worker_id: "w2",
      granted_at: "1970-01-01T00:00:00.003Z",
      ended_at: "1970-01-01T00:00:00.004Z",
      outcome: "completed",
    });
  });
});
