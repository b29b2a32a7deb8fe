// Proving in worker threads: one job per thread at a time, each thread with an engine of its own, so that the main thread
// keeps its heartbeats and a crash costs one job. Runs on Node only.

import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { circuitsOf } from "../../src/proofs/index.ts";
import { noop } from "../../src/proofs/noop/circuit.ts";
import type { ThreadAnswer } from "./thread.ts";
import { type ProofJob, ProverError, validSecrets, witnessInput } from "./witness.ts";

export interface Proved {
  /** In snarkjs' form. */
  readonly proof: Record<string, unknown>;
  /** Canonical decimals in the circuit's order. */
  readonly public_inputs: readonly string[];
  /** Witness and proof, without the time spent waiting for a thread. */
  readonly duration_ms: number;
}

export interface Prover {
  /** What to announce to a coordinator. */
  readonly circuits: readonly { readonly name: string; readonly vk_hash: string }[];
  /**
   * Waits for a free thread and proves. Rejects with `ProverError`, or with an `AbortError` when `signal` is aborted: the
   * thread is then ended, whatever it is doing, and a fresh one takes its place.
   */
  prove(job: ProofJob, options?: { readonly signal?: AbortSignal }): Promise<Proved>;
  /** Ends all threads; jobs that are not finished reject with an `AbortError`. */
  close(): Promise<void>;
}

export interface ProverOptions {
  /** How many proofs at the same time, one per core at most to be of use. */
  readonly threads: number;
  /** Names of the circuits to serve; all that there are where absent. */
  readonly circuits?: readonly string[];
}

const known = circuitsOf({ bench: true });

/** Every circuit that a prover can serve. The coordinator decides which of them it has work for. */
export const servedCircuits: readonly string[] = [...known.keys()];

export function createProver({ threads, circuits = servedCircuits }: ProverOptions): Prover {
  const served = circuits.flatMap((name) => known.get(name) ?? []);
  if (served.length !== circuits.length) throw new Error(`no such circuit among ${circuits.join(", ")}`);
  const pool = new Piscina<ProofJob, ThreadAnswer>({
    filename: fileURLToPath(new URL("./thread.ts", import.meta.url)),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 1,
    // web-worker, which snarkjs imports, takes a thread for one of its own unless it finds data without its fields.
    workerData: {},
  });
  let closed = false;
  return {
    circuits: served.map(({ name, vk_hash }) => ({ name, vk_hash })),
    async prove(job, options = {}) {
      const { circuit, task_id, input } = job;
      if (!circuits.includes(circuit)) {
        throw new ProverError("unknown-circuit", `this prover does not serve ${JSON.stringify(circuit)}`);
      }
      const signal = options.signal ?? null;
      signal?.throwIfAborted();
      if (circuit === noop.name) return proveNothing(job);
      const answer = await pool.run({ circuit, task_id, input }, { signal }).catch((cause: unknown) => {
        if (cause instanceof Error && cause.name === "AbortError") throw cause;
        if (closed) throw new DOMException("the prover was closed", "AbortError");
        const message = `proving ${circuit} for task ${task_id} failed: ${String(cause)}`;
        throw new ProverError("prover-crashed", message, { cause });
      });
      if (answer.type === "failed") throw new ProverError(answer.code, answer.message);
      const { proof, public_inputs, duration_ms } = answer;
      return { proof, public_inputs, duration_ms };
    },
    async close() {
      closed = true;
      await pool.destroy();
    },
  };
}

/** Needs no thread. */
function proveNothing(job: ProofJob): Proved {
  witnessInput(job);
  return { proof: {}, public_inputs: [validSecrets(job.input).context], duration_ms: 0 };
}
