// Baby Jubjub, the curve whose coordinates are elements of the scalar field (EIP-2494), and EdDSA over it with Poseidon as
// circomlib has it: S·B = R + 8·h·A with h = Poseidon5(R, A, message). Identities and issuers are points of it.

import { babyjubjub } from "@noble/curves/misc.js";
import { poseidon } from "./poseidon/poseidon.ts";

const { Point } = babyjubjub;
type CurvePoint = InstanceType<typeof Point>;

/** Of the subgroup that B generates; secret scalars are below it. */
export const SUBGROUP_ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041n;

export type Coordinates = readonly [x: bigint, y: bigint];

/** The public key of a secret scalar between 0 and the subgroup's order. */
export function publicKeyOf(secret: bigint): Coordinates {
  return coordinatesOf(Point.BASE.multiply(secret));
}

/** Semaphore's name for an identity. */
export function identityCommitment(secret: bigint): bigint {
  return poseidon(publicKeyOf(secret));
}

/** Undefined for what is not a point of the subgroup, and for the neutral point, which verifies anything. */
export function pointOf([x, y]: Coordinates): CurvePoint | undefined {
  try {
    const point = Point.fromAffine({ x, y });
    point.assertValidity();
    return point.isTorsionFree() && !point.is0() ? point : undefined;
  } catch {
    return undefined;
  }
}

export interface Signature {
  readonly r8: Coordinates;
  readonly s: bigint;
}

/** `key` is a point of the subgroup, `s` is below the subgroup's order. */
export function verifies({ r8, s }: Signature, key: CurvePoint, message: bigint): boolean {
  const [x, y] = coordinatesOf(key);
  const challenge = (8n * poseidon([...r8, x, y, message])) % SUBGROUP_ORDER;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(challenge)).toAffine();
  return expected.x === r8[0] && expected.y === r8[1];
}

function coordinatesOf(point: CurvePoint): Coordinates {
  const { x, y } = point.toAffine();
  return [x, y];
}
