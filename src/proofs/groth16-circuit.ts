// A circuit whose proofs are Groth16 over BN254, made from what is particular to it: how an input is read, what follows
// from it, and the verifying key. The rest is the same for all of them and is written here once.

import type { z } from "zod";
import type { CanonicalInput, Circuit, Contradiction, Signal, Statement, WitnessInput } from "./circuit.ts";
import { taskContext } from "./context.ts";
import { difference } from "./expected.ts";
import { groth16Verifier, type VerifyingKey } from "./groth16.ts";
import type { Steps } from "./steps.ts";
import { verifyingKeyHash } from "./verifying-key.ts";

export interface CircuitTask<Input> {
  readonly input: Input;
  /** 248 random bits that only coordinator and lease holder know. */
  readonly blinding: bigint;
  /** Names circuit, key and task. Every circuit has it among its public signals, or bound into one of them. */
  readonly context: bigint;
}

export interface Groth16Circuit<Input extends CanonicalInput> {
  readonly name: string;
  readonly circuit_type: string;
  readonly description: string;
  readonly setup: string;
  readonly verifying_key: VerifyingKey;
  readonly signals: readonly Signal[];
  readonly input: z.ZodType;
  /** Defaults filled in, keys in a fixed order, one spelling for one content. Throws for what is no input. */
  parse(input: unknown): Input;
  contradiction?(input: Input): Steps<Contradiction | undefined>;
  statement(task: CircuitTask<Input>): Steps<Statement>;
  witness(task: CircuitTask<Input>): WitnessInput;
}

export function groth16Circuit<Input extends CanonicalInput>(own: Groth16Circuit<Input>): Circuit {
  const { name, circuit_type, description, setup, verifying_key, signals, input } = own;
  const vk_hash = verifyingKeyHash(verifying_key);
  const verifyProof = groth16Verifier(verifying_key);
  if (signals.length !== verifying_key.nPublic) {
    throw new Error(`${name} describes ${signals.length} signals, its key has ${verifying_key.nPublic}`);
  }
  return {
    name,
    circuit_type,
    description,
    vk_hash,
    verifying_key,
    setup,
    signals,
    input,
    canonical: (given) => own.parse(given),
    *contradiction(given) {
      return own.contradiction === undefined ? undefined : yield* own.contradiction(own.parse(given));
    },
    *statement({ task_id, input: given, blinding }) {
      const context = BigInt(taskContext(name, vk_hash, task_id));
      return yield* own.statement({ input: own.parse(given), blinding: BigInt(blinding), context });
    },
    witness: ({ input: given, ...secrets }) => own.witness({ input: own.parse(given), ...secrets }),
    verify(proof, publicInputs, expected) {
      const reason = difference(publicInputs, expected);
      return reason === undefined ? verifyProof(proof, expected) : { valid: false, reason };
    },
  };
}

/** Every circuit's last word about itself. */
export const contextSignal: Signal = {
  name: "context",
  meaning: "248 bits of a hash over circuit, verifying key and task: the proof is for no other.",
};

/** Signals as statements and proofs have them. */
export function decimals(signals: readonly bigint[]): readonly string[] {
  return signals.map(String);
}
