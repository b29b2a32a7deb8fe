/**
 * Cuts a scenario down while the same invariant still breaks: fewer kinds of trouble, fewer actions
 * (by delta debugging, halves first, then ever smaller pieces), other luck where that helps, and an
 * end as soon as it is broken. Deterministic, and bounded by a number of runs.
 */
import { type Scenario, TROUBLES } from "./scenario.ts";
import { type Result, simulate } from "./simulation.ts";

export interface Minimized {
  readonly scenario: Scenario;
  readonly result: Result;
  readonly runs: number;
  /** Actions that are left. */
  readonly actions: readonly string[];
}

/** How many streams of luck are tried before a piece counts as needed. */
const LUCKS = 3;

export function minimize(found: Scenario, mostRuns = 3_000): Minimized {
  let best = { scenario: found, result: simulate(found) };
  const invariant = best.result.violation?.error.invariant;
  if (invariant === undefined) throw new Error(`seed ${found.seed} breaks nothing`);
  let runs = 1;
  const breaks = (candidate: Scenario): boolean => {
    for (let more = 0; more < LUCKS && runs < mostRuns; more += 1) {
      const scenario = { ...candidate, luck: more === 0 ? candidate.luck : candidate.luck + more };
      const result = simulate(scenario);
      runs += 1;
      if (result.violation?.error.invariant !== invariant) continue;
      best = { scenario, result };
      return true;
    }
    return false;
  };

  // What comes after the violation is no part of it.
  const shorten = () => {
    const { violation } = best.result;
    const steps = Math.min(best.scenario.steps, violation?.step ?? best.scenario.steps);
    for (const fewer of [Math.ceil(steps / 8), Math.ceil(steps / 4), Math.ceil(steps / 2), steps]) {
      if (fewer < best.scenario.steps && breaks({ ...best.scenario, steps: fewer })) return;
    }
  };
  const simplify = () => {
    for (const trouble of TROUBLES) {
      // Last of all: as long as time passes as it did, leaving out an action moves no other.
      if (trouble === "waiting" || best.scenario.without.has(trouble)) continue;
      breaks({ ...best.scenario, without: new Set([...best.scenario.without, trouble]) });
    }
  };
  shorten();
  simplify();
  const performed = () => [...best.result.performed.keys()];
  const reduce = () => {
    for (let size = Math.ceil(performed().length / 2); size >= 1 && runs < mostRuns; ) {
      const left = performed();
      let removed = false;
      for (let end = left.length; end > 0; end -= size) {
        const piece = new Set(left.slice(Math.max(end - size, 0), end));
        const kept = performed();
        const rest = kept.filter((number) => !piece.has(number));
        if (rest.length === 0 || rest.length === kept.length) continue;
        removed = breaks({ ...best.scenario, only: new Set(rest) }) || removed;
      }
      if (!removed && size === 1) return;
      size = Math.max(1, Math.min(Math.ceil(size / 2), Math.ceil(performed().length / 2)));
    }
  };
  reduce();
  simplify();
  reduce();
  if (breaks({ ...best.scenario, without: new Set([...best.scenario.without, "waiting"]) })) reduce();
  shorten();
  return { ...best, runs, actions: [...best.result.performed.values()] };
}
