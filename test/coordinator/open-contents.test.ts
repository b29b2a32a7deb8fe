/** Which open task holds a content, also where an import has brought two with the same. */
import { expect, test } from "vitest";
import { OpenContents } from "../../src/coordinator/open-contents.ts";

test("whoever is open holds its content until it ends", () => {
  const contents = new OpenContents();
  contents.hold("content", "a");
  expect([contents.holder("content"), contents.holder("other")]).toEqual(["a", undefined]);
  contents.release("content", "a");
  expect(contents.holder("content")).toBeUndefined();
});

test.each([{ order: ["a", "b", "c"] }, { order: ["c", "a", "b"] }, { order: ["b", "c", "a"] }])(
  "of several the lowest id holds it, in whichever order they came: $order",
  ({ order }) => {
    const contents = new OpenContents();
    for (const task_id of order) contents.hold("content", task_id);
    expect(contents.holder("content")).toBe("a");
    contents.release("content", "a");
    expect(contents.holder("content")).toBe("b");
    contents.release("content", "c");
    expect(contents.holder("content")).toBe("b");
    contents.release("content", "b");
    expect(contents.holder("content")).toBeUndefined();
  },
);
