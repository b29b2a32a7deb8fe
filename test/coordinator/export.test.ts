/**
 * A machine's export is the state after one entry, however much goes on while it is read; an empty machine that takes it
 * in has what the other had. What is wrong with a line is refused, and changes nothing.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FROZEN_CHANGES_MAX } from "../../src/coordinator/frozen.ts";
import { IMPORT_PAUSE_MS } from "../../src/coordinator/import.ts";
import type { Coordinator, Export, ExportLine, Outcome, TaskRecord } from "../../src/coordinator/index.ts";
import { histories, take } from "./histories.ts";
import { contents, Machine, putOperation } from "./machine.ts";

const EXPORT_ID = "2f1c1f0e-6f0a-4b43-9f2e-0c4a0a8c8f01";
const OTHER_ID = "7d0a5f3c-2b8e-4f56-8a39-5d1e6a7b9c02";

function exported(coordinator: Coordinator, applied_index = 1, export_id = EXPORT_ID): Export {
  return coordinator.export({ export_id, cluster_id: "test", applied_index });
}

function read(from: Export, characters = Number.POSITIVE_INFINITY, between: () => void = () => {}): string {
  let text = "";
  for (;;) {
    const piece = from.next(characters);
    if (piece === undefined) throw new Error("the export was lost");
    text += piece.text;
    if (piece.done) return text;
    between();
  }
}

function linesOf(text: string): readonly ExportLine[] {
  expect(text.endsWith("\n")).toBe(true);
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line) as ExportLine);
}

function takeIn(machine: Machine, lines: readonly ExportLine[], from = 1, export_id = EXPORT_ID): Outcome {
  let outcome: Outcome = { type: "done" };
  for (const [nth, item] of lines.entries()) {
    outcome = machine.apply({ type: "import-line", export_id, line: from + nth, item }).outcome;
    if (outcome.type === "refused") return outcome;
  }
  return outcome;
}

function kindsOf(lines: readonly ExportLine[]): readonly string[] {
  return lines.map(({ type }) => type);
}

/** What a restored group has of a line: other places in the log, and nobody holds a lease. */
function restored(line: ExportLine): unknown {
  switch (line.type) {
    case "export":
      return { ...line, applied_time: 0 };
    case "event":
      return { ...line.record, log_index: 0 };
    case "operation":
      return { ...line.record, log_index: 0, term: 0 };
    case "task":
      return released(line.record);
    default:
      return line;
  }
}

function released(task: TaskRecord): TaskRecord {
  if (task.status !== "assigned" && task.status !== "in_progress") return task;
  const { started_at: _s, worker_id: _w, ...rest } = task;
  const attempts = task.attempts.map((one) =>
    one.outcome === undefined ? { ...one, outcome: "released" as const, ended_at: 0 } : one,
  );
  return { ...rest, status: "pending", attempts };
}

function small(): Machine {
  const machine = new Machine();
  machine.register("w0", { slots: 3 });
  for (const task_id of ["done", "held", "open", "failed"]) machine.submit({ task_id, max_attempts: 1 });
  const [lease = "", second = "", third = ""] = machine.grant("w0", 3);
  machine.complete(lease, "w0");
  machine.fail(third, "w0");
  expect(second).not.toBe("");
  for (const number of [1, 2, 3])
    machine.apply({ type: "append-event", kind: "Noted", body: `{"Critical":{"Noted":{"n":${number}}}}` });
  machine.apply(putOperation("first", { payload: '{"big":9007199254740993}' }));
  machine.apply(putOperation("late", { not_after: 0 }));
  return machine;
}

