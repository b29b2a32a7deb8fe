/**
 * Lets the simulation look for a fault: `node test/mutation/seek.ts --seeds N [--mutation ID]`. Prints
 * the first seed that breaks an invariant, and which, as JSON; `{}` if none of the N does.
 */
import { parseArgs } from "node:util";
import { install } from "./install.ts";

const { values } = parseArgs({ options: { mutation: { type: "string" }, seeds: { type: "string" } } });
const seeds = Number(values.seeds);
if (!Number.isInteger(seeds)) throw new Error("How many seeds? node test/mutation/seek.ts --seeds 1000");
if (values.mutation !== undefined) install(values.mutation);

const { scenarioOf } = await import("../simulation/scenario.ts");
const { simulate } = await import("../simulation/simulation.ts");

function seek(): { readonly seed?: number; readonly invariant?: string } {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violation } = simulate(scenarioOf(seed));
    if (violation !== undefined) return { seed, invariant: violation.error.invariant };
  }
  return {};
}

console.log(JSON.stringify(seek()));
