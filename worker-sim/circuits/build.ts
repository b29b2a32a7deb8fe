// `npm run circuits`: compiles every circuit, makes its keys, and writes the manifest that says what was made and how.
// Its results are committed; it never runs in CI or at start. Three minutes, nearly all of them for the powers of tau.
//
// `npm run circuits -- --check` changes nothing: it compiles each circuit again, and compares what comes out, and every
// committed file, with the manifest.
//
// The setup is by a single party: this script draws the secrets of both phases, and whoever ran it could have kept them
// and could then forge proofs. It protects the coordinator from provers, not from the maker of the keys.

import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { verifyingKeyHash } from "../../src/proofs/verifying-key.ts";

const CIRCUITS = ["merkle"] as const;
const SETUP = "dev-single-party";
/** 2^13 constraints are room for every circuit that is planned; larger ones cost minutes for nothing. */
const POWER = 13;

const here = dirname(fileURLToPath(import.meta.url));
const project = join(here, "../..");
/** Not committed: the powers of tau (9 MB) are worth keeping for the next circuit; the rest are intermediate files. */
const cache = join(here, ".cache");

interface Manifest {
  readonly setup: string;
  readonly curve: "bn128";
  readonly powers_of_tau: number;
  readonly made_with: Readonly<Record<string, string>>;
  /** SHA-256 of each file, by its path from the project's root; the constraint system's too, though it is not committed. */
  readonly files: Readonly<Record<string, string>>;
  readonly r1cs: Readonly<Record<string, string>>;
  /** The names by which provers and coordinator speak of the verifying keys. */
  readonly vk_hash: Readonly<Record<string, string>>;
}

const manifestFile = join(here, "manifest.json");

interface Compiled {
  readonly r1cs: string;
  readonly wasm: string;
}

async function compile(circuit: string): Promise<Compiled> {
  const out = join(cache, circuit);
  await mkdir(out, { recursive: true });
  // circom sees the file system through WASI: it can open only what lies below or above its working directory.
  const source = join("worker-sim/circuits", circuit, `${circuit}.circom`);
  const compiler = join(project, "node_modules/circom2/cli.js");
  const options = ["--r1cs", "--wasm", "--O2", "-l", "node_modules", "-o", relative(project, out)];
  const { stdout } = await promisify(execFile)(process.execPath, [compiler, source, ...options], {
    cwd: project,
  });
  const constraints = /non-linear constraints: (\d+)/.exec(stdout)?.[1];
  if (constraints === undefined) throw new Error(`circom did not compile ${source}:\n${stdout}`);
  console.log(`${circuit}: compiled, ${constraints} constraints`);
  return { r1cs: join(out, `${circuit}.r1cs`), wasm: join(out, `${circuit}_js`, `${circuit}.wasm`) };
}

async function powersOfTau(): Promise<string> {
  const { curves, powersOfTau } = await import("snarkjs");
  const prepared = join(cache, `pot${POWER}.ptau`);
  if (await exists(prepared)) {
    console.log(`powers of tau: ${relative(project, prepared)} is reused`);
    return prepared;
  }
  const [blank, contributed] = [join(cache, "blank.ptau"), join(cache, "contributed.ptau")];
  const unfinished = `${prepared}.unfinished`;
  console.log(`powers of tau 2^${POWER}: about three minutes`);
  await powersOfTau.newAccumulator(await curves.getCurveFromName("bn128"), POWER, blank);
  await powersOfTau.contribute(blank, contributed, SETUP, entropy());
  await powersOfTau.preparePhase2(contributed, unfinished);
  await writeFile(prepared, await readFile(unfinished));
  for (const file of [blank, contributed, unfinished]) await rm(file);
  return prepared;
}

async function makeKeys(circuit: string, compiled: Compiled, ptau: string): Promise<void> {
  const { zKey } = await import("snarkjs");
  const [zkey, wasm, vk] = committed(circuit);
  const initial = join(cache, circuit, "initial.zkey");
  await zKey.newZKey(compiled.r1cs, ptau, initial);
  await zKey.contribute(initial, zkey, SETUP, entropy());
  await rm(initial);
  if (!(await zKey.verifyFromR1cs(compiled.r1cs, ptau, zkey)))
    throw new Error(`${zkey} does not fit its circuit`);
  await writeFile(wasm, await readFile(compiled.wasm));
  await writeFile(vk, `${JSON.stringify(await zKey.exportVerificationKey(zkey), null, 1)}\n`);
  console.log(`${circuit}: keys made and checked against the circuit`);
}

/** The proving key, the witness calculator, and the verifying key, which is data of the coordinator's. */
function committed(circuit: string): readonly [zkey: string, wasm: string, vk: string] {
  const folder = join(here, circuit);
  const vk = join(project, "src/proofs", circuit, "verifying-key.json");
  return [join(folder, `${circuit}.zkey`), join(folder, `${circuit}.wasm`), vk];
}

async function verifyingKeyHashOf(circuit: string): Promise<string> {
  const [, , vk] = committed(circuit);
  return verifyingKeyHash(JSON.parse(await readFile(vk, "utf8")));
}

function sourceOf(circuit: string): string {
  return join(here, circuit, `${circuit}.circom`);
}

async function build(): Promise<void> {
  const r1cs: Record<string, string> = {};
  const files: Record<string, string> = {};
  const vk_hash: Record<string, string> = {};
  for (const circuit of CIRCUITS) {
    const compiled = await compile(circuit);
    await makeKeys(circuit, compiled, await powersOfTau());
    r1cs[circuit] = await sha256(compiled.r1cs);
    vk_hash[circuit] = await verifyingKeyHashOf(circuit);
    for (const file of [sourceOf(circuit), ...committed(circuit)])
      files[relative(project, file)] = await sha256(file);
  }
  const made_with = {
    circom2: await version("circom2"),
    circomlib: await version("circomlib"),
    snarkjs: await version("snarkjs"),
  };
  const manifest: Manifest = {
    setup: SETUP,
    curve: "bn128",
    powers_of_tau: POWER,
    made_with,
    files,
    r1cs,
    vk_hash,
  };
  await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`wrote ${relative(project, manifestFile)}`);
}

async function check(): Promise<boolean> {
  const manifest = JSON.parse(await readFile(manifestFile, "utf8")) as Manifest;
  const found: (readonly [what: string, expected: string | undefined, actual: string])[] = [];
  for (const circuit of CIRCUITS) {
    const compiled = await compile(circuit);
    const [, wasm] = committed(circuit);
    found.push([`vk_hash of ${circuit}`, manifest.vk_hash[circuit], await verifyingKeyHashOf(circuit)]);
    found.push([`constraints of ${circuit}`, manifest.r1cs[circuit], await sha256(compiled.r1cs)]);
    found.push([
      `${circuit}, compiled anew`,
      manifest.files[relative(project, wasm)],
      await sha256(compiled.wasm),
    ]);
  }
  for (const [file, expected] of Object.entries(manifest.files)) {
    found.push([file, expected, await sha256(join(project, file))]);
  }
  for (const [what, expected, actual] of found) {
    console.log(
      expected === actual ? `ok        ${what}` : `DIFFERENT ${what}: ${actual} is not ${expected}`,
    );
  }
  return found.every(([, expected, actual]) => expected === actual);
}

function entropy(): string {
  return randomBytes(64).toString("hex");
}

async function sha256(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function version(name: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(project, "node_modules", name, "package.json"), "utf8"));
  return String(manifest.version);
}

if (process.argv.includes("--check")) process.exitCode = (await check()) ? 0 : 1;
else await build();
// snarkjs keeps threads of its own, which would keep the process.
process.exit();
