import { expect, test } from "vitest";
import { placeOf } from "../../src/replica/places.ts";
import { newTaskId } from "../../src/router/submission.ts";

const UUID_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("ids of tasks made together are valid, stand in a place each, and cannot be foretold from one another", () => {
  const ids = Array.from({ length: 5_000 }, newTaskId);
  for (const id of ids) expect(id).toMatch(UUID_7);
  expect(new Set(ids.map((id) => placeOf("tasks", id))).size).toBe(ids.length);
  expect(new Set(ids.map((id) => id.slice(22))).size).toBe(ids.length);
  const first = Number.parseInt((ids[0] ?? "").replace("-", "").slice(0, 12), 16);
  expect(Math.abs(first - Date.now())).toBeLessThan(60_000);
});
