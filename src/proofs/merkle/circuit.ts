// The merkle circuit: "the requested leaf, at the requested place, is in the tree with this root". Public signals
// [root, tag, context]; docs/proofs.md tells why each is there.

import type { Circuit } from "../circuit.ts";
import { taskContext } from "../context.ts";
import { fieldToHex } from "../field.ts";
import { groth16Verifier } from "../groth16.ts";
import { verifyingKeyHash } from "../verifying-key.ts";
import { merkleInput, parseMerkleInput } from "./input.ts";
import { leafTag, merklePathSteps } from "./tree.ts";
import verifyingKey from "./verifying-key.json" with { type: "json" };

const NAME = "merkle";
const VK_HASH = verifyingKeyHash(verifyingKey);
const verifyProof = groth16Verifier(verifyingKey);

export const merkle: Circuit = {
  name: NAME,
  circuit_type: "merkle_proof",
  vk_hash: VK_HASH,
  verifying_key: verifyingKey,
  setup: "dev-single-party",
  signals: [
    {
      name: "root",
      meaning: "Root of the Poseidon tree of depth 10 over the leaves; it is the task's merkle_root.",
    },
    {
      name: "tag",
      meaning:
        "Poseidon5(1, leaf, index, blinding, context): a commitment to the leaf and its place in the tree.",
    },
    {
      name: "context",
      meaning: "248 bits of a hash over circuit, verifying key and task: the proof is for no other.",
    },
  ],
  input: merkleInput,

  canonical(input) {
    const { leaves, leaf_index } = parseMerkleInput(input);
    return { leaves, leaf_index };
  },

  *statement({ task_id, input, blinding }) {
    const { leaves, leaf_index } = parseMerkleInput(input);
    const context = taskContext(NAME, VK_HASH, task_id);
    const { root, value } = yield* merklePathSteps(leaves, leaf_index);
    const tag = leafTag({ value, index: leaf_index, blinding: BigInt(blinding), context: BigInt(context) });
    return { public_inputs: [root.toString(), tag.toString(), context], merkle_root: fieldToHex(root) };
  },

  verify(proof, publicInputs, expected) {
    if (!Array.isArray(publicInputs) || publicInputs.length !== expected.length) {
      return { valid: false, reason: `the public inputs are not a list of ${expected.length}` };
    }
    const different = expected.findIndex((signal, i) => signal !== publicInputs[i]);
    if (different >= 0) return { valid: false, reason: `public input ${different} is not the task's` };
    return verifyProof(proof, expected);
  },
};
