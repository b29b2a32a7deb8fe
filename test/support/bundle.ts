/** Modules as one file each, as they would be deployed or loaded by a page. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type Format } from "esbuild";
import { BUNDLES } from "./bundles.ts";

const WORKER = new URL("../../src/worker.ts", import.meta.url);

export interface WorkerBundle {
  readonly code: string;
  /** Modules that the code imports, by the name that it imports them under, without "./". */
  readonly wasm: Readonly<Record<string, Uint8Array>>;
}

const workers = new Map<string, Promise<WorkerBundle>>();

/**
 * The Worker, or one made around it: built once per process. Where a run of tests has a directory for it, the Worker is
 * built once in all of its processes.
 */
export function bundleWorker({ pathname }: URL = WORKER): Promise<WorkerBundle> {
  const known = workers.get(pathname) ?? bundledWorker(pathname);
  workers.set(pathname, known);
  return known;
}

async function bundledWorker(entry: string): Promise<WorkerBundle> {
  const shared = entry === WORKER.pathname ? process.env[BUNDLES] : undefined;
  const made = shared === undefined ? undefined : await read(join(shared, "worker"));
  if (made !== undefined) return made;
  const scratch = await mkdtemp(join(shared ?? tmpdir(), "troika-bundle-"));
  try {
    const outdir = join(scratch, "worker");
    await mkdir(outdir);
    await build({
      ...options("esm"),
      entryPoints: [entry],
      loader: { ".wasm": "copy" },
      assetNames: "[name]",
      outdir,
    });
    const bundle = await read(outdir);
    if (bundle === undefined) throw new Error(`esbuild made no output for ${entry}`);
    // Whole or not at all. Somebody may have been faster: then theirs stays.
    if (shared !== undefined) await rename(outdir, join(shared, "worker")).catch(() => undefined);
    return bundle;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function read(directory: string): Promise<WorkerBundle | undefined> {
  const names = await readdir(directory).catch(() => []);
  const script = names.find((name) => name.endsWith(".js"));
  if (script === undefined) return undefined;
  const others = names.filter((name) => name !== script);
  return {
    code: await readFile(join(directory, script), "utf8"),
    wasm: Object.fromEntries(
      await Promise.all(
        others.map(async (name) => [name, new Uint8Array(await readFile(join(directory, name)))] as const),
      ),
    ),
  };
}

function options(format: Format) {
  return {
    bundle: true,
    format,
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    logLevel: "silent" as const,
  };
}

/** `iife` is for a page: what the module exports becomes the global `bundled`. */
export async function bundle({ pathname }: URL, format: Format): Promise<string> {
  const { outputFiles } = await build({
    ...options(format),
    entryPoints: [pathname],
    write: false,
    ...(format === "iife" && { globalName: "bundled" }),
  });
  const [file] = outputFiles;
  if (!file) throw new Error(`esbuild made no output for ${pathname}`);
  return file.text;
}
