// The circuits that this coordinator knows, by the name that routes and leases use.

import type { Circuit } from "./circuit.ts";
import { merkle } from "./merkle/circuit.ts";
import { preimage } from "./preimage/circuit.ts";
import { range } from "./range/circuit.ts";

export type {
  CanonicalInput,
  Circuit,
  Contradiction,
  Json,
  Signal,
  Statement,
  Verdict,
  WitnessInput,
} from "./circuit.ts";
export { newBlinding } from "./field.ts";
export { atOnce, inItsOwnTurn, type Steps } from "./steps.ts";

export const circuits: ReadonlyMap<string, Circuit> = new Map(
  [merkle, range, preimage].map((circuit) => [circuit.name, circuit]),
);
