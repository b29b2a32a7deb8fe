// The circuit that proves nothing, with the empty proof: for measuring everything around a proof, that is submission, lease,
// delivery and commit. It exists only where BENCH is on, because its tasks are completed by whoever says so.

import { utf8ToBytes } from "@noble/hashes/utils.js";
import { z } from "zod";
import type { Circuit } from "../circuit.ts";
import { taskContext } from "../context.ts";
import { difference } from "../expected.ts";
import { contextSignal } from "../groth16-circuit.ts";
import { inOneStep } from "../steps.ts";
import { verifyingKeyHash } from "../verifying-key.ts";

const NAME = "noop";
const DATA_BYTES_MAX = 100;
const VK_HASH = verifyingKeyHash(null);

const input = z.object({
  data: z
    .string({ error: "must be a text" })
    .refine((text) => utf8ToBytes(text).length <= DATA_BYTES_MAX, {
      error: `must have at most ${DATA_BYTES_MAX} bytes`,
    })
    .describe("Whatever tells one task from another."),
});

export const noop: Circuit = {
  name: NAME,
  circuit_type: "noop",
  description: "Nothing at all: the proof is empty.",
  vk_hash: VK_HASH,
  verifying_key: null,
  setup: "none",
  signals: [contextSignal],
  input,
  canonical: (given) => input.parse(given),
  contradiction: () => inOneStep(() => undefined),
  statement: ({ task_id }) => inOneStep(() => ({ public_inputs: [taskContext(NAME, VK_HASH, task_id)] })),
  witness: () => ({}),
  verify(proof, publicInputs, expected) {
    const reason =
      difference(publicInputs, expected) ?? (isEmpty(proof) ? undefined : "the proof is not empty");
    return reason === undefined ? { valid: true } : { valid: false, reason };
  },
};

function isEmpty(proof: unknown): boolean {
  return (
    typeof proof === "object" && proof !== null && !Array.isArray(proof) && Object.keys(proof).length === 0
  );
}
