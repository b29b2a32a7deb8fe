// From the input that comes with a lease to the private inputs of the circuit. snarkjs reduces whatever it is given
// modulo the field's order, in silence, so everything is checked here.

import { z } from "zod";
import { taskContext } from "../../src/proofs/context.ts";
import { parseDecimal } from "../../src/proofs/field.ts";
import { circuits } from "../../src/proofs/index.ts";
import { parseMerkleInput } from "../../src/proofs/merkle/input.ts";
import { merklePath } from "../../src/proofs/merkle/tree.ts";

export interface ProofJob {
  readonly circuit: string;
  readonly task_id: string;
  /** For merkle `{leaves, leaf_index, blinding, context}`, the last two as decimal strings. */
  readonly input: unknown;
}

export type WitnessInput = Record<string, bigint | readonly bigint[]>;

/**
 * Why a job cannot be proved here. `key-mismatch`: the coordinator verifies with another key, so that its task needs
 * another prover; `invalid-input`: no prover can do it; `prover-crashed`: the thread died, another try may succeed.
 */
export type ProverErrorCode = "unknown-circuit" | "key-mismatch" | "invalid-input" | "prover-crashed";

export class ProverError extends Error {
  override readonly name = "ProverError";
  readonly code: ProverErrorCode;
  /** Whether the task may succeed elsewhere or later. */
  readonly retryable: boolean;

  constructor(code: ProverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code !== "invalid-input";
  }
}

/** Throws `ProverError`. */
export function witnessInput(job: ProofJob): WitnessInput {
  switch (job.circuit) {
    case "merkle":
      return merkleWitness(job);
    default:
      throw new ProverError("unknown-circuit", `this prover has no circuit ${JSON.stringify(job.circuit)}`);
  }
}

const BLINDING_BOUND = 2n ** 248n;
const secrets = z.object({ blinding: z.string(), context: z.string() });

/**
 * The lease brings `context`, and it is computed again from the task's id and this prover's key: a coordinator with
 * another key is noticed before a second is spent on a proof that it would refuse.
 */
function merkleWitness({ task_id, input }: ProofJob): WitnessInput {
  const { leaves, leaf_index, blinding, context } = validMerkleLease(input);
  const vkHash = circuits.get("merkle")?.vk_hash ?? "";
  if (context !== taskContext("merkle", vkHash, task_id)) {
    throw new ProverError(
      "key-mismatch",
      `context ${context} is not that of task ${task_id} under verifying key ${vkHash}`,
    );
  }
  const { value, siblings } = merklePath(leaves, leaf_index);
  return { value, blinding, index: BigInt(leaf_index), siblings, context: BigInt(context) };
}

function validMerkleLease(input: unknown) {
  try {
    const { blinding, context } = secrets.parse(input);
    const blindingValue = parseDecimal(blinding, BLINDING_BOUND);
    if (blindingValue === undefined) throw new Error("blinding is not a decimal of at most 248 bits");
    return { ...parseMerkleInput(input), blinding: blindingValue, context };
  } catch (error) {
    throw new ProverError("invalid-input", `the input of the lease is not one: ${String(error)}`);
  }
}
