/**
 * The same commands give the same answers and the same records, however often and wherever the machine is built anew
 * from its records, and those that `takeChanges` names are all that changed. Records come back as JSON, in another
 * order, and tasks that have ended are not among the live ones: as from tables.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createMemoryRecords, type Records, type Table } from "../../src/coordinator/index.ts";
import { histories, take } from "./histories.ts";
import { contents, type Entry, Machine, TABLES } from "./machine.ts";

const ENDED = new Set(["completed", "failed", "cancelled", "expired"]);

/** What a start finds in the tables. */
function asStored(stored: Records): Records {
  const records = createMemoryRecords();
  for (const table of TABLES)
    for (const [key, record] of stored.live(table)) records.put(table, key, copy(record));
  return {
    ...records,
    openTasks: () => Array.from(records.openTasks()).reverse(),
    live<T extends Table>(table: T) {
      const all = Array.from(records.live(table)).reverse();
      if (table !== "tasks") return all;
      return all.filter(([, record]) => "status" in record && !ENDED.has(String(record.status)));
    },
  };
}

function copy<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

function checkpoint(machine: Machine, tables: Records): void {
  const named = machine.coordinator.takeChanges();
  expect(new Set(named.map(({ table, key }) => `${table} ${key}`)).size).toBe(named.length);
  for (const { table, key } of named) {
    const record = machine.records.get(table, key);
    if (record === undefined) tables.delete(table, key);
    else tables.put(table, key, copy(record));
  }
}

/** Applies the log with checkpoints and restarts where the plan says so. */
function replay(log: readonly Entry[], plan: readonly ("go on" | "checkpoint" | "restart")[]) {
  const tables = createMemoryRecords();
  let machine = new Machine();
  const answers = log.map(({ command, place }, at) => {
    const answer = copy(machine.coordinator.apply(command, place));
    const next = plan[at % plan.length];
    if (next !== "go on") checkpoint(machine, tables);
    if (next === "restart") machine = new Machine(asStored(tables));
    return answer;
  });
  checkpoint(machine, tables);
  return { answers, tables, machine };
}

const plans = fc.array(fc.constantFrom("go on", "go on", "checkpoint", "restart"), {
  minLength: 1,
  maxLength: 40,
});

test("the same commands give the same state, whatever is checkpointed and restarted in between", () => {
  fc.assert(
    fc.property(histories(150), plans, (steps, plan) => {
      const machine = new Machine();
      const answers = steps.map((step) => copy(take(machine, step)));
      machine.coordinator.takeChanges();
      const other = replay(machine.log, plan);
      expect(other.answers).toEqual(answers);
      expect(contents(other.tables)).toBe(contents(machine.records));
      expect(other.machine.coordinator.counts.tasks).toEqual(machine.coordinator.counts.tasks);
      expect(other.machine.coordinator.counts.workers).toEqual(machine.coordinator.counts.workers);
      expect(other.machine.coordinator.counts.capacity).toEqual(machine.coordinator.counts.capacity);
      expect(other.machine.coordinator.workers()).toEqual(machine.coordinator.workers());
      const now = machine.time;
      expect(other.machine.coordinator.overdueLeases(now)).toEqual(machine.coordinator.overdueLeases(now));
      expect(other.machine.coordinator.nextOverdue(now)).toEqual(machine.coordinator.nextOverdue(now));
      expect(other.machine.coordinator.firstEnded).toEqual(machine.coordinator.firstEnded);
      expect(other.machine.coordinator.nextAdvance).toEqual(machine.coordinator.nextAdvance);
    }),
    { numRuns: 200 },
  );
});

test("asking changes nothing: a machine that is asked all the time ends as one that is not", () => {
  fc.assert(
    fc.property(histories(100), fc.integer({ min: -5_000, max: 90_000 }), (steps, ahead) => {
      const machine = new Machine();
      const answers = steps.map((step) => copy(take(machine, step)));
      const asked = new Machine();
      const others = machine.log.map(({ command, place }) => {
        const { coordinator } = asked;
        for (const { worker_id, boot_id } of coordinator.workerRecords()) {
          coordinator.grantable(worker_id, boot_id, 3, place.time + ahead);
        }
        coordinator.query({ type: "workers", limit: 5 });
        coordinator.query({ type: "tasks", limit: 5 });
        coordinator.overdueLeases(place.time + ahead);
        return copy(coordinator.apply(command, place));
      });
      expect(others).toEqual(answers);
      machine.coordinator.takeChanges();
      asked.coordinator.takeChanges();
      expect(contents(asked.records)).toBe(contents(machine.records));
    }),
    { numRuns: 100 },
  );
});
