// `npm run circuits [-- NAME …]`: compiles circuits, makes their keys, and writes the manifest that says what was made and
// how. Without names it makes all of them. Its results are committed; it never runs in CI or at start. Three minutes, nearly all of
// them for the powers of tau, which are kept.
//
// `npm run circuits -- --check` changes nothing: it compiles each circuit again, and compares what comes out, and every
// committed file, with the manifest.
//
// A circuit is a folder beside this file with a circom source of the same name. Its setup is by a single party: this script draws
// the secrets of both phases, and whoever ran it could have kept them and could then forge proofs. It protects the
// coordinator from provers, not from the maker of the keys. A folder with a `ceremony.json` in place of the source takes its
// files from a published package, with keys that many parties made together.

import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { verifyingKeyHash } from "../../src/proofs/verifying-key.ts";

const SINGLE_PARTY = "dev-single-party";
/** 2^13 constraints are room for every circuit that is planned; larger ones cost minutes for nothing. */
const POWER = 13;

const here = dirname(fileURLToPath(import.meta.url));
const project = join(here, "../..");
/** Not committed: the powers of tau (9 MB) are worth keeping for the next circuit; the rest are intermediate files. */
const cache = join(here, ".cache");
const run = promisify(execFile);

interface Manifest {
  readonly curve: "bn128";
  readonly circuits: Readonly<Record<string, Made>>;
}

/** What was made for one circuit. */
interface Made {
  /** How the keys were made, and so whom they protect. */
  readonly setup: string;
  readonly made_with: Readonly<Record<string, string | number>>;
  /** The name by which provers and coordinator speak of the verifying key. */
  readonly vk_hash: string;
  /** SHA-256 of the constraint system, which is not committed. */
  readonly r1cs?: string;
  /** SHA-256 of each file, by its path from the project's root. */
  readonly files: Readonly<Record<string, string>>;
}

/** Keys from elsewhere: `files` are paths within the package. */
interface Ceremony {
  readonly setup: string;
  readonly package: string;
  readonly version: string;
  /** Of the package's archive, as the registry publishes it. */
  readonly integrity: string;
  readonly files: {
    readonly zkey: string;
    readonly wasm: string;
    readonly vk: string;
    readonly licence: string;
  };
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
  const { stdout } = await run(process.execPath, [compiler, source, ...options], { cwd: project });
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
  await powersOfTau.contribute(blank, contributed, SINGLE_PARTY, entropy());
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
  await zKey.contribute(initial, zkey, SINGLE_PARTY, entropy());
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

async function hashes(files: readonly string[]): Promise<Record<string, string>> {
  const entries = files.map(async (file) => [relative(project, file), await sha256(file)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function makeFromSource(circuit: string): Promise<Made> {
  const compiled = await compile(circuit);
  await makeKeys(circuit, compiled, await powersOfTau());
  const made_with = {
    powers_of_tau: POWER,
    circom2: await version("circom2"),
    circomlib: await version("circomlib"),
    snarkjs: await version("snarkjs"),
  };
  return {
    setup: SINGLE_PARTY,
    made_with,
    vk_hash: await verifyingKeyHashOf(circuit),
    r1cs: await sha256(compiled.r1cs),
    files: await hashes([sourceOf(circuit), ...committed(circuit)]),
  };
}

async function ceremonyOf(circuit: string): Promise<Ceremony | undefined> {
  const file = join(here, circuit, "ceremony.json");
  return (await exists(file)) ? (JSON.parse(await readFile(file, "utf8")) as Ceremony) : undefined;
}

/** The package is fetched for this once and is no dependency: it holds the keys of every depth, 109 MB. */
async function takeFromCeremony(circuit: string, ceremony: Ceremony): Promise<Made> {
  const { files, integrity } = ceremony;
  const out = join(cache, circuit);
  await mkdir(out, { recursive: true });
  const name = `${ceremony.package}@${ceremony.version}`;
  console.log(`${circuit}: fetching ${name}`);
  const { stdout } = await run("npm", ["pack", name, "--json", "--pack-destination", out]);
  const [packed] = JSON.parse(stdout) as readonly { readonly filename: string }[];
  if (packed === undefined) throw new Error(`npm packed nothing for ${name}`);
  const archive = join(out, packed.filename);
  const found = `sha512-${createHash("sha512")
    .update(await readFile(archive))
    .digest("base64")}`;
  if (found !== integrity) throw new Error(`${name} is ${found}, not ${integrity}`);
  await run("tar", ["-xzf", archive, "-C", out, ...Object.values(files)]);
  await rm(archive);
  const [zkey, wasm, vk] = committed(circuit);
  const licence = join(here, circuit, "LICENSE");
  for (const [from, to] of [
    [files.zkey, zkey],
    [files.wasm, wasm],
    [files.vk, vk],
    [files.licence, licence],
  ] as const) {
    await writeFile(to, await readFile(join(out, from)));
  }
  console.log(`${circuit}: keys taken from ${name}`);
  return {
    setup: ceremony.setup,
    made_with: { [ceremony.package]: ceremony.version },
    vk_hash: await verifyingKeyHashOf(circuit),
    files: await hashes([licence, ...committed(circuit)]),
  };
}

async function allCircuits(): Promise<readonly string[]> {
  const entries = await readdir(here, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  return folders.map(({ name }) => name).sort();
}

async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(manifestFile, "utf8")) as Manifest;
}

async function build(asked: readonly string[]): Promise<void> {
  const all = await allCircuits();
  const unknown = asked.filter((circuit) => !all.includes(circuit));
  if (unknown.length > 0) throw new Error(`there is no folder for ${unknown.join(", ")}: ${all.join(", ")}`);
  const made: Record<string, Made> = {};
  const before = (await exists(manifestFile)) ? (await readManifest()).circuits : {};
  for (const circuit of all) {
    const known = before[circuit];
    if (asked.length > 0 && !asked.includes(circuit)) {
      if (known !== undefined) made[circuit] = known;
      continue;
    }
    const ceremony = await ceremonyOf(circuit);
    made[circuit] =
      ceremony === undefined ? await makeFromSource(circuit) : await takeFromCeremony(circuit, ceremony);
  }
  const manifest: Manifest = { curve: "bn128", circuits: made };
  await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`wrote ${relative(project, manifestFile)}`);
}

async function check(): Promise<boolean> {
  const manifest = await readManifest();
  const found: (readonly [what: string, expected: string | undefined, actual: string])[] = [];
  for (const circuit of await allCircuits()) {
    const made = manifest.circuits[circuit];
    found.push([`vk_hash of ${circuit}`, made?.vk_hash, await verifyingKeyHashOf(circuit)]);
    for (const [file, expected] of Object.entries(made?.files ?? {})) {
      found.push([file, expected, await sha256(join(project, file))]);
    }
    if ((await ceremonyOf(circuit)) !== undefined) continue;
    const compiled = await compile(circuit);
    const [, wasm] = committed(circuit);
    found.push([`constraints of ${circuit}`, made?.r1cs, await sha256(compiled.r1cs)]);
    const again = made?.files[relative(project, wasm)];
    found.push([`${circuit}, compiled anew`, again, await sha256(compiled.wasm)]);
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

const [, , ...given] = process.argv;
if (given.includes("--check")) process.exitCode = (await check()) ? 0 : 1;
else await build(given);
// snarkjs keeps threads of its own, which would keep the process.
process.exit();
