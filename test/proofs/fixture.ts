// One real proof, kept so that tests of the verifier need not prove. Run this file with node to make it anew after
// `npm run circuits`: proofs are worth nothing under other keys.

import { readFileSync, writeFileSync } from "node:fs";
import { atOnce, circuits, newBlinding } from "../../src/proofs/index.ts";
import { createProver } from "../../worker-sim/prover/index.ts";

export interface SnarkjsProof {
  readonly pi_a: readonly string[];
  readonly pi_b: readonly (readonly string[])[];
  readonly pi_c: readonly string[];
  readonly protocol: string;
  readonly curve: string;
}

export interface Fixture {
  readonly task_id: string;
  readonly input: { readonly leaves: readonly string[]; readonly leaf_index: number };
  readonly blinding: string;
  readonly public_inputs: readonly string[];
  readonly merkle_root: string;
  readonly proof: SnarkjsProof;
}

const file = new URL("./fixtures/merkle-proof.json", import.meta.url);

export function merkleFixture(): Fixture {
  return JSON.parse(readFileSync(file, "utf8"));
}

async function make(): Promise<void> {
  const circuit = circuits.get("merkle");
  if (circuit === undefined) throw new Error("no merkle circuit");
  const task_id = "00000000-0000-4000-8000-000000000001";
  const input = circuit.canonical({
    leaves: ["0x01", "0xabcdef", "0x0001", `0x${"ff".repeat(32)}`],
    leaf_index: 2,
  });
  const blinding = newBlinding();
  const statement = atOnce(circuit.statement({ task_id, input, blinding }));
  const context = statement.public_inputs[2];
  const prover = createProver({ threads: 1 });
  const { proof } = await prover.prove({
    circuit: "merkle",
    task_id,
    input: { ...input, blinding, context },
  });
  await prover.close();
  writeFileSync(file, `${JSON.stringify({ task_id, input, blinding, ...statement, proof }, null, 2)}\n`);
}

if (import.meta.main) await make();
