/**
 * What holds after every command of any history: nobody is over capacity, attempts add up, what has ended stays as it
 * is, grants go to the right tasks, and in the end every lease ends and every task is decided.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { COMMAND_MS } from "../../src/coordinator/answers.ts";
import { ELSEWHERE_MS } from "../../src/coordinator/heads.ts";
import { createLiveness, type TaskRecord, type WorkerRecord } from "../../src/coordinator/index.ts";
import { PRIORITY_STEP_MS } from "../../src/coordinator/queue.ts";
import { OWED_MS_MAX, PRIORITY_RUN_MS } from "../../src/coordinator/shares.ts";
import { histories, take } from "./histories.ts";
import { leaseIds, leaseName, Machine } from "./machine.ts";

const LEADER_ONLY = ["start-leases", "expire-lease", "set-worker-state", "advance-tasks", "forget-tasks"];
const SPENDING = ["failed", "proof-invalid", "timed-out"];
const LOSING = ["worker-lost", "missing"];
const ENDED = ["completed", "failed", "cancelled", "expired"];
const LEASE_MS = 30_000;

function all(machine: Machine): readonly TaskRecord[] {
  return machine.tasks();
}

function holds(task: TaskRecord): boolean {
  return task.status === "assigned" || task.status === "in_progress";
}

function count(task: TaskRecord, outcomes: readonly string[]): number {
  return task.attempts.filter(({ outcome = "", earlier_outcome }) =>
    outcomes.includes(earlier_outcome ?? outcome),
  ).length;
}

function checkTask(task: TaskRecord): void {
  expect(task.attempts_spent).toBe(count(task, SPENDING));
  expect(task.losses).toBe(count(task, LOSING));
  expect(task.attempts_spent).toBeLessThanOrEqual(task.max_attempts);
  expect(task.losses).toBeLessThanOrEqual(task.losses_max ?? 10);
  expect(task.attempts.length).toBe(task.grants);
  expect(task.attempts.filter(({ outcome }) => outcome === undefined).length).toBe(holds(task) ? 1 : 0);
  expect(task.attempts.filter(({ outcome }) => outcome === "completed").length).toBe(
    task.status === "completed" ? 1 : 0,
  );
  expect(task.proof !== undefined).toBe(task.status === "completed");
  expect(task.completed_at !== undefined).toBe(ENDED.includes(task.status));
  if (task.status === "scheduled") expect(task.not_before).toBeGreaterThan(task.created_at);
  if (task.status === "expired")
    expect(task.completed_at).toBeGreaterThanOrEqual(task.deadline ?? Number.NaN);
}

function checkWorkers(machine: Machine): void {
  const { coordinator } = machine;
  const held = new Map<string, string[]>();
  for (const task of all(machine).filter(holds)) {
    const attempt = task.attempts.at(-1);
    const worker = coordinator.workerRecord(attempt?.worker_id ?? "");
    expect(worker?.boot_id).toBe(attempt?.boot_id);
    expect(worker?.state).not.toBe("dead");
    held.set(worker?.worker_id ?? "", [
      ...(held.get(worker?.worker_id ?? "") ?? []),
      leaseName(attempt?.lease_id ?? ""),
    ]);
  }
  let used = 0;
  for (const { worker_id, leases } of coordinator.workers()) {
    expect([...leases].sort()).toEqual((held.get(worker_id) ?? []).sort());
    used += leases.length;
  }
  const { capacity } = coordinator.counts;
  expect(capacity.used).toBe(used);
  expect(capacity.available).toBeGreaterThanOrEqual(0);
  expect(capacity.total).toBe(capacity.used + capacity.available);
}

function rank({ created_at, priority }: TaskRecord): number {
  return created_at - priority * PRIORITY_STEP_MS;
}

/** By looking at every task and every worker, what the next grant must hand out anew. */
function expectedGrant(machine: Machine, worker: WorkerRecord, max: number, now: number): readonly string[] {
  const { coordinator } = machine;
  const leases = (worker_id: string) =>
    all(machine).filter((task) => holds(task) && task.worker_id === worker_id).length;
  const free = Math.max(0, worker.max_concurrent_tasks - leases(worker.worker_id));
  const keptForOthers = (task: TaskRecord): boolean => {
    const failed = task.attempts
      .filter(({ outcome = "" }) => SPENDING.includes(outcome))
      .map((one) => one.worker_id);
    const since = Math.max(task.not_before ?? 0, task.attempts.at(-1)?.ended_at ?? 0);
    if (!failed.includes(worker.worker_id) || now >= since + ELSEWHERE_MS) return false;
    return coordinator
      .workers()
      .some(
        (other) =>
          !failed.includes(other.worker_id) &&
          other.state === "active" &&
          !other.draining &&
          other.circuits.includes(task.circuit) &&
          other.leases.length < other.max_concurrent_tasks,
      );
  };
  if (worker.draining) return [];
  const eligible = all(machine)
    .filter(({ status }) => status === "pending" || status === "scheduled")
    .filter(({ not_before = 0, deadline = now + 1 }) => not_before <= now && now < deadline)
    .filter((task) => worker.circuits.includes(task.circuit) && !keptForOthers(task))
    .sort((a, b) => rank(a) - rank(b) || a.sequence - b.sequence);
  return inTurn(machine, eligible)
    .slice(0, Math.max(0, Math.min(max, free)))
    .map(({ task_id, grants }) => `${task_id}.${grants + 1}`);
}

