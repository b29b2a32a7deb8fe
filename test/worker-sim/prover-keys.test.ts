// The committed keys are those that the manifest lists, and the coordinator verifies with the key that belongs to them.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { circuits } from "../../src/proofs/index.ts";

const project = new URL("../../", import.meta.url);

interface Manifest {
  readonly circuits: Readonly<
    Record<
      string,
      { readonly setup: string; readonly vk_hash: string; readonly files: Record<string, string> }
    >
  >;
}

const manifest: Manifest = JSON.parse(
  readFileSync(new URL("worker-sim/circuits/manifest.json", project), "utf8"),
);

test("every file of the manifest has the hash that it lists", () => {
  for (const [name, made] of Object.entries(manifest.circuits)) {
    expect(Object.keys(made.files).length, name).toBeGreaterThanOrEqual(4);
    for (const [file, expected] of Object.entries(made.files)) {
      const actual = createHash("sha256")
        .update(readFileSync(new URL(file, project)))
        .digest("hex");
      expect(actual, file).toBe(expected);
    }
  }
});

test("every circuit's key, its hash and the manner of its setup are those of the manifest", () => {
  expect(Object.keys(manifest.circuits).sort()).toEqual([...circuits.keys()].sort());
  for (const circuit of circuits.values()) {
    const made = manifest.circuits[circuit.name];
    expect(made?.files).toHaveProperty([`worker-sim/circuits/${circuit.name}/${circuit.name}.zkey`]);
    expect(made?.files).toHaveProperty([`src/proofs/${circuit.name}/verifying-key.json`]);
    expect([circuit.vk_hash, circuit.setup]).toEqual([made?.vk_hash, made?.setup]);
  }
});
