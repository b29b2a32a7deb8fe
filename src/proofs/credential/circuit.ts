// The credential circuit: "this issuer signed a credential whose value is at least the threshold, and its holder had this
// proved". Holder, value and signature stay secret; the nullifier is one for each holder and scope.

import { poseidon4 } from "poseidon-lite/poseidon4";
import { z } from "zod";
import { type Coordinates, pointOf, SUBGROUP_ORDER, verifies } from "../baby-jubjub.ts";
import { decimalBelow, fieldElement, u64 } from "../elements.ts";
import { contextSignal, decimals, groth16Circuit } from "../groth16-circuit.ts";
import { poseidon } from "../poseidon/poseidon.ts";
import { inOneStep } from "../steps.ts";
import verifying_key from "./verifying-key.json" with { type: "json" };

/** The version of what issuers sign, the first input of the hash. */
const CREDENTIAL = 1n;

const pointMust = "must be a list of two coordinates, decimal numbers in strings";
const point = z.array(fieldElement, { error: pointMust }).length(2, { error: pointMust });

const input = z
  .object({
    issuer: point.describe("The issuer's public key on Baby Jubjub, x and y."),
    signature: z.object({
      r8: point,
      s: decimalBelow(SUBGROUP_ORDER, "the order of Baby Jubjub's subgroup"),
    }),
    secret: fieldElement.describe("The holder's, random: the credential is for Poseidon1 of it."),
    attribute: fieldElement.describe("What the value is of, in whatever numbering the issuer keeps; public."),
    value: u64.describe("As signed; secret, below 2^64."),
    threshold: u64.describe("The value is not below it; public."),
    scope: fieldElement.describe("The nullifier is one for each holder and scope; public."),
  })
  .refine(({ value, threshold }) => BigInt(value) >= BigInt(threshold), {
    path: ["value"],
    error: "must not be below threshold",
  });

type Input = z.output<typeof input>;

function coordinates([x = "", y = ""]: readonly string[]): Coordinates {
  return [BigInt(x), BigInt(y)];
}

function numbers({ issuer, signature, ...rest }: Input) {
  return {
    issuer: coordinates(issuer),
    r8: coordinates(signature.r8),
    s: BigInt(signature.s),
    secret: BigInt(rest.secret),
    attribute: BigInt(rest.attribute),
    value: BigInt(rest.value),
    threshold: BigInt(rest.threshold),
    scope: BigInt(rest.scope),
  };
}

/** What an issuer signs. */
export function credentialMessage(credential: {
  readonly secret: bigint;
  readonly attribute: bigint;
  readonly value: bigint;
}): bigint {
  const { secret, attribute, value } = credential;
  return poseidon4([CREDENTIAL, poseidon([secret]), attribute, value]);
}

export const credential = groth16Circuit<Input>({
  name: "credential",
  circuit_type: "credential_proof",
  description: "The issuer signed a credential of its holder whose value is at least the threshold.",
  setup: "dev-single-party",
  verifying_key,
  signals: [
    {
      name: "nullifier",
      meaning: "Poseidon2(scope, secret): the same for each proof of a holder in a scope.",
    },
    { name: "issuer_x", meaning: "The issuer's public key, a point of Baby Jubjub's subgroup." },
    { name: "issuer_y", meaning: "Its other coordinate." },
    { name: "attribute", meaning: "What the signed value is of." },
    { name: "threshold", meaning: "The signed value is not below it." },
    { name: "scope", meaning: "What the nullifier is for." },
    contextSignal,
  ],
  input,
  parse: (given) => input.parse(given),

  *contradiction(given) {
    const { issuer, r8, s, ...signed } = numbers(given);
    const key = pointOf(issuer);
    if (key === undefined) {
      return { field: "issuer", detail: "is not a public key: no point of Baby Jubjub's subgroup" };
    }
    yield;
    if (verifies({ r8, s }, key, credentialMessage(signed))) return undefined;
    return { field: "signature", detail: "is not the issuer's over this secret, attribute and value" };
  },

  statement: ({ input: given, context }) =>
    inOneStep(() => {
      const { issuer, attribute, threshold, scope, secret } = numbers(given);
      const nullifier = poseidon([scope, secret]);
      return { public_inputs: decimals([nullifier, ...issuer, attribute, threshold, scope, context]) };
    }),

  witness: ({ input: given, context }) => ({ ...numbers(given), context }),
});
