/** Modules as one file each, as they would be deployed or loaded by a page: built once per process. */
import { build, type Format } from "esbuild";

const bundles = new Map<string, Promise<string>>();

/** The Worker. */
export function bundleWorker(): Promise<string> {
  return bundle(new URL("../../src/worker.ts", import.meta.url), "esm");
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
    entryPoints: [entry],
    bundle: true,
    format,
    ...(format === "iife" && { globalName: "bundled" }),
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    write: false,
    logLevel: "silent",
  });
  const [file] = outputFiles;
  if (!file) throw new Error(`esbuild made no output for ${entry}`);
  return file.text;
}
