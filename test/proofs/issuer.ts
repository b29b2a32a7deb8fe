// Signs credentials as an issuer would, by circomlib's EdDSA-Poseidon. The circuit itself is the second opinion: it finds
// no witness for a signature that is not one.

import { babyjubjub } from "@noble/curves/misc.js";
import { poseidon5 } from "poseidon-lite/poseidon5";
import { publicKeyOf, type Signature, SUBGROUP_ORDER } from "../../src/proofs/baby-jubjub.ts";
import { credentialMessage } from "../../src/proofs/credential/circuit.ts";
import { newBlinding } from "../../src/proofs/index.ts";

const { Point } = babyjubjub;

function sign(key: bigint, message: bigint): Signature {
  const nonce = BigInt(newBlinding());
  const { x, y } = Point.BASE.multiply(nonce).toAffine();
  const challenge = poseidon5([x, y, ...publicKeyOf(key), message]);
  return { r8: [x, y], s: (nonce + 8n * challenge * key) % SUBGROUP_ORDER };
}

export function issued(credential: {
  readonly key: bigint;
  readonly secret: bigint;
  readonly attribute: bigint;
  readonly value: bigint;
}) {
  const { r8, s } = sign(credential.key, credentialMessage(credential));
  return {
    issuer: publicKeyOf(credential.key).map(String),
    signature: { r8: r8.map(String), s: String(s) },
    secret: String(credential.secret),
    attribute: String(credential.attribute),
    value: String(credential.value),
  };
}
