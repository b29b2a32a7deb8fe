/**
 * Replays one seed: `npm run simulate -- --seed N [--transcript|--brief] [--minimize]`, and what a
 * minimized scenario adds: `--steps`, `--luck`, `--without`, `--only`. With `--bug ID` a fault of
 * `test/mutation` is in the core, and without `--seed` the first seed is sought that finds it; with
 * `--effects-only` by its harm, not by the rule of membership that it breaks. Exit code 1 if an
 * invariant breaks.
 */
import { parseArgs } from "node:util";
import { mutationNamed } from "../mutation/faults/index.ts";
import { install } from "../mutation/install.ts";
import type { Scenario, Trouble } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    luck: { type: "string", default: "0" },
    steps: { type: "string" },
    without: { type: "string", default: "" },
    only: { type: "string" },
    bug: { type: "string" },
    "effects-only": { type: "boolean", default: false },
    transcript: { type: "boolean", default: false },
    brief: { type: "boolean", default: false },
    minimize: { type: "boolean", default: false },
  },
});

const { bug, "effects-only": effectsOnly } = values;
if (bug !== undefined) {
  install(bug);
  console.log(`the fault in the core: ${mutationNamed(bug).fault}`);
}
// Only now: what imports the core gets the one with the fault in it.
const { printFigures } = await import("./figures.ts");
const { minimize } = await import("./minimize.ts");
const { argumentsOf, commandOf, numbersIn, reportOf, verdictOf } = await import("./report.ts");
const { STEPS, scenarioOf, TROUBLES } = await import("./scenario.ts");
const { simulate } = await import("./simulation.ts");
const { essential } = await import("./transcript.ts");

const MOST_SEEDS = 10_000;

function seek(): number {
  for (let candidate = 1; candidate <= MOST_SEEDS; candidate += 1) {
    if (simulate(scenarioOf(candidate, { effectsOnly })).violation === undefined) continue;
    console.log(`found by seed ${candidate}, the first of those from 1 that does`);
    return candidate;
  }
  console.log(`none of the seeds from 1 to ${MOST_SEEDS} finds it`);
  process.exit(0);
}

const seed = values.seed === undefined && bug !== undefined ? seek() : Number(values.seed);
if (!Number.isInteger(seed)) {
  console.error("Which seed? npm run simulate -- --seed 42 [--transcript] [--minimize]");
  process.exit(2);
}
const without = values.without.split(",").filter((name) => name !== "");
const unknown = without.filter((name) => !TROUBLES.some((trouble) => trouble === name));
if (unknown.length > 0) {
  console.error(`--without knows ${TROUBLES.join(", ")}, not ${unknown.join(", ")}`);
  process.exit(2);
}
let scenario: Scenario = {
  seed,
  luck: Number(values.luck),
  steps: Number(values.steps ?? STEPS),
  ...(values.only !== undefined && { only: numbersIn(values.only) }),
  without: new Set(without as Trouble[]),
  ...(bug !== undefined && { bug }),
  ...(effectsOnly && { effectsOnly }),
};

const recording = values.transcript || values.brief;
let result = simulate(scenario, { recording });
if (values.minimize && result.violation !== undefined) {
  const before = result.performed.size;
  const minimized = minimize(scenario);
  ({ scenario } = minimized);
  result = simulate(scenario, { recording });
  const { runs, actions } = minimized;
  console.log(`minimized in ${runs} runs: ${actions.length} of ${before} actions are left`);
  console.log(`  (${actions.join(", ")})\n  ${commandOf(scenario)}\n`);
}
if (recording) console.log((values.brief ? essential(result.lines ?? []) : result.lines)?.join("\n"));
if (result.violation === undefined) {
  const { knobs } = result;
  console.log(`${argumentsOf(scenario)}: ${knobs.founders.length} replicas, transcript ${result.hash}`);
  console.log(printFigures(result.figures));
} else {
  console.log(values.brief ? verdictOf(scenario, result.violation) : reportOf(scenario, result));
  process.exitCode = 1;
}
