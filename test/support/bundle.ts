/** The Worker as one module, as it would be deployed: built once per process. */
import { build } from "esbuild";

const ENTRY = new URL("../../src/worker.ts", import.meta.url).pathname;

let bundle: Promise<string> | undefined;

export function bundleWorker(): Promise<string> {
  bundle ??= build({
    entryPoints: [ENTRY],
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    write: false,
    logLevel: "silent",
  }).then(({ outputFiles }) => {
    const [file] = outputFiles;
    if (!file) throw new Error(`esbuild made no output for ${ENTRY}`);
    return file.text;
  });
  return bundle;
}
