/**
 * That the list of faults still fits the core and the tests that are to notice them. That they do
 * notice is shown by `npm run mutate`, which is too slow to be part of this.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mutations } from "./faults/index.ts";
import { mutated } from "./mutation.ts";

const TRAPS = 49;
/** An id used again after a wipe: the core is told its id, and cannot know whose it was. */
const TRAPS_OF_THE_HOST = [45];

function textOf(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}

describe("every fault", () => {
  test.each(mutations)("$id finds its place in the core exactly once", (mutation) => {
    const source = textOf(`../../src/raft/${mutation.file}`);
    expect(mutated(source, mutation)).not.toBe(source);
  });

  test.each(mutations)("$id is to be noticed by a test that exists", ({ killer }) => {
    if (killer.type === "simulator") expect(killer.seeds).toBeGreaterThan(0);
    else expect(textOf(`../raft/${killer.file}`).split(JSON.stringify(killer.title))).toHaveLength(2);
  });

  test("has a name of its own", () => {
    expect(new Set(mutations.map(({ id }) => id)).size).toBe(mutations.length);
  });
});

test("every trap that the core could fall into has a fault that falls into it", () => {
  const fallen = new Set(mutations.flatMap(({ traps }) => traps));
  const expected = Array.from({ length: TRAPS }, (_, index) => index + 1);
  expect(expected.filter((trap) => !fallen.has(trap))).toEqual(TRAPS_OF_THE_HOST);
});

test("a fault whose place is missing or ambiguous is an error", () => {
  const [mutation] = mutations;
  if (mutation === undefined) throw new Error("there are no faults");
  for (const source of ["", mutation.before + mutation.before]) {
    expect(() => mutated(source, mutation)).toThrow(`"${mutation.id}" must find its text exactly once`);
  }
});
