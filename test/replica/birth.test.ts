/** Decisions about birth, loss and return. That they are stored before they are told is proved on workerd. */
import { describe, expect, test } from "vitest";
import { birth, type Founding, type Introduction } from "../../src/replica/birth.ts";

const NAMES = ["coordinator-1", "coordinator-2", "coordinator-3"];
const self = (name: string, incarnation: string) => ({ name, incarnation, cluster_id: "troika" });
const blank = (name: string, incarnation: string): Introduction => ({ v: 1, name, incarnation });
const founding: Founding = {
  v: 1,
  cluster_id: "troika",
  founding_id: "f1",
  members: [
    { name: "coordinator-1", incarnation: "a" },
    { name: "coordinator-2", incarnation: "b" },
    { name: "coordinator-3", incarnation: "c" },
  ],
};
const holder = (name: string, incarnation: string, held = founding): Introduction => ({
  ...blank(name, incarnation),
  founding: held,
});

describe("birth", () => {
  test("the first replica founds once every other has answered and is blank", () => {
    const decision = birth(self("coordinator-1", "a"), NAMES, [
      blank("coordinator-2", "b"),
      blank("coordinator-3", "c"),
    ]);
    expect(decision).toEqual({ type: "found", members: founding.members });
  });

  test("the first replica waits for whoever has not answered, and says for whom", () => {
    const decision = birth(self("coordinator-1", "a"), NAMES, [blank("coordinator-3", "c")]);
    expect(decision).toEqual({
      type: "wait",
      for: ["coordinator-2"],
      reason: "the founding waits for coordinator-2",
    });
  });

  test("no other replica ever founds, even if all have answered", () => {
    const decision = birth(self("coordinator-2", "b"), NAMES, [
      blank("coordinator-1", "a"),
      blank("coordinator-3", "c"),
    ]);
    expect(decision).toMatchObject({ type: "wait", for: ["coordinator-1"] });
  });

  test("a blank replica adopts a founding that names its own incarnation", () => {
    const decision = birth(self("coordinator-3", "c"), NAMES, [holder("coordinator-2", "b")]);
    expect(decision).toEqual({ type: "adopt", founding });
  });

  test("trap 45: a wiped replica never votes under its old name, and the first one does not found again", () => {
    for (const name of NAMES) {
      const answers = NAMES.filter((other) => other !== name).map((other) => holder(other, "x"));
      const decision = birth(self(name, "new"), NAMES, answers);
      expect(decision).toMatchObject({ type: "lost", founding_id: "f1" });
    }
  });

  test("a wiped first replica does not found even when only one other remembers", () => {
    const decision = birth(self("coordinator-1", "new"), NAMES, [
      holder("coordinator-2", "b"),
      blank("coordinator-3", "also-new"),
    ]);
    expect(decision).toMatchObject({ type: "lost", known_as: "a" });
  });

  test("foundings that contradict each other are joined by nobody", () => {
    const other = { ...founding, founding_id: "f2" };
    const decision = birth(self("coordinator-3", "c"), NAMES, [
      holder("coordinator-1", "a"),
      holder("coordinator-2", "b", other),
    ]);
    expect(decision).toMatchObject({ type: "wait", for: [] });
  });

  test("a founding of another cluster says nothing to this one", () => {
    const other = { ...founding, cluster_id: "elsewhere" };
    const decision = birth(self("coordinator-3", "c"), NAMES, [holder("coordinator-1", "a", other)]);
    expect(decision).toMatchObject({ type: "wait" });
  });

  test("a group of one founds itself at once", () => {
    const decision = birth(self("coordinator-1", "a"), ["coordinator-1"], []);
    expect(decision).toEqual({ type: "found", members: [{ name: "coordinator-1", incarnation: "a" }] });
  });
});
