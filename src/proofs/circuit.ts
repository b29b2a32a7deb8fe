// What a circuit is to the rest of Troika: the input that a client may submit, the public statement that follows from
// it, the witness that a prover needs, and the judgement of a proof. The statement is computed by the coordinator, never
// taken from a prover.

import type { z } from "zod";
import type { Steps } from "./steps.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** JSON-serialisable, keys in a fixed order: equal content gives equal text. */
export type CanonicalInput = { readonly [field: string]: Json };

export interface Statement {
  /** The public signals in the circuit's order, canonical decimals below the field's order. */
  readonly public_inputs: readonly string[];
  /** "0x" and 64 digits, for circuits that speak of a Merkle tree. */
  readonly merkle_root?: string;
}

/** One public signal, for whoever verifies a proof without us. */
export interface Signal {
  readonly name: string;
  readonly meaning: string;
}

export type Verdict = { readonly valid: true } | { readonly valid: false; readonly reason: string };

/** The circuit's signals by name, private ones among them. Elements of the field: nothing is reduced later. */
export type WitnessInput = Readonly<Record<string, bigint | readonly bigint[]>>;

/** Why an input that has the right form has no proof: a signature that does not verify, a path that leads elsewhere. */
export interface Contradiction {
  /** The field of the submission that is to blame. */
  readonly field: string;
  /** Continues the field's name: "is not …". Never shows a value. */
  readonly detail: string;
}

export interface Circuit {
  /** As in routes and leases: "merkle". */
  readonly name: string;
  /** As tasks show it: "merkle_proof". */
  readonly circuit_type: string;
  /** What a proof says, in one sentence. */
  readonly description: string;
  /** SHA-256 of the verifying key's canonical JSON, 64 hex digits. Provers announce it: another key's proofs fail here. */
  readonly vk_hash: string;
  /** In snarkjs' form, for publication. */
  readonly verifying_key: unknown;
  /** How the keys were made: "dev-single-party" is sound against provers, not against the keys' maker. */
  readonly setup: string;
  /** What a proof states: its public signals in their order. */
  readonly signals: readonly Signal[];
  /** The circuit's own fields of a submission; other fields are dropped. */
  readonly input: z.ZodType;
  /** Two submissions with the same canonical input are the same content. Takes what `input` puts out. */
  canonical(input: unknown): CanonicalInput;
  /** What `input` does not look for because it takes milliseconds; undefined where a proof exists. */
  contradiction(input: CanonicalInput): Steps<Contradiction | undefined>;
  /**
   * The public statement of one task, computed once, at submission; for a large input that takes a few hundred
   * milliseconds. `blinding` is decimal, from `newBlinding`. Throws only for an input that is not canonical.
   */
  statement(task: {
    readonly task_id: string;
    readonly input: CanonicalInput;
    readonly blinding: string;
  }): Steps<Statement>;
  /**
   * What the prover's witness calculator is given. Validates `input` again, which came over the network: throws for
   * whatever `input` would refuse. `context` is that of the task, `blinding` has 248 bits at most.
   */
  witness(task: {
    readonly input: unknown;
    readonly blinding: bigint;
    readonly context: bigint;
  }): WitnessInput;
  /**
   * Compares the submitted signals with the expected ones as strings, then verifies against our own key. Takes
   * anything a prover may send and never throws. Proofs can be re-randomised by anybody who has one: the bytes of a
   * proof are neither an id nor a key for duplicates.
   */
  verify(proof: unknown, publicInputs: unknown, expected: readonly string[]): Verdict;
}
