/**
 * What becomes of a lease: the table of `complete`, its repeats, and the other ends. Liveness is tested elsewhere.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Machine } from "./machine.ts";

let machine: Machine;

beforeEach(() => {
  machine = new Machine();
  machine.register("w");
  machine.register("v");
  machine.submit({ task_id: "a" });
  machine.grant("w", 1);
});

const reject = (lease_id: string, worker_id: string) =>
  machine.apply({ type: "reject-proof", lease_id, worker_id, reason: "wrong" }).outcome;
const release = (lease_id: string, worker_id: string) =>
  machine.apply({ type: "release-lease", lease_id, worker_id }).outcome;

/** The first lease ends, and the second is held by the other worker. */
function passOn(): void {
  release("a.1", "w");
  expect(machine.grant("v", 1)).toEqual(["a.2"]);
}

describe("a lease", () => {
  test("is assigned when granted and in progress once a heartbeat listed it", () => {
    expect(machine.task("a")).toMatchObject({ status: "assigned", started_at: machine.time, worker_id: "w" });
    machine.time += 5;
    machine.apply({ type: "start-leases", lease_ids: ["a.1", "a.7", "nonsense"] });
    expect(machine.task("a").status).toBe("in_progress");
    expect(machine.task("a").attempts[0]?.started_at).toBe(machine.time);
  });

  test("carries what a prover needs", () => {
    machine.submit({ task_id: "b", max_runtime_ms: 500 });
    const { outcome } = machine.apply({
      type: "grant-leases",
      worker_id: "v",
      boot_id: "boot-1",
      max: 1,
      nonce: "",
    });
    expect(outcome).toEqual({
      type: "granted",
      leases: [
        {
          lease_id: "b.1",
          task_id: "b",
          attempt: 1,
          circuit: "merkle",
          input: { leaves: ["b"], leaf_index: 0 },
          blinding: "7",
          public_inputs: ["1", "2", "3"],
          granted_at: machine.time,
          max_runtime_ms: 500,
        },
      ],
    });
  });

  test.each([
    "",
    ".",
    "a",
    "a.",
    "a.0",
    "a.2",
    "a.01",
    "a.1e0",
    "a.1.",
    "a.1.0000000000000000",
    "a.-1",
    "a. 1",
    "a.99999999999999999999",
    "__proto__.1",
    ".1",
  ])("by the name %j is unknown", (lease_id) => {
    expect(machine.coordinator.lease(lease_id)).toBeUndefined();
    expect(machine.complete(lease_id, "w")).toMatchObject({ type: "refused", code: "lease-unknown" });
  });
});

describe("the id of a lease", () => {
  const [nonce, other] = ["00000000000000a1", "1234567890123456"];
  const [secret, guessed] = [`b.1.${nonce}`, `b.1.${other}`];

  beforeEach(() => {
    machine.submit({ task_id: "b" });
    expect(machine.grant("v", 1, "boot-1", nonce)).toEqual([secret]);
  });

  test("ends with what its grant brought along, and nothing shorter or else will do", () => {
    const before = machine.task("b");
    for (const lease_id of ["b.1", guessed, "b.1.", `${secret}0`, `b.2.${nonce}`]) {
      for (const refused of [
        machine.complete(lease_id, "v"),
        machine.fail(lease_id, "v", false),
        reject(lease_id, "v"),
        release(lease_id, "v"),
      ]) {
        expect(refused).toMatchObject({ type: "refused", code: "lease-unknown" });
      }
    }
    expect(machine.task("b")).toBe(before);
    expect(machine.complete(secret, "v")).toMatchObject({ type: "completed", duplicate: false });
  });

  test("is shown to everybody without that", () => {
    expect(machine.coordinator.worker("v")?.leases).toEqual(["b.1"]);
    expect(JSON.stringify(machine.coordinator.workers())).not.toContain(nonce);
  });

  test("stays the same when the grant is repeated, and is another for the next one", () => {
    const body = { type: "grant-leases", worker_id: "w", boot_id: "boot-1", max: 1 } as const;
    machine.submit({ task_id: "c" });
    const first = machine.apply({ ...body, nonce }, "id").outcome;
    expect(machine.apply({ ...body, nonce: other }, "id").outcome).toEqual(first);
    release(secret, "v");
    expect(machine.grant("v", 1, "boot-1", other)).toEqual([`b.2.${other}`]);
  });
});