describe("an export", () => {
  test("is the state after one entry, whatever happens while it is read", () => {
    fc.assert(
      fc.property(
        histories(120),
        histories(80),
        fc.integer({ min: 1, max: 2_000 }),
        (before, after, size) => {
          const machine = new Machine();
          for (const step of before) take(machine, step);
          const whole = read(exported(machine.coordinator));
          const slow = exported(machine.coordinator);
          const steps = after.values();
          const text = read(slow, size, () => {
            const { value } = steps.next();
            if (value !== undefined) take(machine, value);
          });
          expect(text).toBe(whole);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("begins by saying of what it is, holds every kind in order, and says at its end how long it is", () => {
    const lines = linesOf(read(exported(small().coordinator, 77)));
    const kinds = ["export", "event", "event", "event", "operation", "operation"];
    expect(kindsOf(lines)).toEqual([...kinds, "task", "task", "task", "task", "worker", "end"]);
    expect(lines[0]).toMatchObject({ export_id: EXPORT_ID, applied_index: 77, events_forgotten: 0, v: 1 });
    expect(lines.at(-1)).toEqual({ type: "end", lines: lines.length });
    const [task] = lines.flatMap((line) => (line.type === "task" ? line.record : []));
    expect(task).toMatchObject({
      task_id: "done",
      blinding: "7",
      input: { leaf_index: 0 },
      status: "completed",
    });
  });

  test("is lost, and says so, when far more has changed than may be kept for it", () => {
    const machine = new Machine();
    machine.submit({ task_id: "first" });
    const slow = exported(machine.coordinator);
    expect(slow.next(1)?.done).toBe(false);
    for (let number = 0; number <= FROZEN_CHANGES_MAX; number++)
      machine.apply({ type: "append-event", kind: "Noted", body: "{}" });
    expect(slow.next(1)).toBeUndefined();
  });
});

describe("an import", () => {
  test("makes of an empty machine what the other was, and goes on from there like any other", () => {
    fc.assert(
      fc.property(histories(150), histories(40), (before, after) => {
        const machine = new Machine();
        for (const step of before) take(machine, step);
        const lines = linesOf(read(exported(machine.coordinator)));
        const other = new Machine();
        other.time = machine.time;
        const outcome = takeIn(other, lines);
        expect(outcome).toEqual({ type: "imported", lines: lines.length, done: true });
        const again = linesOf(read(exported(other.coordinator)));
        const ended = (line: unknown) =>
          JSON.parse(JSON.stringify(line), (key, value) => (key === "ended_at" ? 0 : value)) as unknown;
        expect(again.map((line) => ended(restored(line)))).toEqual(
          lines.map((line) => ended(restored(line))),
        );
        for (const step of after) take(other, step);
        // Built anew in the middle of it all, it is the same.
        const replayed = new Machine();
        for (const { command, place } of other.log) replayed.coordinator.apply(command, place);
        other.coordinator.takeChanges();
        replayed.coordinator.takeChanges();
        expect(contents(replayed.records)).toBe(contents(other.records));
      }),
      { numRuns: 100 },
    );
  });

  test("takes each line in once and in order: repeats change nothing, and a gap is refused", () => {
    const lines = linesOf(read(exported(small().coordinator)));
    const machine = new Machine();
    expect(takeIn(machine, lines.slice(1, 2), 2)).toMatchObject({ type: "refused", code: "import-gap" });
    expect(takeIn(machine, lines.slice(0, 4))).toEqual({ type: "imported", lines: 4, done: false });
    expect(takeIn(machine, lines.slice(5, 6), 6)).toMatchObject({ type: "refused", code: "import-gap" });
    const between = takeIn(machine, lines.slice(0, 1));
    expect(between).toEqual({ type: "imported", lines: 4, done: false });
    expect(takeIn(machine, lines)).toEqual({ type: "imported", lines: lines.length, done: true });
    expect(takeIn(machine, lines)).toEqual({ type: "imported", lines: lines.length, done: true });
    expect(machine.coordinator.eventCount).toBe(3);
    expect(machine.tasks()).toHaveLength(4);
  });

  test("leaves nobody with a lease, but takes the proof of whoever held one", () => {
    const source = small();
    const lines = linesOf(read(exported(source.coordinator)));
    const machine = new Machine();
    takeIn(machine, lines);
    expect(machine.task("held")).toMatchObject({ status: "pending", losses: 0, attempts_spent: 0 });
    expect(machine.leases("w0")).toEqual([]);
    const [lease = ""] = source.leases("w0");
    expect(machine.complete(lease, "w0")).toMatchObject({ type: "completed", accepted_late: true });
    expect(machine.task("held").status).toBe("completed");
    // The same content is still the same task.
    const again = machine.submit({ task_id: "another", content_hash: "content of done" });
    expect(again).toMatchObject({ task_id: "done", cached: true });
  });

  test("goes only into a machine in which nobody has put anything; workers may have registered", () => {
    const lines = linesOf(read(exported(small().coordinator)));
    const fillings: readonly ((machine: Machine) => void)[] = [
      (machine) => machine.submit({ task_id: "a" }),
      (machine) => machine.apply({ type: "append-event", kind: "Noted", body: "{}" }),
      (machine) => machine.apply(putOperation("one")),
    ];
    for (const fill of fillings) {
      const machine = new Machine();
      fill(machine);
      expect(takeIn(machine, lines)).toMatchObject({ type: "refused", code: "group-not-empty" });
    }
    const machine = new Machine();
    machine.register("w0", { boot_id: "newer" });
    expect(takeIn(machine, lines)).toMatchObject({ done: true });
    expect(machine.coordinator.workerRecord("w0")?.boot_id).toBe("newer");
    const second = lines.map((line) => (line.type === "export" ? { ...line, export_id: OTHER_ID } : line));
    expect(takeIn(machine, second, 1, OTHER_ID)).toMatchObject({ code: "group-not-empty" });
  });

  test("keeps out whoever would put something in between, until it is done or nothing came for a while", () => {
    const lines = linesOf(read(exported(small().coordinator)));
    const machine = new Machine();
    takeIn(machine, lines.slice(0, 5));
    const waits = { type: "refused", code: "import-in-progress" };
    expect(machine.submit({ task_id: "new" })).toMatchObject(waits);
    expect(machine.apply(putOperation("new")).outcome).toMatchObject(waits);
    machine.time += IMPORT_PAUSE_MS - 1;
    takeIn(machine, lines.slice(5, 6), 6);
    machine.time += IMPORT_PAUSE_MS - 1;
    expect(machine.submit({ task_id: "new" })).toMatchObject(waits);
    machine.time += 1;
    expect(machine.submit({ task_id: "new" })).toMatchObject({ type: "submitted" });
    expect(takeIn(machine, lines.slice(6), 7)).toMatchObject({ type: "refused", code: "group-not-empty" });
    const done = new Machine();
    takeIn(done, lines);
    expect(done.submit({ task_id: "new" })).toMatchObject({ type: "submitted" });
  });

  test("refuses a line that contradicts itself or what was taken in before, and nothing has changed then", () => {
    const lines = linesOf(read(exported(small().coordinator)));
    const wrong: readonly ((line: ExportLine) => unknown)[] = [
      (line) => line.type === "event" && { ...line, record: { ...line.record, seq: line.record.seq + 1 } },
      (line) => line.type === "operation" && { ...line, record: { ...line.record, payload: undefined } },
      (line) => line.type === "task" && { ...line, record: { ...line.record, sequence: 0 } },
      (line) =>
        line.type === "task" && { ...line, record: { ...line.record, status: "assigned", attempts: [] } },
      (line) =>
        line.type === "task" &&
        line.record.status === "completed" && {
          ...line,
          record: { ...line.record, completed_at: undefined },
        },
      (line) =>
        line.type === "task" &&
        line.record.attempts.length > 0 && {
          ...line,
          record: { ...line.record, attempts: [{ ...line.record.attempts[0], lease_id: "another.1" }] },
        },
      (line) => line.type === "end" && { ...line, lines: line.lines + 1 },
      (line) => line.type === "worker" && lines[0],
    ];
    for (const mistake of wrong) {
      const at = lines.findIndex((line) => mistake(line) !== false);
      const machine = new Machine();
      takeIn(machine, lines.slice(0, at));
      machine.coordinator.takeChanges();
      const before = contents(machine.records);
      const line = mistake(lines[at] as ExportLine) as ExportLine;
      expect(takeIn(machine, [line], at + 1)).toMatchObject({ type: "refused", code: "import-invalid" });
      machine.coordinator.takeChanges();
      const counters = (text: string) => text.split("\n").filter((one) => !one.startsWith("meta "));
      expect(counters(contents(machine.records))).toEqual(counters(before));
      expect(takeIn(machine, lines.slice(at), at + 1)).toMatchObject({ done: true });
    }
  });
});
