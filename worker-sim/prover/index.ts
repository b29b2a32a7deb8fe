export { createProver, type Proved, type Prover, type ProverOptions, servedCircuits } from "./prover.ts";
export { type ProofJob, ProverError, type ProverErrorCode } from "./witness.ts";
