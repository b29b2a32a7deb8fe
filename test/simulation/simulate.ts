/**
 * Replays one seed: `npm run simulate -- --seed N [--transcript] [--minimize]`, and what a minimized
 * scenario adds: `--steps`, `--luck`, `--without`, `--only`. Exit code 1 if an invariant breaks.
 */
import { parseArgs } from "node:util";
import { printFigures } from "./figures.ts";
import { minimize } from "./minimize.ts";
import { argumentsOf, commandOf, numbersIn, reportOf } from "./report.ts";
import { type Scenario, STEPS, TROUBLES, type Trouble } from "./scenario.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    luck: { type: "string", default: "0" },
    steps: { type: "string", default: String(STEPS) },
    without: { type: "string", default: "" },
    only: { type: "string" },
    transcript: { type: "boolean", default: false },
    minimize: { type: "boolean", default: false },
  },
});

const seed = Number(values.seed);
if (values.seed === undefined || !Number.isInteger(seed)) {
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
  steps: Number(values.steps),
  ...(values.only !== undefined && { only: numbersIn(values.only) }),
  without: new Set(without as Trouble[]),
};

let result = simulate(scenario, { recording: values.transcript });
if (values.minimize && result.violation !== undefined) {
  const before = result.performed.size;
  const minimized = minimize(scenario);
  ({ scenario } = minimized);
  result = simulate(scenario, { recording: values.transcript });
  console.log(
    `minimized in ${minimized.runs} runs: ${minimized.actions.length} of ${before} actions are left ` +
      `(${minimized.actions.join(", ")})\n  ${commandOf(scenario)}\n`,
  );
}
if (values.transcript) console.log(result.lines?.join("\n"));
if (result.violation === undefined) {
  const { knobs } = result;
  console.log(`${argumentsOf(scenario)}: ${knobs.founders.length} replicas, transcript ${result.hash}`);
  console.log(printFigures(result.figures));
} else {
  console.log(reportOf(scenario, result));
  process.exitCode = 1;
}
