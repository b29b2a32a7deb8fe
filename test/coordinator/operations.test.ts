/**
 * Operations in the state machine: one result per id for as long as it is kept, and what makes an attempt fail.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Outcome, QueryAnswers } from "../../src/coordinator/index.ts";
import { FAILURE_MS, OPERATION_BYTES_MAX } from "../../src/coordinator/operations.ts";
import { PAGE_BYTES_MAX } from "../../src/coordinator/page.ts";
import { histories, type Step, take } from "./histories.ts";
import { Machine, putOperation } from "./machine.ts";

type Applied = Extract<Outcome, { readonly type: "operation-applied" }>;

function put(machine: Machine, ...what: Parameters<typeof putOperation>): Outcome {
  return machine.apply(putOperation(...what)).outcome;
}

function lookUp(machine: Machine, operation_id: string): QueryAnswers["operation"] {
  return machine.coordinator.query({ type: "operation", operation_id }) as QueryAnswers["operation"];
}

function list(machine: Machine, after = 0, limit = 500): QueryAnswers["operations"] {
  return machine.coordinator.query({ type: "operations", after, limit }) as QueryAnswers["operations"];
}

const kept = (machine: Machine) => Array.from(machine.records.live("operations"));

describe("an operation", () => {
  test("repeated under its id gives the first result, whatever else of it differs", () => {
    const machine = new Machine();
    const first = put(machine, "a", { payload: "[1]" });
    expect(first).toEqual({
      type: "operation-applied",
      operation_id: "a",
      state: "COMMITTED",
      log_index: 1,
      term: 1,
    });
    machine.apply({ type: "append-event", kind: "Kind", body: "{}" });
    expect(put(machine, "a", { payload: "[1]", ttl_ms: 5, not_after: 0 })).toEqual(first);
    expect(lookUp(machine, "a")).toMatchObject({ state: "COMMITTED", payload: "[1]", log_index: 1 });
  });

  test.each([{ payload: "[2]" }, { payload: "[1]", type: "other" }])(
    "repeated with %j is refused and changes nothing",
    (other) => {
      const machine = new Machine();
      put(machine, "a", { payload: "[1]" });
      const before = lookUp(machine, "a");
      expect(put(machine, "a", other)).toMatchObject({ type: "refused", code: "operation-id-reused" });
      expect(lookUp(machine, "a")).toEqual(before);
    },
  );

  test("is forgotten when its time is over, and its id is new then", () => {
    const machine = new Machine();
    put(machine, "a", { payload: "[1]", ttl_ms: 1_000 });
    machine.time += 999;
    expect(put(machine, "a", { payload: "[2]" })).toMatchObject({ type: "refused" });
    machine.time += 1;
    expect(put(machine, "a", { payload: "[2]" })).toMatchObject({ state: "COMMITTED", log_index: 3 });
    expect(list(machine).items.map(({ log_index }) => log_index)).toEqual([3]);
  });

  test("leaves nothing behind, also when one that is kept longer came before it", () => {
    const machine = new Machine();
    put(machine, "long", { ttl_ms: 10_000 });
    put(machine, "short", { ttl_ms: 10 });
    machine.time += 1_000;
    put(machine, "short", { payload: "[2]", ttl_ms: 10 });
    machine.time += 9_001;
    machine.apply({ type: "append-event", kind: "Kind", body: "{}" });
    expect(list(machine).items).toEqual([]);
    expect(kept(machine)).toEqual([]);
    expect(Array.from(machine.records.live("operation_order"))).toEqual([]);
  });

  test("whose entry comes too late for its sender fails, and the same id may be put again with anything", () => {
    const machine = new Machine();
    const late = put(machine, "a", { payload: "[1]", not_after: machine.time - 1 }) as Applied;
    expect(late).toMatchObject({ state: "FAILED", log_index: 1 });
    expect(late.error).toMatch(/1 ms after its time was over/);
    expect(lookUp(machine, "a")).toMatchObject({ state: "FAILED", error: late.error });
    expect(lookUp(machine, "a")?.payload).toBeUndefined();
    expect(machine.coordinator.counts.commands_refused).toBe(1);
    expect(put(machine, "a", { payload: "[2]", not_after: machine.time })).toMatchObject({
      state: "COMMITTED",
    });
    expect(list(machine).items).toMatchObject([{ operation_id: "a", state: "COMMITTED", log_index: 2 }]);
  });

  test("that failed is looked up for an hour", () => {
    const machine = new Machine();
    put(machine, "a", { not_after: 0, ttl_ms: 10 * FAILURE_MS });
    machine.time += FAILURE_MS - 1;
    put(machine, "other");
    expect(lookUp(machine, "a")?.state).toBe("FAILED");
    machine.time += 1;
    put(machine, "another");
    expect(lookUp(machine, "a")).toBeNull();
  });

  test("for which there is no room fails, and has room when others are forgotten", () => {
    const machine = new Machine();
    const half = { ...putOperation("a"), ttl_ms: 1_000 };
    const payload_bytes = OPERATION_BYTES_MAX / 2;
    const sized = (operation_id: string, bytes = payload_bytes) =>
      machine.apply({ ...half, operation: { ...half.operation, operation_id, payload_bytes: bytes } })
        .outcome;
    expect([sized("a"), sized("b")]).toMatchObject([{ state: "COMMITTED" }, { state: "COMMITTED" }]);
    expect(sized("c", 1)).toMatchObject({ state: "FAILED", error: expect.stringMatching(/payloads kept/) });
    machine.time += 1_001;
    expect(sized("c", OPERATION_BYTES_MAX)).toMatchObject({ state: "COMMITTED" });
  });
});

describe("the list of operations", () => {
  test("is in the order of the log, goes on where it stopped, and can be of one state", () => {
    const machine = new Machine();
    for (let at = 0; at < 200; at++)
      put(machine, `o${at}`, at % 3 === 0 ? { not_after: 0 } : { payload: `${at}` });
    const seen: number[] = [];
    for (let after = 0; ; ) {
      const { items, next_cursor } = list(machine, after, 7);
      seen.push(...items.map(({ log_index }) => log_index));
      if (next_cursor === undefined) break;
      after = Number(next_cursor);
    }
    expect(seen).toEqual(Array.from({ length: 200 }, (_, at) => at + 1));
    const query = { type: "operations", state: "FAILED", after: 100, limit: 5 } as const;
    const failed = machine.coordinator.query(query) as QueryAnswers["operations"];
    expect(failed.items.map(({ operation_id }) => operation_id)).toEqual([
      "o102",
      "o105",
      "o108",
      "o111",
      "o114",
    ]);
  });

  test("has pages that are bounded in bytes", () => {
    const machine = new Machine();
    for (let at = 0; at < 10; at++)
      put(machine, `o${at}`, { payload: `"${"x".repeat(PAGE_BYTES_MAX / 3)}"` });
    const { items, next_cursor } = list(machine);
    expect(items).toHaveLength(2);
    expect(list(machine, Number(next_cursor)).items[0]?.operation_id).toBe("o2");
  });
});

/** What is due by the rules, kept the simple way. */
class Model {
  readonly committed = new Map<string, { digest: string; log_index: number; expires_at: number }>();
  /** In the order of the log. */
  readonly commits: { readonly operation_id: string; readonly log_index: number }[] = [];

