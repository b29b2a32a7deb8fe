// The committed keys are those that the manifest lists, and the coordinator verifies with the key that belongs to them.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { circuits } from "../../src/proofs/index.ts";

const project = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("worker-sim/circuits/manifest.json", project), "utf8"));

test("every file of the manifest has the hash that it lists", () => {
  const files: [string, string][] = Object.entries(manifest.files);
  expect(files.length).toBeGreaterThanOrEqual(4 * circuits.size);
  for (const [file, expected] of files) {
    const actual = createHash("sha256")
      .update(readFileSync(new URL(file, project)))
      .digest("hex");
    expect(actual, file).toBe(expected);
  }
});

test("every circuit's key, its hash and the manner of its setup are those of the manifest", () => {
  for (const circuit of circuits.values()) {
    expect(manifest.files).toHaveProperty([`worker-sim/circuits/${circuit.name}/${circuit.name}.zkey`]);
    expect(circuit.vk_hash).toBe(manifest.vk_hash[circuit.name]);
    expect(circuit.setup).toBe(manifest.setup);
  }
});
