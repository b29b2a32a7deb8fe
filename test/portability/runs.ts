/**
 * What is run in every runtime: whole simulated groups, and the hashes of what they did. Bundled by
 * itself for a page, and with the default export as a Worker.
 */
import { scenarioOf } from "../simulation/scenario.ts";
import { simulate } from "../simulation/simulation.ts";

/** A rolling hash for each seed from 1 on, over everything that the replicas sent, wrote and applied. */
export function hashesOf(seeds: number): readonly string[] {
  return Array.from({ length: seeds }, (_, place) => {
    const { hash, violation } = simulate(scenarioOf(place + 1));
    if (violation !== undefined) throw new Error(`seed ${place + 1}: ${violation.error.message}`);
    return hash;
  });
}

export default {
  fetch(request: Request): Response {
    return Response.json(hashesOf(Number(new URL(request.url).searchParams.get("seeds"))));
  },
};
