// The merkle circuit: "the requested leaf, at the requested place, is in the tree with this root". Public signals
// [root, tag, context]; docs/proofs.md tells why each is there.

import { fieldToHex } from "../field.ts";
import { contextSignal, decimals, groth16Circuit } from "../groth16-circuit.ts";
import { merkleInput, parseMerkleInput } from "./input.ts";
import { leafTag, merklePath, merklePathSteps } from "./tree.ts";
import verifying_key from "./verifying-key.json" with { type: "json" };

export const merkle = groth16Circuit({
  name: "merkle",
  circuit_type: "merkle_proof",
  description: "The requested leaf, at the requested place, is in the tree with this root.",
  setup: "dev-single-party",
  verifying_key,
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
    contextSignal,
  ],
  input: merkleInput,
  parse: parseMerkleInput,

  *statement({ input: { leaves, leaf_index }, blinding, context }) {
    const { root, value } = yield* merklePathSteps(leaves, leaf_index);
    const tag = leafTag({ value, index: leaf_index, blinding, context });
    return { public_inputs: decimals([root, tag, context]), merkle_root: fieldToHex(root) };
  },

  witness({ input: { leaves, leaf_index }, blinding, context }) {
    const { value, siblings } = merklePath(leaves, leaf_index);
    return { value, blinding, index: BigInt(leaf_index), siblings, context };
  },
});
