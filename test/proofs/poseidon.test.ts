// Poseidon in WebAssembly against poseidon-lite, which was written by others from the same reference.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { poseidon1 } from "poseidon-lite/poseidon1";
import { poseidon2 } from "poseidon-lite/poseidon2";
import { poseidon5 } from "poseidon-lite/poseidon5";
import { expect, test } from "vitest";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { atOnce, circuits } from "../../src/proofs/index.ts";
import { assemble } from "../../src/proofs/poseidon/assemble.ts";
import { compiled, hashesOf, installPoseidon, poseidon } from "../../src/proofs/poseidon/poseidon.ts";
import { merkleFixture } from "./fixture.ts";

const file = new URL("../../src/proofs/poseidon/poseidon.wasm", import.meta.url);
const module = compiled(readFileSync(file));

const element = fc.oneof(
  fc.bigInt({ min: 0n, max: FIELD_ORDER - 1n }),
  fc.constantFrom(0n, 1n, FIELD_ORDER - 1n, FIELD_ORDER - 2n, (FIELD_ORDER - 1n) / 2n),
  fc.nat(253).map((bit) => 1n << BigInt(bit)),
  // Limbs that are all zeros or all ones.
  fc.nat(7).map((limb) => (1n << BigInt(29 * (limb + 1))) - 1n),
);

test.each([
  [1, poseidon1],
  [2, poseidon2],
  [5, poseidon5],
] as const)("of %i inputs equals that of poseidon-lite", (count, reference) => {
  const hash = hashesOf(module).get(count);
  if (hash === undefined) throw new Error(`no hash of ${count}`);
  const inputs = fc.array(element, { minLength: count, maxLength: count });
  fc.assert(
    fc.property(inputs, (given) => {
      expect(hash(given)).toBe(reference(given));
    }),
    { numRuns: 500 },
  );
});

test("the committed module is what the assembler writes", () => {
  expect(Buffer.from(assemble()).equals(readFileSync(file))).toBe(true);
});

test("a statement is the same without the module and with it", () => {
  const merkle = circuits.get("merkle");
  const { public_inputs, ...task } = merkleFixture();
  const statement = () => (merkle === undefined ? undefined : atOnce(merkle.statement(task)).public_inputs);
  expect(statement()).toEqual(public_inputs);
  installPoseidon(module);
  expect(statement()).toEqual(public_inputs);
  expect(() => poseidon([1n, 2n, 3n])).toThrow("no Poseidon of 3 inputs");
});
