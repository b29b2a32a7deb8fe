export { createProver, type Proved, type Prover } from "./prover.ts";
export { type ProofJob, ProverError, type ProverErrorCode } from "./witness.ts";
