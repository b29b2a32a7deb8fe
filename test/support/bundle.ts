/** Modules as one file each, as they would be deployed or loaded by a page: built once per process. */
import { basename } from "node:path";
import { build, type Format } from "esbuild";

const bundles = new Map<string, Promise<string>>();

export interface WorkerBundle {
  readonly code: string;
  /** Modules that the code imports, by the name that it imports them under, without "./". */
  readonly wasm: Readonly<Record<string, Uint8Array>>;
}

const workers = new Map<string, Promise<WorkerBundle>>();
const DEPLOYED = `export * from "./src/worker.ts"; export { default } from "./src/worker.ts";`;

/** The Worker as it is deployed, or the text of another entry. */
export function bundleWorker(entry = DEPLOYED): Promise<WorkerBundle> {
  const known = workers.get(entry) ?? bundledWorker(entry);
  workers.set(entry, known);
  return known;
}

async function bundledWorker(entry: string): Promise<WorkerBundle> {
  const { pathname } = new URL("../../", import.meta.url);
  const { outputFiles } = await build({
    ...options("esm"),
    stdin: { contents: entry, resolveDir: pathname, loader: "js" },
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    outdir: "/",
  });
  const code = outputFiles.find(({ path }) => path.endsWith(".js"));
  if (!code) throw new Error(`esbuild made no output for ${pathname}`);
  const others = outputFiles.filter((file) => file !== code);
  return {
    code: code.text,
    wasm: Object.fromEntries(others.map(({ path, contents }) => [basename(path), contents])),
  };
}

function options(format: Format) {
  return {
    bundle: true,
    format,
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    write: false as const,
    logLevel: "silent" as const,
  };
}

/** `iife` is for a page: what the module exports becomes the global `bundled`. */
export function bundle({ pathname }: URL, format: Format): Promise<string> {
  const name = `${format} ${pathname}`;
  const known = bundles.get(name) ?? bundled(pathname, format);
  bundles.set(name, known);
  return known;
}

async function bundled(entry: string, format: Format): Promise<string> {
  const { outputFiles } = await build({
    ...options(format),
    entryPoints: [entry],
    ...(format === "iife" && { globalName: "bundled" }),
  });
  const [file] = outputFiles;
  if (!file) throw new Error(`esbuild made no output for ${entry}`);
  return file.text;
}
