import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that make clusters miss their heartbeats for want of a CPU.
    maxWorkers: 2,
    reporters: ["default"],
  },
});
