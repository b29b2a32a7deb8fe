import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// What Node has compiled once, every process of the tests and every one that they start takes from there.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/node", import.meta.url));

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/bundles.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that make clusters miss their heartbeats for want of a CPU.
    maxWorkers: 2,
    reporters: ["default"],
  },
});
