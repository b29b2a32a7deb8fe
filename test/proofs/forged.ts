// Proofs that must not be accepted, each made from a real one.

import { bn254 } from "@noble/curves/bn254.js";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import type { SnarkjsProof } from "./fixture.ts";
import { type Random, seeded } from "./random.ts";

export interface Submitted {
  readonly proof: unknown;
  readonly public_inputs: readonly string[];
}

/** Valid points, but of nothing. */
export function randomProof(random: Random): unknown {
  const g1 = () => {
    const { x, y } = bn254.G1.Point.BASE.multiply(1n + random.bigBelow(FIELD_ORDER - 1n)).toAffine();
    return [x.toString(), y.toString(), "1"];
  };
  const { x, y } = bn254.G2.Point.BASE.multiply(1n + random.bigBelow(FIELD_ORDER - 1n)).toAffine();
  const pi_b = [
    [x.c0.toString(), x.c1.toString()],
    [y.c0.toString(), y.c1.toString()],
    ["1", "0"],
  ];
  return { pi_a: g1(), pi_b, pi_c: g1() };
}

/** Of one statement, with a valid proof of it at hand: everything that is close to it and must be refused. */
export function forgeries(
  proof: SnarkjsProof,
  signals: readonly string[],
): Readonly<Record<string, Submitted>> {
  const last = signals.length - 1;
  const [x = "0", y = "0"] = proof.pi_a;
  const touched = (change: (signal: bigint) => bigint) =>
    signals.map((signal, i) => (i === last ? change(BigInt(signal)).toString() : signal));
  return {
    "random points": { proof: randomProof(seeded(11)), public_inputs: signals },
    "a proof cut short": { proof: { ...proof, pi_c: undefined }, public_inputs: signals },
    "signals cut short": { proof, public_inputs: signals.slice(0, last) },
    "a signal plus r": { proof, public_inputs: touched((signal) => signal + FIELD_ORDER) },
    "a signal with one bit flipped": { proof, public_inputs: touched((signal) => signal ^ 1n) },
    "a coordinate with one bit flipped": {
      proof: { ...proof, pi_a: [(BigInt(x) ^ 4n).toString(), y, "1"] },
      public_inputs: signals,
    },
    "A and C exchanged": { proof: { ...proof, pi_a: proof.pi_c, pi_c: proof.pi_a }, public_inputs: signals },
  };
}
