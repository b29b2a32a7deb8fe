// What may be submitted for the merkle circuit, what it is turned into, and what is said about the rest.

import { describe, expect, test } from "vitest";
import { circuits } from "../../src/proofs/index.ts";

const merkle = circuits.get("merkle");
if (merkle === undefined) throw new Error("no merkle circuit");

function problems(input: unknown): { path: string; message: string }[] {
  const result = merkle?.input.safeParse(input);
  return (result?.error?.issues ?? []).map(({ path, message }) => ({ path: path.join("/"), message }));
}

describe("an accepted input", () => {
  test("has leaf 0 requested when it does not say", () => {
    expect(merkle.canonical({ leaves: ["0x12"] })).toEqual({ leaves: ["0x12"], leaf_index: 0 });
  });

  test("becomes lower-case, with 0x, an odd number of digits padded by one 0 on the left", () => {
    expect(merkle.canonical({ leaves: ["0xABC", "abc", "0X0abc", "1", "0001"], leaf_index: 4 })).toEqual({
      leaves: ["0x0abc", "0x0abc", "0x0abc", "0x01", "0x0001"],
      leaf_index: 4,
    });
  });

  test("has the same canonical text however it was written, and stays as it is when made canonical again", () => {
    const once = merkle.canonical(merkle.input.parse({ leaf_index: 1, extra: true, leaves: ["0xA", "B"] }));
    expect(JSON.stringify(once)).toBe(
      JSON.stringify(merkle.canonical({ leaves: ["a", "0x0b"], leaf_index: 1 })),
    );
    expect(merkle.canonical(once)).toEqual(once);
  });

  test("may have one leaf, a thousand leaves, leaves of 1 digit and of 64, and the same leaf twice", () => {
    expect(problems({ leaves: ["0"] })).toEqual([]);
    expect(problems({ leaves: Array(1000).fill("f".repeat(64)), leaf_index: 999 })).toEqual([]);
    expect(problems({ leaves: [`0x${"f".repeat(64)}`, "7", "7"], leaf_index: 2 })).toEqual([]);
  });
});

describe("a refused input names the field and says what is wrong", () => {
  test.each<[string, unknown, string, string]>([
    ["no leaves at all", {}, "leaves", "leaves must be a list of 1 to 1000 hex strings"],
    ["leaves that are text", { leaves: "0x12" }, "leaves", "leaves must be a list of 1 to 1000 hex strings"],
    ["an empty list", { leaves: [] }, "leaves", "leaves must have at least one leaf"],
    [
      "1,001 leaves",
      { leaves: Array(1001).fill("1") },
      "leaves",
      "leaves has 1001 leaves, at most 1000 are allowed",
    ],
    ["a number as leaf", { leaves: ["1", 2] }, "leaves/1", "leaves[1] must be a string of hex digits"],
    [
      "dots",
      { leaves: ["1", "1", "1", "0x123..."] },
      "leaves/3",
      'leaves[3] is "0x123...": the dots stand for digits that were left out, fill them in',
    ],
    ["0x alone", { leaves: ["0x"] }, "leaves/0", "leaves[0] is empty: a leaf has 1 to 64 hex digits"],
    ["an empty leaf", { leaves: [""] }, "leaves/0", "leaves[0] is empty: a leaf has 1 to 64 hex digits"],
    ["a letter", { leaves: ["0x12g4"] }, "leaves/0", 'leaves[0] is "0x12g4": "g" is not a hex digit'],
    ["a space", { leaves: ["12 "] }, "leaves/0", 'leaves[0] is "12 ": " " is not a hex digit'],
    [
      "a newline at the end",
      { leaves: ["12\n"] },
      "leaves/0",
      'leaves[0] is "12\\n": "\\n" is not a hex digit',
    ],
    [
      "65 digits",
      { leaves: [`0x${"1".repeat(65)}`] },
      "leaves/0",
      "leaves[0] has 65 hex digits, a leaf has at most 64 (32 bytes)",
    ],
    [
      "an index behind the last leaf",
      { leaves: ["1", "2"], leaf_index: 2 },
      "leaf_index",
      "leaf_index 2 is out of range: with 2 leaves it can be 0 to 1",
    ],
    ["a negative index", { leaves: ["1"], leaf_index: -1 }, "leaf_index", "leaf_index must not be negative"],
    [
      "half an index",
      { leaves: ["1"], leaf_index: 0.5 },
      "leaf_index",
      "leaf_index must be a whole number, 0 for the first leaf",
    ],
    [
      "an index as text",
      { leaves: ["1"], leaf_index: "0" },
      "leaf_index",
      "leaf_index must be a whole number, 0 for the first leaf",
    ],
  ])("%s", (_, input, path, message) => {
    expect(problems(input)).toEqual([{ path, message }]);
  });

  test("every wrong leaf is named, and no leaf of a list that is too long is looked at", () => {
    expect(problems({ leaves: ["x", "1", "y"] }).map(({ path }) => path)).toEqual(["leaves/0", "leaves/2"]);
    expect(problems({ leaves: Array(100_000).fill("x") })).toHaveLength(1);
  });

  test("what is not an object is refused", () => {
    for (const input of [null, undefined, 7, "leaves", [], true]) expect(problems(input)).toHaveLength(1);
  });
});
