// One proving thread: snarkjs with an engine that stays in this thread, and the keys of each circuit once it is asked
// for. By default snarkjs would start threads of its own and keep the process alive; told not to, it would build its
// engine anew for every proof (170 ms) unless it finds one in `globalThis.curve_bn128`.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { constants, getPriority, setPriority } from "node:os";
import { curves, groth16, wtns } from "snarkjs";
import { compiled, installPoseidon } from "../../src/proofs/poseidon/poseidon.ts";
import { type ProofJob, ProverError, type ProverErrorCode, witnessInput } from "./witness.ts";

/** A prover is a guest on the machine of its cluster: elections must not be held because of a proof. */
const PRIORITY = constants.priority.PRIORITY_BELOW_NORMAL;

export type ThreadAnswer =
  | {
      readonly type: "proved";
      readonly proof: Record<string, unknown>;
      readonly public_inputs: readonly string[];
      readonly duration_ms: number;
    }
  | { readonly type: "failed"; readonly code: ProverErrorCode; readonly message: string };

interface Artifacts {
  readonly wasm: Uint8Array;
  readonly zkey: Uint8Array;
}

interface Manifest {
  readonly circuits: Readonly<Record<string, { readonly files: Readonly<Record<string, string>> }>>;
}

const POSEIDON = new URL("../../src/proofs/poseidon/poseidon.wasm", import.meta.url);

const artifacts = new Map<string, Promise<Artifacts>>();
const started = start();

/** Failures are values: an error's class does not survive the way to the main thread. */
export default async function prove(job: ProofJob): Promise<ThreadAnswer> {
  try {
    const manifest = await started;
    const began_ms = performance.now();
    const input = witnessInput(job);
    const { wasm, zkey } = await loaded(job.circuit, manifest);
    const witness = { type: "mem" } as const;
    await wtns.calculate(input, wasm, witness).catch((error: unknown) => {
      // Which constraint it was stands in the message, and none of the values.
      throw new ProverError(
        "invalid-input",
        `the circuit ${job.circuit} has no witness for it: ${String(error)}`,
      );
    });
    const { proof, publicSignals } = await groth16.prove(zkey, witness);
    const duration_ms = Math.round(performance.now() - began_ms);
    return { type: "proved", proof, public_inputs: publicSignals, duration_ms };
  } catch (error) {
    if (error instanceof ProverError) return { type: "failed", code: error.code, message: error.message };
    throw error;
  }
}

async function start(): Promise<Manifest> {
  const manifest = JSON.parse(await readFile(inCircuits("manifest.json"), "utf8"));
  // On Linux a priority belongs to a thread, and this is the calling one; elsewhere it lowers the whole process. It is
  // inherited by threads that are started from here: by now libuv's, which read files for everybody, are running.
  if (getPriority() < PRIORITY) setPriority(PRIORITY);
  installPoseidon(compiled(await readFile(POSEIDON)));
  Object.assign(globalThis, { curve_bn128: await curves.getCurveFromName("bn128", { singleThread: true }) });
  return manifest;
}

function loaded(circuit: string, manifest: Manifest): Promise<Artifacts> {
  const known = artifacts.get(circuit);
  if (known !== undefined) return known;
  const loading = load(circuit, manifest);
  artifacts.set(circuit, loading);
  return loading;
}

async function load(circuit: string, manifest: Manifest): Promise<Artifacts> {
  const checked = async (file: string): Promise<Uint8Array> => {
    const path = `${circuit}/${file}`;
    const bytes = await readFile(inCircuits(path));
    const expected = manifest.circuits[circuit]?.files[`worker-sim/circuits/${path}`];
    if (createHash("sha256").update(bytes).digest("hex") !== expected) {
      throw new ProverError(
        "key-mismatch",
        `worker-sim/circuits/${path} is not the file that the manifest lists`,
      );
    }
    return bytes;
  };
  return { wasm: await checked(`${circuit}.wasm`), zkey: await checked(`${circuit}.zkey`) };
}

function inCircuits(path: string): URL {
  return new URL(`../circuits/${path}`, import.meta.url);
}
