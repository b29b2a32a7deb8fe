// The preimage circuit: "two numbers with this Poseidon hash are known". The cheapest real proof there is here: for
// commitments that are opened in secret, and for load.

import { z } from "zod";
import { fieldElement } from "../elements.ts";
import { contextSignal, decimals, groth16Circuit } from "../groth16-circuit.ts";
import { poseidon } from "../poseidon/poseidon.ts";
import { inOneStep } from "../steps.ts";
import verifying_key from "./verifying-key.json" with { type: "json" };

const input = z.object({
  preimage: z
    .array(fieldElement, { error: "must be a list of two decimal numbers in strings" })
    .length(2, { error: "must be a list of two decimal numbers in strings" })
    .describe("Both stay secret; without a random one among them, the digest can be guessed."),
});

function elements({ preimage }: z.output<typeof input>): bigint[] {
  return preimage.map(BigInt);
}

export const preimage = groth16Circuit({
  name: "preimage",
  circuit_type: "preimage_proof",
  description: "Two numbers with this Poseidon hash are known.",
  setup: "dev-single-party",
  verifying_key,
  signals: [{ name: "digest", meaning: "Poseidon2 of the two numbers." }, contextSignal],
  input,
  parse: (given) => input.parse(given),

  statement: ({ input, context }) =>
    inOneStep(() => ({ public_inputs: decimals([poseidon(elements(input)), context]) })),

  witness: ({ input, context }) => ({ preimage: elements(input), context }),
});
