// The estimate that heartbeats carry: nothing before there is something to go by, and never finished before it is.

import { expect, test } from "vitest";
import { Progress } from "../../worker-sim/pool/progress.ts";

test("there is no estimate before the first proof of a circuit", () => {
  const progress = new Progress();
  progress.took("merkle", 1_000);
  expect(progress.of("range", 500)).toBeUndefined();
});

test("it is the time that passed against what proofs took, in hundredths, and ends below 1", () => {
  const progress = new Progress();
  progress.took("merkle", 1_000);
  expect([0, 256, 900, 60_000].map((ms) => progress.of("merkle", ms))).toEqual([0, 0.26, 0.9, 0.95]);
  progress.took("fast", 0);
  expect(progress.of("fast", 1)).toBe(0.95);
});

test("it follows what proofs take now", () => {
  const progress = new Progress();
  progress.took("merkle", 1_000);
  for (let proof = 0; proof < 20; proof++) progress.took("merkle", 2_000);
  expect(progress.of("merkle", 1_000)).toBeCloseTo(0.5, 2);
});
