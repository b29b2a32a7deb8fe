/**
 * Whole groups under random faults, a few hundred seeds of them: that every invariant holds, that the
 * same seed gives the same run, and that enough happens for this to mean something. Many more seeds
 * run in `npm run soak`. It proves nothing about time that no clock here shows: how long anything
 * takes on a real machine is measured elsewhere.
 */
import { describe, expect, test } from "vitest";
import { addFigures, noFigures } from "./figures.ts";
import { commandOf, numbersIn, rangesOf, reportOf } from "./report.ts";
import { STEPS, scenarioOf } from "./scenario.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 300;

describe("a group under faults, operators and requests", () => {
  test(`keeps every invariant and recovers in peace, ${SEEDS} seeds, each run twice alike`, () => {
    const figures = noFigures();
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const scenario = scenarioOf(seed);
      const result = simulate(scenario);
      if (result.violation !== undefined) throw new Error(reportOf(scenario, result));
      expect(simulate(scenario).hash, `seed ${seed} ran differently the second time`).toBe(result.hash);
      addFigures(figures, result.figures);
    }
    // A simulation in which nothing happens proves nothing.
    const { unviable, ...happened } = figures;
    for (const [what, count] of Object.entries(happened)) expect(count, what).toBeGreaterThan(0);
    expect(unviable).toBeLessThan(SEEDS / 50);
    expect(figures.runsOfFive).toBeGreaterThan(SEEDS / 4);
    expect(figures.steps).toBeGreaterThan(STEPS * SEEDS);
    expect(figures.elections).toBeGreaterThan(2 * SEEDS);
    expect(figures.crashes).toBeGreaterThan(4 * SEEDS);
    expect(figures.torn).toBeGreaterThan(SEEDS / 10);
    expect(figures.writes).toBeGreaterThan(20 * SEEDS);
    expect(figures.reads).toBeGreaterThan(10 * SEEDS);
    expect(figures.repeated).toBeGreaterThan(figures.sent / 20);
    expect(figures.membershipChanges).toBeGreaterThan(SEEDS / 2);
    expect(figures.jointChanges).toBeGreaterThan(SEEDS / 20);
    expect(figures.installed).toBeGreaterThan(SEEDS / 10);
    expect(figures.transfers).toBeGreaterThan(SEEDS / 5);
    expect(figures.resumed).toBeGreaterThan(SEEDS / 10);
    expect(figures.silences).toBeGreaterThan(SEEDS / 20);
  }, 60_000);

  test("a scenario is named by a command that gives it back", () => {
    const scenario = { ...scenarioOf(42), luck: 2, steps: 99, only: new Set([1, 2, 3, 7]) };
    expect(commandOf(scenario)).toBe("npm run simulate -- --seed 42 --luck 2 --steps 99 --only 1-3,7");
    expect(numbersIn(rangesOf(scenario.only))).toEqual(scenario.only);
  });
});