/** One after the other from the circuit that has been given least, as shares.ts promises it. */
function inTurn(machine: Machine, eligible: readonly TaskRecord[]): readonly TaskRecord[] {
  machine.coordinator.takeChanges();
  const shares = machine.records.get("meta", "meta")?.shares ?? {};
  const run = (circuit: string) => shares[circuit]?.run_ms ?? 1_000;
  const waiting = [...eligible];
  const served = new Map(waiting.map(({ circuit }) => [circuit, shares[circuit]?.served_ms ?? 0]));
  const chosen: TaskRecord[] = [];
  while (waiting.length > 0) {
    const heads = waiting.filter(
      ({ circuit }, at) => waiting.findIndex((one) => one.circuit === circuit) === at,
    );
    const latest = Math.max(...heads.map(({ circuit }) => (served.get(circuit) ?? 0) - run(circuit)));
    for (const { circuit } of heads)
      served.set(circuit, Math.max(served.get(circuit) ?? 0, latest - OWED_MS_MAX));
    const tag = ({ circuit, priority }: TaskRecord) =>
      (served.get(circuit) ?? 0) - priority * PRIORITY_RUN_MS;
    heads.sort(
      (a, b) =>
        tag(a) - tag(b) || run(a.circuit) - run(b.circuit) || rank(a) - rank(b) || a.sequence - b.sequence,
    );
    const [first] = heads;
    if (first === undefined) break;
    chosen.push(first);
    waiting.splice(waiting.indexOf(first), 1);
    served.set(first.circuit, (served.get(first.circuit) ?? 0) + run(first.circuit));
  }
  return chosen;
}

test("nobody is ever over capacity, attempts add up, and what has ended stays as it is", () => {
  fc.assert(
    fc.property(histories(120), (steps) => {
      const machine = new Machine();
      const seen = new Map<string, TaskRecord>();
      const submitted = new Set<string>();
      for (const step of steps) {
        const before = new Map(
          machine.coordinator.workers().map(({ worker_id, leases }) => [worker_id, leases.length]),
        );
        const { outcome, replayed } = take(machine, step);
        const applied = machine.log.at(-1)?.command.type ?? "nothing";
        const answered =
          outcome.type === "submitted" ? [outcome] : outcome.type === "batch-submitted" ? outcome.items : [];
        for (const { task_id } of answered) {
          // An answer that is given again may speak of a task that was forgotten since.
          const again = replayed || step.do === "repeat";
          if (!again || machine.coordinator.task(task_id) !== undefined) submitted.add(task_id);
        }
        for (const [task_id, { status }] of seen) {
          if (machine.coordinator.task(task_id) !== undefined) continue;
          expect([applied, ENDED.includes(status)]).toEqual(["forget-tasks", true]);
          seen.delete(task_id);
          submitted.delete(task_id);
        }
        for (const { worker_id, leases, max_concurrent_tasks } of machine.coordinator.workers()) {
          expect(leases.length).toBeLessThanOrEqual(
            Math.max(max_concurrent_tasks, before.get(worker_id) ?? 0),
          );
        }
        for (const task of all(machine)) {
          if (seen.get(task.task_id) === task) continue;
          // A record is replaced by a change: this one is new, so the task had not ended, or is retried by hand.
          const before = seen.get(task.task_id)?.status ?? "new";
          expect(before).not.toBe("completed");
          if (ENDED.includes(before))
            expect([["retry-task", "change-tasks"].includes(applied), task.status]).toEqual([
              true,
              "pending",
            ]);
          seen.set(task.task_id, task);
          checkTask(task);
        }
        checkWorkers(machine);
      }
      expect(new Set(all(machine).map(({ task_id }) => task_id))).toEqual(submitted);
    }),
    { numRuns: 150 },
  );
});

