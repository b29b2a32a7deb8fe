// From the input that comes with a lease to what the circuit's witness calculator is given. snarkjs reduces whatever it is
// given modulo the field's order, in silence, so everything is checked before.

import { z } from "zod";
import { taskContext } from "../../src/proofs/context.ts";
import { parseDecimal } from "../../src/proofs/field.ts";
import { circuitsOf, type WitnessInput } from "../../src/proofs/index.ts";

export interface ProofJob {
  readonly circuit: string;
  readonly task_id: string;
  /** The circuit's own fields, and with them `blinding` and `context` as decimal strings. */
  readonly input: unknown;
}

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

const BLINDING_BOUND = 2n ** 248n;
const secrets = z.object({ blinding: z.string(), context: z.string() });

/**
 * The lease brings `context`, and it is computed again from the task's id and this prover's key: a coordinator with
 * another key is noticed before a second is spent on a proof that it would refuse. Throws `ProverError`.
 */
export function witnessInput({ circuit: name, task_id, input }: ProofJob): WitnessInput {
  const circuit = circuitsOf({ bench: true }).get(name);
  if (circuit === undefined) {
    throw new ProverError("unknown-circuit", `this prover has no circuit ${JSON.stringify(name)}`);
  }
  const { blinding, context } = validSecrets(input);
  if (context !== taskContext(name, circuit.vk_hash, task_id)) {
    throw new ProverError(
      "key-mismatch",
      `context ${context} is not that of task ${task_id} under verifying key ${circuit.vk_hash}`,
    );
  }
  try {
    return circuit.witness({ input, blinding, context: BigInt(context) });
  } catch (error) {
    throw notAnInput(error);
  }
}

/** What comes with every lease beside the circuit's own fields. Throws `ProverError`. */
export function validSecrets(input: unknown) {
  try {
    const { blinding, context } = secrets.parse(input);
    const value = parseDecimal(blinding, BLINDING_BOUND);
    if (value === undefined) throw new Error("blinding is not a decimal of at most 248 bits");
    return { blinding: value, context };
  } catch (error) {
    throw notAnInput(error);
  }
}

function notAnInput(error: unknown): ProverError {
  return new ProverError("invalid-input", `the input of the lease is not one: ${String(error)}`);
}
