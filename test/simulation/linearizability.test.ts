/** The checker itself: histories that a register explains, and histories that none does. */
import { describe, expect, test } from "vitest";
import { isLinearizable, type Operation, unexplained } from "./linearizability.ts";
import { Random } from "./random.ts";

const write = (operation: number, called: number, answered: number): Operation => ({
  operation,
  type: "write",
  key: 1,
  called,
  answered,
});
const read = (result: number, called: number, answered: number): Operation => ({
  operation: 1_000 + called,
  type: "read",
  key: 1,
  called,
  answered,
  result,
});
const compareAndSet = (
  operation: number,
  expected: number,
  result: boolean | undefined,
  called: number,
  answered: number,
): Operation => ({
  operation,
  type: "compare-and-set",
  key: 1,
  expected,
  called,
  answered,
  ...(result !== undefined && { result }),
});

describe("a history of one register", () => {
  test("that happened one after the other is explained by that order only", () => {
    expect(isLinearizable([write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)])).toBe(true);
    expect(isLinearizable([write(1, 0, 1), read(0, 2, 3)])).toBe(false);
    expect(isLinearizable([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)])).toBe(false);
  });

  test("may show a write under way or not, but never first and then not", () => {
    expect(isLinearizable([write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)])).toBe(true);
    expect(isLinearizable([write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)])).toBe(false);
  });

  test("lets a write that nobody was told of take effect at any later time, once", () => {
    const lost = write(1, 0, Number.POSITIVE_INFINITY);
    expect(isLinearizable([lost, write(2, 1, 2), read(2, 3, 4), read(1, 5, 6)])).toBe(true);
    expect(isLinearizable([lost, write(2, 1, 2), read(1, 3, 4), read(2, 5, 6), read(1, 7, 8)])).toBe(false);
  });

  test("holds compare-and-set to its word", () => {
    expect(isLinearizable([compareAndSet(1, 0, true, 0, 1), compareAndSet(2, 0, false, 2, 3)])).toBe(true);
    expect(isLinearizable([compareAndSet(1, 0, true, 0, 1), compareAndSet(2, 0, true, 2, 3)])).toBe(false);
    expect(isLinearizable([compareAndSet(1, 0, true, 0, 5), compareAndSet(2, 0, true, 1, 6)])).toBe(false);
    expect(isLinearizable([compareAndSet(1, 0, undefined, 0, 5), read(1, 1, 2)])).toBe(true);
  });

  test("is judged as a search of all orders judges it", () => {
    const random = new Random(7);
    const verdicts = [0, 0];
    for (let round = 0; round < 3_000; round += 1) {
      const history = Array.from({ length: random.between(1, 6) }, (_, number): Operation => {
        const called = random.between(0, 12) * 100 + 2 * number;
        const answered = called + random.between(0, 6) * 100 + 1;
        const kind = random.between(0, 2);
        if (kind === 0) return write(number + 1, called, answered);
        if (kind === 1) return { ...read(random.between(0, 3), called, answered) };
        return compareAndSet(number + 1, random.between(0, 3), random.chance(0.5), called, answered);
      });
      const verdict = isLinearizable(history);
      expect(verdict).toBe(someOrderExplains(history, 0));
      verdicts[verdict ? 1 : 0] = (verdicts[verdict ? 1 : 0] ?? 0) + 1;
    }
    expect(Math.min(...verdicts)).toBeGreaterThan(300);
  });
});

test("of several keys the one without an explanation is named", () => {
  const elsewhere = { ...write(5, 0, 1), key: 2 };
  expect(unexplained([write(1, 0, 1), elsewhere, read(1, 2, 3)])).toBeUndefined();
  const stale = { ...read(0, 2, 3), key: 2 };
  expect(unexplained([write(1, 0, 1), elsewhere, read(1, 2, 3), stale])).toEqual([elsewhere, stale]);
});

/** Every order that respects real time, tried one after the other. */
function someOrderExplains(left: readonly Operation[], state: number): boolean {
  if (left.length === 0) return true;
  const firstAnswer = Math.min(...left.map(({ answered }) => answered));
  return left.some((operation) => {
    const { type, called, expected, result } = operation;
    const takes = type === "write" || (type === "compare-and-set" && expected === state);
    const fits = type === "write" || result === (type === "read" ? state : takes);
    const rest = left.filter((other) => other !== operation);
    return called <= firstAnswer && fits && someOrderExplains(rest, takes ? operation.operation : state);
  });
}