describe("complete", () => {
  test("of the current lease completes the task with the proof", () => {
    machine.time += 9;
    expect(machine.complete("a.1", "w")).toEqual({
      type: "completed",
      task_id: "a",
      duplicate: false,
      accepted_late: false,
      leases: [],
    });
    expect(machine.task("a")).toMatchObject({
      status: "completed",
      proof: { of: "proof of a.1" },
      completed_at: machine.time,
      worker_id: "w",
      attempts: [{ outcome: "completed", ended_at: machine.time }],
    });
    expect(machine.coordinator.counts.capacity.used).toBe(0);
  });

  test("by another worker than the owner changes nothing", () => {
    const before = machine.task("a");
    for (const refused of [
      machine.complete("a.1", "v"),
      machine.fail("a.1", "v"),
      reject("a.1", "v"),
      release("a.1", "v"),
    ]) {
      expect(refused).toMatchObject({ type: "refused", code: "lease-superseded" });
    }
    expect(machine.task("a")).toBe(before);
  });

  test("repeated with the same proof is a duplicate, with another one a mismatch", () => {
    machine.complete("a.1", "w", { digest: "p" });
    const before = machine.task("a");
    expect(machine.complete("a.1", "w", { digest: "p" })).toMatchObject({
      type: "completed",
      duplicate: true,
    });
    expect(machine.complete("a.1", "w", { digest: "q" })).toMatchObject({
      type: "refused",
      code: "proof-mismatch",
    });
    expect(reject("a.1", "w")).toMatchObject({ type: "refused", code: "proof-mismatch" });
    expect(machine.task("a")).toBe(before);
  });

  test("from an old lease while the task is open is accepted late and supersedes the holder", () => {
    passOn();
    expect(machine.complete("a.1", "w")).toMatchObject({
      type: "completed",
      accepted_late: true,
      duplicate: false,
    });
    expect(machine.task("a")).toMatchObject({
      status: "completed",
      worker_id: "w",
      attempts: [{ outcome: "completed", earlier_outcome: "released" }, { outcome: "superseded" }],
    });
    expect(machine.leases("v")).toEqual([]);
    expect(machine.complete("a.2", "v")).toMatchObject({ type: "refused", code: "lease-superseded" });
    expect(machine.complete("a.1", "w")).toMatchObject({ duplicate: true, accepted_late: true });
  });

  test("from an old lease while the task waits takes it out of the queue", () => {
    release("a.1", "w");
    expect(machine.complete("a.1", "w")).toMatchObject({ accepted_late: true });
    expect(machine.grant("v", 1)).toEqual([]);
  });

  test("of a task that another lease completed, or that failed, is superseded", () => {
    passOn();
    machine.complete("a.2", "v");
    expect(machine.complete("a.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
    machine.submit({ task_id: "b" });
    machine.grant("w", 1);
    machine.fail("b.1", "w", false);
    expect(machine.complete("b.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
    expect(machine.task("b").status).toBe("failed");
  });

  test("grants what comes next to the same worker, also when it is a duplicate whose first answer was lost", () => {
    machine.submit({ task_id: "b" });
    machine.submit({ task_id: "c" });
    machine.submit({ task_id: "d" });
    expect(machine.complete("a.1", "w", { next_max: 2 })).toMatchObject({
      leases: [{ lease_id: "b.1" }, { lease_id: "c.1" }],
    });
    expect(machine.complete("a.1", "w", { next_max: 2 })).toMatchObject({
      duplicate: true,
      leases: [{ lease_id: "b.1" }, { lease_id: "c.1" }],
    });
    expect(machine.leases("w")).toEqual(["b.1", "c.1"]);
  });

  test("by an older process of a worker brings no next lease", () => {
    machine.submit({ task_id: "b" });
    machine.register("w", { boot_id: "boot-2" });
    expect(machine.complete("a.1", "w", { next_max: 1 })).toMatchObject({ accepted_late: true, leases: [] });
  });

  test("brings no lease, new or granted before, to whoever cannot name the worker's process", () => {
    machine.register("w", { slots: 3 });
    machine.submit({ task_id: "b" });
    machine.grant("w", 1);
    machine.submit({ task_id: "c" });
    for (const next_boot_id of ["boot-0", ""]) {
      const stranger = { next_max: 5, next_boot_id };
      expect(machine.complete("a.1", "w", stranger)).toMatchObject({ type: "completed", leases: [] });
    }
    expect(machine.leases("w")).toEqual(["b.1"]);
    expect(machine.task("c").status).toBe("pending");
    const own = machine.complete("a.1", "w", { next_max: 5 });
    expect(own).toMatchObject({ duplicate: true, leases: [{ lease_id: "b.1" }, { lease_id: "c.1" }] });
  });
});

describe("an invalid proof", () => {
  test("spends the attempt of a current lease and nothing of an old one", () => {
    passOn();
    expect(reject("a.1", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
    expect(machine.task("a").attempts_spent).toBe(0);
    expect(reject("a.2", "v")).toMatchObject({
      type: "attempt-ended",
      attempt: { outcome: "proof-invalid" },
    });
    expect(machine.task("a").attempts_spent).toBe(1);
    expect(reject("a.2", "v")).toMatchObject({ type: "refused", code: "lease-superseded" });
    expect(machine.task("a").attempts_spent).toBe(1);
  });
});

describe("failing and releasing", () => {
  test("again gives the same answer and spends nothing more", () => {
    const first = machine.fail("a.1", "w");
    expect(machine.fail("a.1", "w")).toEqual(first);
    expect(machine.task("a").attempts_spent).toBe(1);
    machine.time += 60_000;
    machine.grant("w", 1);
    const released = release("a.2", "w");
    expect(release("a.2", "w")).toEqual(released);
    expect(machine.fail("a.2", "w")).toMatchObject({ type: "refused", code: "lease-superseded" });
  });

  test("keeps no more of an error than a thousand characters", () => {
    machine.apply({
      type: "fail-lease",
      lease_id: "a.1",
      worker_id: "w",
      error_code: "prover",
      message: "x".repeat(1_000_000),
      retryable: true,
    });
    expect(machine.task("a").error).toHaveLength(1_000);
  });
});

describe("an expired lease", () => {
  test("that ran too long spends an attempt, one that is missing does not", () => {
    machine.apply({ type: "expire-lease", lease_id: "a.1", reason: "missing" });
    expect(machine.task("a")).toMatchObject({ status: "pending", attempts_spent: 0, losses: 1 });
    machine.grant("v", 1);
    machine.apply({ type: "expire-lease", lease_id: "a.2", reason: "timed-out" });
    expect(machine.task("a")).toMatchObject({ status: "pending", attempts_spent: 1, losses: 1 });
  });

  test("that is no longer current stays as it was", () => {
    passOn();
    const before = machine.task("a");
    machine.apply({ type: "expire-lease", lease_id: "a.1", reason: "missing" });
    machine.apply({ type: "expire-lease", lease_id: "unknown.1", reason: "timed-out" });
    expect(machine.task("a")).toBe(before);
  });
});
