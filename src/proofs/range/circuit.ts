// The range circuit: "the number in this commitment lies between lo and hi".

import { z } from "zod";
import { fieldElement, u64 } from "../elements.ts";
import { contextSignal, decimals, groth16Circuit } from "../groth16-circuit.ts";
import { poseidon } from "../poseidon/poseidon.ts";
import { inOneStep } from "../steps.ts";
import verifying_key from "./verifying-key.json" with { type: "json" };

const input = z
  .object({
    value: u64.describe("The secret number, below 2^64."),
    salt: fieldElement.describe("Secret and random, or the commitment can be guessed."),
    lo: u64.describe("The lowest number allowed, public."),
    hi: u64.describe("The highest number allowed, public."),
  })
  .refine(({ value, lo, hi }) => BigInt(lo) <= BigInt(value) && BigInt(value) <= BigInt(hi), {
    path: ["value"],
    error: "must lie between lo and hi",
  });

function numbers({ value, salt, lo, hi }: z.output<typeof input>) {
  return { value: BigInt(value), salt: BigInt(salt), lo: BigInt(lo), hi: BigInt(hi) };
}

export const range = groth16Circuit({
  name: "range",
  circuit_type: "range_proof",
  description: "The number in this commitment lies between lo and hi.",
  setup: "dev-single-party",
  verifying_key,
  signals: [
    { name: "commitment", meaning: "Poseidon2(value, salt)." },
    { name: "lo", meaning: "The number is not below it." },
    { name: "hi", meaning: "The number is not above it." },
    contextSignal,
  ],
  input,
  parse: (given) => input.parse(given),

  statement: ({ input, context }) =>
    inOneStep(() => {
      const { value, salt, lo, hi } = numbers(input);
      return { public_inputs: decimals([poseidon([value, salt]), lo, hi, context]) };
    }),

  witness: ({ input, context }) => ({ ...numbers(input), context }),
});