  put(step: Extract<Step, { readonly do: "operate" }>, entry: Machine["log"][number], now: number) {
    const { command, place } = entry;
    if (command.type !== "put-operation") throw new Error("an operation is put by put-operation");
    const { operation_id, digest } = command.operation;
    const known = this.committed.get(operation_id);
    if (known !== undefined && known.expires_at > now) {
      if (known.digest !== digest) return { type: "refused", code: "operation-id-reused" };
      return { state: "COMMITTED", log_index: known.log_index };
    }
    if (step.late && now > (command.not_after ?? 0)) return { state: "FAILED", log_index: place.index };
    this.committed.set(operation_id, { digest, log_index: place.index, expires_at: now + command.ttl_ms });
    this.commits.push({ operation_id, log_index: place.index });
    return { state: "COMMITTED", log_index: place.index };
  }
}

/** What whoever carries operations out gets to see, read in pieces. */
function reported(machine: Machine): unknown[] {
  const { feed } = machine.coordinator;
  const seen: unknown[] = [];
  for (let at = feed.open(undefined, true); at !== undefined; ) {
    const piece = feed.read(at, 7, 10_000);
    if (piece === undefined || piece.items.length === 0) break;
    for (const { text } of piece.items) {
      const { System } = JSON.parse(text) as { System?: { "operation.committed"?: object } };
      if (System?.["operation.committed"] !== undefined) seen.push(System["operation.committed"]);
    }
    at = piece.cursor;
  }
  return seen;
}

test("in any history, every id has one result while it is kept, which is reported once; the list is what is kept", () => {
  fc.assert(
    fc.property(histories(150), (steps) => {
      const machine = new Machine();
      const model = new Model();
      let now = 0;
      // What a repeated command id does is said in answers.test.ts.
      for (const step of steps.filter((one) => one.do !== "repeat")) {
        const { outcome } = take(machine, step);
        now = Math.max(now, machine.time);
        const entry = machine.log.at(-1);
        if (step.do === "operate" && entry !== undefined)
          expect(outcome).toMatchObject(model.put(step, entry, now));
      }
      expect(reported(machine)).toEqual(model.commits.map((commit) => expect.objectContaining(commit)));
      const due = Array.from(model.committed)
        .filter(([, { expires_at }]) => expires_at > now)
        .map(([operation_id, { log_index }]) => ({ operation_id, log_index }))
        .sort((a, b) => a.log_index - b.log_index);
      const query = { type: "operations", state: "COMMITTED", after: 0, limit: 500 } as const;
      const { items } = machine.coordinator.query(query) as QueryAnswers["operations"];
      expect(items.map(({ operation_id, log_index }) => ({ operation_id, log_index }))).toEqual(due);
    }),
    { numRuns: 200 },
  );
});
