// The circuits that this coordinator knows, by the name that routes and leases use.

import type { Circuit } from "./circuit.ts";
import { credential } from "./credential/circuit.ts";
import { merkle } from "./merkle/circuit.ts";
import { noop } from "./noop/circuit.ts";
import { preimage } from "./preimage/circuit.ts";
import { range } from "./range/circuit.ts";
import { semaphore } from "./semaphore/circuit.ts";

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

function byName(list: readonly Circuit[]): ReadonlyMap<string, Circuit> {
  return new Map(list.map((circuit) => [circuit.name, circuit]));
}

export const circuits = byName([merkle, semaphore, credential, range, preimage]);

const withNoop = byName([...circuits.values(), noop]);

/** With the circuit that proves nothing only where measurements are made (`BENCH`). */
export function circuitsOf({ bench }: { readonly bench: boolean }): ReadonlyMap<string, Circuit> {
  return bench ? withNoop : circuits;
}
