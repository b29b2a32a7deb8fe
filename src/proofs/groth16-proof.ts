// A Groth16 proof over BN254 as snarkjs writes it, read strictly. snarkjs itself takes "00", hexadecimal and points
// whose z is 2; accepting what it accepts would let one proof be written in many ways and would leave open what else
// slips through. So: exactly these fields, canonical decimals below p, z = 1, no infinity, on the curve, in the subgroup.

import { bn254 } from "@noble/curves/bn254.js";
import { parseDecimal } from "./field.ts";

const G1 = bn254.G1.Point;
const G2 = bn254.G2.Point;
const { Fp, Fp2 } = bn254.fields;

export type G1Point = InstanceType<typeof G1>;
export type G2Point = InstanceType<typeof G2>;

export interface Proof {
  readonly a: G1Point;
  readonly b: G2Point;
  readonly c: G1Point;
}

/** Thrown and caught within this folder: why something is not a proof or a point. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

const FIELDS = new Set(["pi_a", "pi_b", "pi_c", "protocol", "curve"]);

/** Throws `Malformed`, and nothing else, for whatever is not a proof. */
export function parseProof(proof: unknown): Proof {
  if (typeof proof !== "object" || proof === null || Array.isArray(proof)) {
    throw new Malformed("the proof is not an object with pi_a, pi_b and pi_c");
  }
  for (const field of Object.keys(proof)) {
    if (!FIELDS.has(field))
      throw new Malformed("the proof has fields besides pi_a, pi_b, pi_c, protocol and curve");
  }
  const { pi_a, pi_b, pi_c, protocol, curve } = proof as Record<string, unknown>;
  if (protocol !== undefined && protocol !== "groth16") throw new Malformed("protocol is not groth16");
  if (curve !== undefined && curve !== "bn128") throw new Malformed("curve is not bn128");
  return { a: parseG1(pi_a, "pi_a"), b: parseG2(pi_b, "pi_b"), c: parseG1(pi_c, "pi_c") };
}

/** `["x", "y", "1"]` to a point of G1. */
export function parseG1(value: unknown, name: string): G1Point {
  const [x, y, z] = list(value, 3, name);
  if (z !== "1") throw new Malformed(`${name}[2] is not "1"`);
  const affine = { x: coordinate(x, `${name}[0]`), y: coordinate(y, `${name}[1]`) };
  if (affine.x === 0n && affine.y === 0n) throw new Malformed(`${name} is the point at infinity`);
  return validated(G1.fromAffine(affine), name);
}

/** `[["x0", "x1"], ["y0", "y1"], ["1", "0"]]` to a point of G2, in the subgroup of prime order. */
export function parseG2(value: unknown, name: string): G2Point {
  const [x, y, z] = list(value, 3, name);
  const [z0, z1] = list(z, 2, `${name}[2]`);
  if (z0 !== "1" || z1 !== "0") throw new Malformed(`${name}[2] is not ["1","0"]`);
  const affine = { x: coordinates(x, `${name}[0]`), y: coordinates(y, `${name}[1]`) };
  if (Fp2.is0(affine.x) && Fp2.is0(affine.y)) throw new Malformed(`${name} is the point at infinity`);
  return validated(G2.fromAffine(affine), name);
}

/** `fromAffine` alone checks neither the curve's equation nor the subgroup. */
function validated<P extends { assertValidity(): void }>(point: P, name: string): P {
  try {
    point.assertValidity();
  } catch {
    throw new Malformed(`${name} is not a point of the curve's subgroup`);
  }
  return point;
}

function coordinates(value: unknown, name: string) {
  const [c0, c1] = list(value, 2, name);
  return Fp2.fromBigTuple([coordinate(c0, `${name}[0]`), coordinate(c1, `${name}[1]`)]);
}

function coordinate(value: unknown, name: string): bigint {
  const number = parseDecimal(value, Fp.ORDER);
  if (number === undefined) throw new Malformed(`${name} is not a canonical decimal below the field's order`);
  return number;
}

function list(value: unknown, length: number, name: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length !== length)
    throw new Malformed(`${name} is not a list of ${length}`);
  return value;
}
