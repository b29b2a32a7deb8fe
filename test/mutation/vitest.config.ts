/** Runs tests against a core with the fault in it that `MUTATION` names; against the sound one without. */
import { fileURLToPath } from "node:url";
import type { Plugin } from "vitest/config";
import { defineConfig } from "vitest/config";
import { mutationNamed } from "./faults/index.ts";
import { mutated } from "./mutation.ts";

const CORE = fileURLToPath(new URL("../../src/raft/", import.meta.url));

function fault(id: string): Plugin {
  const mutation = mutationNamed(id);
  return {
    name: "fault",
    enforce: "pre",
    transform: (code, file) => (file === CORE + mutation.file ? mutated(code, mutation) : undefined),
  };
}

const { MUTATION } = process.env;

export default defineConfig({
  root: fileURLToPath(new URL("../../", import.meta.url)),
  plugins: MUTATION === undefined ? [] : [fault(MUTATION)],
  test: {
    include: ["test/raft/**/*.test.ts"],
    testTimeout: 60_000,
    maxWorkers: 1,
    // Its key knows nothing of the fault.
    fsModuleCache: false,
  },
});
