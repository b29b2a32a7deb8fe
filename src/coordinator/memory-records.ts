/**
 * Records in memory alone, rebuilt from the log at every start.
 */
import { hasEnded } from "./attempts.ts";
import type { TaskRecord } from "./records.ts";
import type { Records, RecordTypes, Table } from "./tables.ts";

type Tables = { readonly [T in Table]: Map<string, RecordTypes[T]> };

export function createMemoryRecords(): Records {
  const tables: Tables = {
    tasks: new Map(),
    inputs: new Map(),
    workers: new Map(),
    events: new Map(),
    content: new Map(),
    keys: new Map(),
    key_order: new Map(),
    ended: new Map(),
    operations: new Map(),
    operation_order: new Map(),
    system_events: new Map(),
    commands: new Map(),
    members: new Map(),
    locations: new Map(),
    meta: new Map(),
  };
  const arrivals: { readonly sequence: number; readonly task_id: string }[] = [];

  /** Position of the first arrival that is not before `sequence`. */
  function position(sequence: number): number {
    let low = 0;
    let high = arrivals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((arrivals[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function table<T extends Table>(name: T): Map<string, RecordTypes[T]> {
    return tables[name] as Map<string, RecordTypes[T]>;
  }

  function put<T extends Table>(name: T, key: string, record: RecordTypes[T]): void {
    if (name === "tasks" && !tables.tasks.has(key)) {
      const { sequence } = record as TaskRecord;
      arrivals.splice(position(sequence), 0, { sequence, task_id: key });
    }
    table(name).set(key, record);
  }

  return {
    get: (name, key) => table(name).get(key),
    foresee() {},
    put,
    add: put,
    delete(name, key) {
      const sequence = name === "tasks" ? tables.tasks.get(key)?.sequence : undefined;
      if (sequence !== undefined) arrivals.splice(position(sequence), 1);
      tables[name].delete(key);
    },
    live: (name) => table(name).entries(),
    *openTasks() {
      for (const task of tables.tasks.values()) if (!hasEnded(task.status)) yield task;
    },
    arrivals(after, limit) {
      const first = position(after + 1);
      return arrivals.slice(first, first + limit);
    },
    *newestTasks(before = Number.POSITIVE_INFINITY) {
      for (let at = position(before) - 1; at >= 0; at--) {
        const { sequence, task_id } = arrivals[at] as (typeof arrivals)[number];
        yield { sequence, task: tables.tasks.get(task_id) };
      }
    },
  };
}
