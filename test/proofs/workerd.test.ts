// The same module in the runtime that it is deployed to: bundled as wrangler does, run by workerd.

import { build } from "esbuild";
import type { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { oneWorker } from "../support/one-worker.ts";
import { merkleFixture } from "./fixture.ts";

const fixture = merkleFixture();

const worker = `
  import { atOnce, circuits, newBlinding } from "./src/proofs/index.ts";
  export default {
    async fetch(request) {
      const { task, proof, public_inputs } = await request.json();
      const circuit = circuits.get("merkle");
      const statement = atOnce(circuit.statement(task));
      const verdict = circuit.verify(proof, public_inputs, statement.public_inputs);
      return Response.json({ statement, verdict, vk_hash: circuit.vk_hash, blinding: newBlinding() });
    },
  };
`;

let workerd: Miniflare;

beforeAll(async () => {
  const bundle = await build({
    stdin: { contents: worker, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
  });
  const [script] = bundle.outputFiles;
  if (script === undefined) throw new Error("esbuild wrote nothing");
  workerd = oneWorker("verifier", script.text);
  await workerd.ready;
}, 30_000);

afterAll(() => workerd.dispose());

async function ask(proof: unknown, public_inputs: readonly string[]) {
  const { task_id, input, blinding } = fixture;
  const body = JSON.stringify({ task: { task_id, input, blinding }, proof, public_inputs });
  const response = await workerd.dispatchFetch("http://localhost/", { method: "POST", body });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

test("workerd computes the same statement and accepts the same proof", async () => {
  const answer = await ask(fixture.proof, fixture.public_inputs);
  expect(answer.statement).toEqual({
    public_inputs: fixture.public_inputs,
    merkle_root: fixture.merkle_root,
  });
  expect(answer.verdict).toEqual({ valid: true });
  expect(answer.blinding).toMatch(/^[0-9]{60,75}$/);
});

test("workerd refuses the proof with C in place of A", async () => {
  const answer = await ask({ ...fixture.proof, pi_a: fixture.proof.pi_c }, fixture.public_inputs);
  expect(answer.verdict).toEqual({ valid: false, reason: "the pairing equation does not hold" });
});
