// Real proofs from real threads, judged by our verifier and by snarkjs. Each proof costs about a second of a core, so
// they are few; the verifier's own tests use one that was made before.

import { readdirSync, readFileSync } from "node:fs";
import { constants, getPriority } from "node:os";
import { groth16 } from "snarkjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { atOnce, circuits, circuitsOf, newBlinding } from "../../src/proofs/index.ts";
import { createProver, type ProofJob, ProverError } from "../../worker-sim/prover/index.ts";
import { startSnarkjs } from "./snarkjs.ts";

const circuit = circuits.get("merkle");
if (circuit === undefined) throw new Error("no merkle circuit");
const merkle = circuit;

function task(leaves: readonly string[], leaf_index: number, task_id: string = crypto.randomUUID()) {
  const input = merkle.canonical({ leaves, leaf_index });
  const blinding = newBlinding();
  const { public_inputs } = atOnce(merkle.statement({ task_id, input, blinding }));
  const context = public_inputs[2];
  const job: ProofJob = { circuit: "merkle", task_id, input: { ...input, blinding, context } };
  return { job, public_inputs };
}

const leaves = (count: number) => Array.from({ length: count }, (_, i) => (i + 1).toString(16));

const prover = createProver({ threads: 1 });
beforeAll(startSnarkjs);
afterAll(() => prover.close());

describe("a proof made in a thread", () => {
  test.each([
    [1, 0],
    [6, 5],
    [1000, 999],
  ])(
    "of %i leaves, the one at %i, is accepted by our verifier and by snarkjs, with the task's own signals",
    async (count, index) => {
      const { job, public_inputs } = task(leaves(count), index);
      const proved = await prover.prove(job);
      expect(proved.public_inputs).toEqual(public_inputs);
      expect(proved.duration_ms).toBeGreaterThan(0);
      expect(merkle.verify(proved.proof, proved.public_inputs, public_inputs)).toEqual({ valid: true });
      expect(await groth16.verify(merkle.verifying_key, proved.public_inputs, proved.proof)).toBe(true);
    },
    30_000,
  );

  test("is of one task and leaf only: the proof for an equal leaf elsewhere, or another task, is refused", async () => {
    const twins = ["07", "07"];
    const first = task(twins, 0, "00000000-0000-4000-8000-00000000000a");
    const proved = await prover.prove(first.job);
    const second = task(twins, 1, "00000000-0000-4000-8000-00000000000a");
    const other = task(twins, 0, "00000000-0000-4000-8000-00000000000b");
    expect(merkle.verify(proved.proof, proved.public_inputs, first.public_inputs).valid).toBe(true);
    for (const { public_inputs } of [second, other]) {
      expect(merkle.verify(proved.proof, proved.public_inputs, public_inputs).valid).toBe(false);
      expect(merkle.verify(proved.proof, public_inputs, public_inputs).valid).toBe(false);
    }
  }, 30_000);
});

describe("a job that cannot be proved fails with a reason", () => {
  const { job } = task(["01"], 0);
  const input = job.input as Record<string, unknown>;

  test.each<[string, ProofJob, string, boolean]>([
    ["an unknown circuit", { ...job, circuit: "sudoku" }, "unknown-circuit", true],
    ["the context of another task or key", { ...job, task_id: "another" }, "key-mismatch", true],
    ["no input", { ...job, input: null }, "invalid-input", false],
    ["no blinding", { ...job, input: { ...input, blinding: undefined } }, "invalid-input", false],
    [
      "a blinding of 249 bits",
      { ...job, input: { ...input, blinding: (2n ** 248n).toString() } },
      "invalid-input",
      false,
    ],
    ["an index behind the leaves", { ...job, input: { ...input, leaf_index: 1 } }, "invalid-input", false],
  ])("%s", async (_, bad, code, retryable) => {
    const error = await prover.prove(bad).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ProverError);
    expect(error).toMatchObject({ code, retryable });
  });
});

describe("an aborted job", () => {
  test("ends at once and frees its thread for the next", async () => {
    const abort = new AbortController();
    const cancelled = prover.prove(task(["01"], 0).job, { signal: abort.signal });
    const waiting = task(["02"], 0);
    const next = prover.prove(waiting.job);
    abort.abort();
    await expect(cancelled).rejects.toMatchObject({ name: "AbortError" });
    const proved = await next;
    expect(merkle.verify(proved.proof, proved.public_inputs, waiting.public_inputs)).toEqual({ valid: true });
  }, 30_000);

  test("is not started if its signal was aborted before", async () => {
    const job = prover.prove(task(["01"], 0).job, { signal: AbortSignal.abort() });
    await expect(job).rejects.toMatchObject({ name: "AbortError" });
  });
});

test("closing ends the threads, and jobs that are not finished reject with an AbortError", async () => {
  const short = createProver({ threads: 1 });
  const running = short.prove(task(["01"], 0).job);
  const ended = expect(running).rejects.toMatchObject({ name: "AbortError" });
  await short.close();
  await ended;
});

test("a prover announces its circuits with the hash of the key that they are verified with", () => {
  const known = [...circuitsOf({ bench: true }).values()].map(({ name, vk_hash }) => ({ name, vk_hash }));
  expect(known).toContainEqual({ name: "merkle", vk_hash: merkle.vk_hash });
  expect(prover.circuits).toEqual(known);
});

test.runIf(process.platform === "linux" && getPriority() < constants.priority.PRIORITY_BELOW_NORMAL)(
  "the proving thread has a lower priority than the main thread and those that it shares with it",
  async () => {
    await prover.prove({ ...task(["01"], 0).job, circuit: "none" }).catch(() => undefined);
    const threads = readdirSync("/proc/self/task").map((id) => {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
      const nice = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
      return { name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")), nice };
    });
    const lowered = threads.filter(({ nice }) => nice === constants.priority.PRIORITY_BELOW_NORMAL);
    expect(lowered.map(({ name }) => name)).toEqual(["WorkerThread"]);
  },
);
