// Groth16 verification over BN254. A proof (A, B, C) for public signals s holds if
//
//   e(-A, B) · e(alpha, beta) · e(IC[0] + sum s[i]·IC[i+1], gamma) · e(C, delta) = 1      (Groth 2016, section 3.2)
//
// The key decides alpha, beta, gamma and delta: the Miller loop of e(alpha, beta) and the line coefficients of gamma and
// delta are computed once (some 50 ms, at the first verification), so that a proof costs one batch of three Miller loops and
// one final exponentiation, about 10 ms.

import { bn254 } from "@noble/curves/bn254.js";
import type { Verdict } from "./circuit.ts";
import { FIELD_ORDER, parseDecimal } from "./field.ts";
import { type G1Point, type G2Point, Malformed, parseG1, parseG2, parseProof } from "./groth16-proof.ts";

const { Fp12 } = bn254.fields;
type Fp12Element = typeof Fp12.ONE;
type LineCoefficients = ReturnType<typeof bn254.utils.calcPairingPrecomputes>;

/** A verifying key as snarkjs exports it; fields that verification does not need are left out here. */
export interface VerifyingKey {
  readonly protocol: string;
  readonly curve: string;
  readonly nPublic: number;
  readonly vk_alpha_1: readonly string[];
  readonly vk_beta_2: readonly (readonly string[])[];
  readonly vk_gamma_2: readonly (readonly string[])[];
  readonly vk_delta_2: readonly (readonly string[])[];
  readonly IC: readonly (readonly string[])[];
}

interface PreparedKey {
  readonly alphaBeta: Fp12Element;
  readonly gamma: LineCoefficients;
  readonly delta: LineCoefficients;
  readonly constant: G1Point;
  readonly perSignal: readonly G1Point[];
}

/** Verifies a proof and its public signals against one key; for anything that is not a valid proof the verdict says why. */
export type Groth16Verifier = (proof: unknown, publicSignals: unknown) => Verdict;

/** The key is prepared at the first use. A malformed key throws then: it is ours, so that is a defect of the build. */
export function groth16Verifier(key: VerifyingKey): Groth16Verifier {
  let prepared: PreparedKey | undefined;
  return (proof, publicSignals) => {
    prepared ??= prepare(key);
    try {
      return holds(prepared, parseProof(proof), parseSignals(publicSignals, key.nPublic))
        ? { valid: true }
        : { valid: false, reason: "the pairing equation does not hold" };
    } catch (error) {
      if (error instanceof Malformed) return { valid: false, reason: error.message };
      throw error;
    }
  };
}

function holds(key: PreparedKey, proof: ReturnType<typeof parseProof>, signals: readonly bigint[]): boolean {
  let statement = key.constant;
  key.perSignal.forEach((point, i) => {
    statement = statement.add(point.multiplyUnsafe(signals[i] ?? 0n));
  });
  const pairs = [
    term(proof.a.negate(), bn254.utils.calcPairingPrecomputes(proof.b)),
    term(proof.c, key.delta),
  ];
  // The pairing of infinity is 1, but the Miller loop has no affine coordinates to work with.
  if (!statement.is0()) pairs.push(term(statement, key.gamma));
  const product = Fp12.mul(key.alphaBeta, bn254.millerLoopBatch(pairs));
  return Fp12.eql(Fp12.finalExponentiate(product), Fp12.ONE);
}

function term(point: G1Point, lines: LineCoefficients): [LineCoefficients, bigint, bigint] {
  const { x, y } = point.toAffine();
  return [lines, x, y];
}

/** snarkjs takes a list that is too short if the signals that are missing are 0. */
function parseSignals(signals: unknown, count: number): readonly bigint[] {
  if (!Array.isArray(signals) || signals.length !== count) {
    throw new Malformed(`the public signals are not a list of ${count}`);
  }
  return signals.map((signal, i) => {
    const value = parseDecimal(signal, FIELD_ORDER);
    if (value === undefined) {
      throw new Malformed(`public signal ${i} is not a canonical decimal below the field's order`);
    }
    return value;
  });
}

function prepare(key: VerifyingKey): PreparedKey {
  if (key.protocol !== "groth16" || key.curve !== "bn128" || key.IC.length !== key.nPublic + 1) {
    throw new Error(
      `not a Groth16 key over bn128: ${key.protocol}, ${key.curve}, ${key.IC.length} points IC`,
    );
  }
  const lines = (point: G2Point) => bn254.utils.calcPairingPrecomputes(point);
  const [constant, ...perSignal] = key.IC.map((point, i) => parseG1(point, `IC[${i}]`));
  if (constant === undefined) throw new Error("IC is empty");
  const alpha = term(parseG1(key.vk_alpha_1, "vk_alpha_1"), lines(parseG2(key.vk_beta_2, "vk_beta_2")));
  return {
    alphaBeta: bn254.millerLoopBatch([alpha]),
    gamma: lines(parseG2(key.vk_gamma_2, "vk_gamma_2")),
    delta: lines(parseG2(key.vk_delta_2, "vk_delta_2")),
    constant,
    perSignal: perSignal.map((point) => point.precompute(4)),
  };
}
