// One valid submission of each circuit, with content that no other call has. Tests that hold for every circuit take
// their inputs from here: a circuit without a sample fails them.

import { poseidon2 } from "poseidon-lite/poseidon2";
import { identityCommitment } from "../../src/proofs/baby-jubjub.ts";
import { newBlinding } from "../../src/proofs/index.ts";
import { issued } from "./issuer.ts";

export type Input = Readonly<Record<string, unknown>>;

/** A member of a group of eight, the sixth of them. */
function semaphore(): Input {
  const secret = newBlinding();
  const siblings = [11n, 12n, 13n];
  const [first = 0n, second = 0n, third = 0n] = siblings;
  const parent = poseidon2([first, identityCommitment(BigInt(secret))]);
  const root = poseidon2([third, poseidon2([parent, second])]);
  const merkle_proof = { root: String(root), index: 5, siblings: siblings.map(String) };
  return { secret, merkle_proof, message: "yes", scope: "42" };
}

function credential(): Input {
  const secret = BigInt(newBlinding());
  return { ...issued({ key: 4711n, secret, attribute: 1n, value: 21n }), threshold: "18", scope: "7" };
}

const samples: Readonly<Record<string, () => Input>> = {
  merkle: () => ({ leaves: [BigInt(newBlinding()).toString(16).slice(0, 60), "0xabcd"], leaf_index: 1 }),
  semaphore,
  credential,
  preimage: () => ({ preimage: ["7", newBlinding()] }),
  range: () => ({ value: "1000", salt: newBlinding(), lo: "1000", hi: "18446744073709551615" }),
};

export function sampleOf(circuit: string): Input {
  const sample = samples[circuit];
  if (sample === undefined) throw new Error(`circuit ${circuit} needs a sample in test/proofs/samples.ts`);
  return sample();
}
