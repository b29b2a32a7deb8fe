// The semaphore circuit, version 4 of the protocol at depth 20: "a member of the group with this root says this message, once
// for each scope". Circuit and keys are Semaphore's own, from its ceremony, so its four public signals are given: the
// task's context goes into the message. Whatever verifies Semaphore's proofs elsewhere verifies these.

import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { z } from "zod";
import { identityCommitment, SUBGROUP_ORDER } from "../baby-jubjub.ts";
import { decimalBelow, fieldElement } from "../elements.ts";
import { bytesToField, ELEMENT_BYTES, fieldToHex } from "../field.ts";
import { decimals, groth16Circuit } from "../groth16-circuit.ts";
import { poseidon } from "../poseidon/poseidon.ts";
import { inOneStep } from "../steps.ts";
import verifying_key from "./verifying-key.json" with { type: "json" };

const DEPTH = 20;
const MESSAGE_BYTES_MAX = 1_000;

const siblingsMust = `must be a list of at most ${DEPTH} decimal numbers in strings`;
const indexMust = "must be a whole number below 2^(number of siblings)";

const input = z.object({
  secret: decimalBelow(SUBGROUP_ORDER, "the order of Baby Jubjub's subgroup")
    .refine((text) => text !== "0", { error: "must not be 0", abort: true })
    .describe("The identity's secret scalar."),
  merkle_proof: z
    .object({
      root: fieldElement.describe("Of the group; public."),
      index: z.int({ error: indexMust, abort: true }).min(0, { error: indexMust, abort: true }),
      siblings: z
        .array(fieldElement, { error: siblingsMust })
        .max(DEPTH, { error: siblingsMust })
        .describe("From the member's neighbour up, levels without one left out."),
    })
    .refine(({ index, siblings }) => index < 2 ** siblings.length, { path: ["index"], error: indexMust })
    .describe("As Semaphore's groups make it."),
  message: z
    .string({ error: "must be a text" })
    .refine((text) => utf8ToBytes(text).length <= MESSAGE_BYTES_MAX, {
      error: `must have at most ${MESSAGE_BYTES_MAX} bytes`,
    })
    .describe("What the member says."),
  scope: decimalBelow(2n ** 256n, "2^256").describe(
    "The nullifier is one for each member and scope; public.",
  ),
});

type Input = z.output<typeof input>;

/** Semaphore's way of a 256-bit number into the field: 248 bits of its Keccak hash. */
function keccakToField(number: bigint): bigint {
  const bytes = hexToBytes(number.toString(16).padStart(64, "0"));
  return bytesToField(keccak_256(bytes).subarray(0, ELEMENT_BYTES));
}

/** The 256-bit number that stands for the message, for one task: Semaphore hashes it once more. */
function boundMessage(message: string, context: bigint): bigint {
  return bytesToField(sha256(utf8ToBytes(`troika/semaphore/1\0${context}\0${message}`)));
}

function rootOver(leaf: bigint, { index, siblings }: Input["merkle_proof"]): bigint {
  return siblings.reduce((node, text, level) => {
    const sibling = BigInt(text);
    return poseidon((index >> level) & 1 ? [sibling, node] : [node, sibling]);
  }, leaf);
}

export const semaphore = groth16Circuit<Input>({
  name: "semaphore",
  circuit_type: "semaphore_proof",
  description: "A member of the group with this root says this message, without saying which member.",
  setup: "semaphore-v4-ceremony",
  verifying_key,
  signals: [
    { name: "root", meaning: "Of the group's tree; it is the task's merkle_root." },
    {
      name: "nullifier",
      meaning: "Poseidon2(scope, secret): the same for each proof of a member in a scope.",
    },
    {
      name: "message",
      meaning:
        "248 bits of Keccak-256 over SHA-256 of `troika/semaphore/1`, the task's context and the message, each but the last ended by a zero byte.",
    },
    { name: "scope", meaning: "248 bits of Keccak-256 over the scope's 32 bytes." },
  ],
  input,
  parse: (given) => input.parse(given),

  *contradiction({ secret, merkle_proof }) {
    const leaf = identityCommitment(BigInt(secret));
    yield;
    if (rootOver(leaf, merkle_proof).toString() === merkle_proof.root) return undefined;
    return { field: "merkle_proof", detail: "does not lead from the identity of this secret to the root" };
  },

  statement: ({ input: { secret, merkle_proof, message, scope }, context }) =>
    inOneStep(() => {
      const root = BigInt(merkle_proof.root);
      const scopeSignal = keccakToField(BigInt(scope));
      const nullifier = poseidon([scopeSignal, BigInt(secret)]);
      const messageSignal = keccakToField(boundMessage(message, context));
      return {
        public_inputs: decimals([root, nullifier, messageSignal, scopeSignal]),
        merkle_root: fieldToHex(root),
      };
    }),

  witness({ input: { secret, merkle_proof, message, scope }, context }) {
    const { index, siblings } = merkle_proof;
    return {
      secret: BigInt(secret),
      merkleProofLength: BigInt(siblings.length),
      merkleProofIndex: BigInt(index),
      merkleProofSiblings: Array.from({ length: DEPTH }, (_, level) => BigInt(siblings[level] ?? 0)),
      message: keccakToField(boundMessage(message, context)),
      scope: keccakToField(BigInt(scope)),
    };
  },
});
