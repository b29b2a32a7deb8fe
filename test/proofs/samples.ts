// One valid submission of each circuit, with content that no other call has. Tests that hold for every circuit take
// their inputs from here: a circuit without a sample fails them.

import { newBlinding } from "../../src/proofs/index.ts";

type Input = Readonly<Record<string, unknown>>;

const samples: Readonly<Record<string, () => Input>> = {
  merkle: () => ({ leaves: [BigInt(newBlinding()).toString(16).slice(0, 60), "0xabcd"], leaf_index: 1 }),
  preimage: () => ({ preimage: ["7", newBlinding()] }),
  range: () => ({ value: "1000", salt: newBlinding(), lo: "1000", hi: "18446744073709551615" }),
};

export function sampleOf(circuit: string): Input {
  const sample = samples[circuit];
  if (sample === undefined) throw new Error(`circuit ${circuit} needs a sample in test/proofs/samples.ts`);
  return sample();
}