test("a grant hands out exactly the first tasks that are due, and grantable foretells whether it does", () => {
  let handed_out = 0;
  fc.assert(
    fc.property(histories(120), (steps) => {
      const machine = new Machine();
      for (const step of steps) {
        if (step.do !== "grant") {
          take(machine, step);
          continue;
        }
        const entered = new Set(machine.coordinator.workers().flatMap(({ leases }) => leases));
        const now = tick(machine, step.pause);
        const worker = machine.coordinator.workerRecord(`w${step.worker}`);
        const foretold =
          worker && machine.coordinator.grantable(worker.worker_id, worker.boot_id, step.max, now);
        const expected =
          worker && worker.state !== "dead" ? expectedGrant(machine, worker, step.max, now) : [];
        const { outcome } = take(machine, { ...step, pause: 0 });
        const granted = outcome.type === "granted" ? leaseIds(outcome.leases).map(leaseName) : [];
        expect(granted.filter((lease_id) => !entered.has(lease_id))).toEqual(expected);
        for (const lease_id of granted) expect(machine.leases(`w${step.worker}`)).toContain(lease_id);
        if (foretold === "yes" || foretold === "wait") expect(foretold === "yes").toBe(granted.length > 0);
        else expect(outcome.type).toBe("refused");
        handed_out += granted.length;
      }
    }),
    { numRuns: 300 },
  );
  expect(handed_out).toBeGreaterThan(200);
});

/** Lets time pass, and gives the time that the machine believes in afterwards. */
function tick(machine: Machine, pause: number): number {
  take(machine, { do: "event", pause, body: 0 });
  return machine.coordinator.events(machine.coordinator.eventCount - 1, 1)[0]?.time ?? 0;
}

test("when all workers fall silent every lease ends, and one good worker then decides every task", () => {
  fc.assert(
    fc.property(histories(80), (steps) => {
      const machine = new Machine();
      for (const step of steps) take(machine, step);
      const { coordinator } = machine;
      machine.time = tick(machine, 0);
      machine.apply({ type: "advance-tasks", limit: 500 });
      const liveness = createLiveness({ coordinator, lease_ms: LEASE_MS, now: machine.time });
      const silent_until = machine.time + 2 * LEASE_MS;
      for (let due = liveness.nextDue; due !== undefined; due = liveness.nextDue) {
        expect(due).toBeLessThanOrEqual(silent_until);
        machine.time = Math.max(machine.time, due);
        for (const body of liveness.due(machine.time)) machine.apply(body);
      }
      expect(coordinator.counts.capacity).toEqual({ total: 0, used: 0, available: 0 });
      expect(coordinator.counts.workers.dead).toBe(coordinator.counts.workers.total);

      machine.register("good", { slots: 3, circuits: ["merkle", "range"] });
      let next = machine.grant("good", 3);
      const { tasks } = coordinator.counts;
      while (tasks.pending + tasks.scheduled > 0 || next.length > 0) {
        if (next.length === 0) {
          const due = Math.min(coordinator.nextDue ?? Infinity, coordinator.nextAdvance ?? Infinity);
          expect(due).toBeLessThan(Infinity);
          machine.time = Math.max(machine.time, due);
          machine.apply({ type: "advance-tasks", limit: 500 });
          next = machine.grant("good", 3);
        }
        next = next.flatMap((lease_id) => {
          const outcome = machine.complete(lease_id, "good", { next_max: 1 });
          if (outcome.type !== "completed") throw new Error(JSON.stringify(outcome));
          return leaseIds(outcome.leases);
        });
      }
      for (const { status } of all(machine)) expect(ENDED).toContain(status);
    }),
    { numRuns: 150 },
  );
});

test("a command repeated under its id within a minute gives its first answer and changes nothing", () => {
  fc.assert(
    fc.property(histories(100), (steps) => {
      const machine = new Machine();
      const first = new Map<string, { readonly answer: unknown; readonly time: number }>();
      let now = 0;
      for (const step of steps) {
        const answer = take(machine, step);
        const { command, place } = machine.log.at(-1) ?? {};
        if (command === undefined || place === undefined) throw new Error("nothing was applied");
        now = Math.max(now, place.time);
        const known = first.get(command.id);
        const leader_only = LEADER_ONLY.includes(command.type);
        if (known === undefined || now - known.time > COMMAND_MS)
          first.set(command.id, { answer, time: now });
        else if (!leader_only) expect(answer).toEqual(known.answer);
      }
    }),
    { numRuns: 100 },
  );
});
