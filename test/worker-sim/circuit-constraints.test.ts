// What the circuits themselves refuse, whatever the schemas in front of them let through: no witness exists for a lie. A
// forger writes no witness by calculator, but the calculator's assertions are the circuit's constraints.

import { readFileSync } from "node:fs";
import { wtns } from "snarkjs";
import { describe, expect, test } from "vitest";
import { SUBGROUP_ORDER } from "../../src/proofs/baby-jubjub.ts";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { circuits, type WitnessInput } from "../../src/proofs/index.ts";
import { sampleOf } from "../proofs/samples.ts";

function honest(name: string): WitnessInput {
  const circuit = circuits.get(name);
  if (circuit === undefined) throw new Error(`no circuit ${name}`);
  return circuit.witness({ input: sampleOf(name), blinding: 5n, context: 6n });
}

async function hasWitness(name: string, input: WitnessInput): Promise<boolean> {
  const wasm = readFileSync(new URL(`../../worker-sim/circuits/${name}/${name}.wasm`, import.meta.url));
  try {
    await wtns.calculate({ ...input }, wasm, { type: "mem" });
    return true;
  } catch (error) {
    expect(String(error)).toContain("Assert Failed");
    return false;
  }
}

const lies: Readonly<Record<string, Readonly<Record<string, WitnessInput>>>> = {
  merkle: { "an index behind the tree": { index: 1024n }, "an index below it": { index: FIELD_ORDER - 1n } },
  range: {
    "a number below lo": { value: 999n },
    "a number above hi": { hi: 999n, lo: 0n },
    "a number of 65 bits": { value: 2n ** 64n, hi: 2n ** 64n },
    "a lower bound that wraps around": { lo: FIELD_ORDER - 1n },
    "an upper bound that wraps around": { hi: FIELD_ORDER - 1n },
  },
  preimage: {},
  credential: {
    "a value that was not signed": { value: 22n },
    "a threshold above the value": { threshold: 22n },
    "a threshold that wraps around": { threshold: FIELD_ORDER - 1n },
    "another attribute": { attribute: 2n },
    "another holder": { secret: 1n },
    "another signature": { s: 1n },
    "a signature plus the group's order": { s: (honest("credential").s as bigint) + SUBGROUP_ORDER },
    "a nonce off the curve": { r8: [1n, 2n] },
    "another issuer": { issuer: [1n, 2n] },
    "the neutral point as issuer": { issuer: [0n, 1n] },
  },
  semaphore: { "a secret beyond the group's order": { secret: SUBGROUP_ORDER } },
};

describe.each([...circuits.keys()])("%s", (name) => {
  test("has a witness for the truth and for no lie", async () => {
    expect(await hasWitness(name, honest(name))).toBe(true);
    const told = lies[name];
    if (told === undefined) throw new Error(`what does circuit ${name} refuse? Say it in lies.`);
    for (const [lie, change] of Object.entries(told)) {
      expect(await hasWitness(name, { ...honest(name), ...change }), lie).toBe(false);
    }
  });
});
