import { describe, expect, it } from "vitest";
import { renderAttempt, renderTask, renderWorker } from "../../src/api/render.ts";
import type { TaskRecord } from "../../src/coordinator/records.ts";

const pending: TaskRecord = {
  v: 1,
  task_id: "5f0c6f6e-6a53-4f5c-9d0a-0a3c7f1f8b11",
  sequence: 4,
  circuit: "merkle",
  circuit_type: "merkle_proof",
  status: "pending",
  input: { leaves: ["0x5ec4e7"], leaf_index: 0 },
  blinding: "424242",
  content_hash: "c0ffee",
  public_inputs: ["1", "2", "3"],
  merkle_root: "0x01",
  priority: 0,
  max_attempts: 4,
  created_at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  attempts_spent: 0,
  losses: 0,
  grants: 0,
  attempts: [],
};

const completed: TaskRecord = {
  ...pending,
  status: "completed",
  started_at: pending.created_at + 10,
  completed_at: pending.created_at + 900,
  grants: 2,
  attempts_spent: 1,
  attempts: [
    {
      lease_id: "t.1",
      worker_id: "w1",
      boot_id: "b",
      granted_at: 1,
      ended_at: 2,
      outcome: "failed",
      error: "oops",
    },
    { lease_id: "t.2", worker_id: "w2", boot_id: "b", granted_at: 3, ended_at: 4, outcome: "completed" },
  ],
  proof: { pi_a: ["1", "2", "1"] },
  proof_digest: "d1",
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

  it("never shows its input, its blinding or the hashes of either", () => {
    for (const record of [pending, completed]) {
      const text = JSON.stringify([renderTask(record), record.attempts.map(renderAttempt)]);
      for (const secret of ["5ec4e7", "424242", "c0ffee", "boot_id", "d1"])
        expect(text).not.toContain(secret);
    }
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

  it("names the worker that holds it while nobody has completed it", () => {
    const held: TaskRecord = {
      ...pending,
      status: "assigned",
      grants: 1,
      attempts: [{ lease_id: "t.1", worker_id: "w9", boot_id: "b", granted_at: 1 }],
    };
    expect(renderTask(held)).toMatchObject({ worker_id: "w9", attempt: 1 });
  });

  it("numbers attempts by their grants, also when the oldest are forgotten", () => {
    const [, second] = completed.attempts;
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

describe("a worker from outside", () => {
  it("does not show which process it is", () => {
    const view = renderWorker({
      v: 1,
      worker_id: "w1",
      boot_id: "b-secret",
      state: "active",
      draining: false,
      max_concurrent_tasks: 2,
      circuits: ["merkle"],
      labels: { zone: "a" },
      registered_at: 0,
      leases: ["t.1"],
    });
    expect(view).toMatchObject({ worker_id: "w1", state: "active", leases: ["t.1"] });
    expect(JSON.stringify(view)).not.toContain("b-secret");
  });
});
