/**
 * Every circuit from submission to a proof that snarkjs verifies with the published key, and every kind of wrong proof
 * refused with 422. One real proof for each circuit: whatever is forged is made from it.
 */
import { groth16 } from "snarkjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CircuitView } from "../../src/api/cluster.ts";
import type { LeaseOffer } from "../../src/api/workers.ts";
import { circuits } from "../../src/proofs/index.ts";
import { createProver, type Proved } from "../../worker-sim/prover/index.ts";
import type { SnarkjsProof } from "../proofs/fixture.ts";
import { forgeries } from "../proofs/forged.ts";
import { sampleOf } from "../proofs/samples.ts";
import { startSnarkjs } from "../worker-sim/snarkjs.ts";
import { type Cluster, ready, startCluster } from "./harness.ts";
import { prove, TestProver, taskOf } from "./provers.ts";

let cluster: Cluster;
let worker: TestProver;
const prover = createProver({ threads: 1 });

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  await startSnarkjs();
  worker = new TestProver(cluster, "w");
  const { status } = await worker.register({ circuits: prover.circuits });
  if (status !== 201) throw new Error(`not registered: ${status}`);
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

/** A fresh task of this circuit, and the lease of it. */
async function lease(circuit: string): Promise<LeaseOffer> {
  const submission = { ...sampleOf(circuit), max_attempts: 1 };
  const { status, body, text } = await cluster.post(`/api/v1/tasks/${circuit}`, submission);
  expect(status, text).toBe(202);
  const offer = await worker.takeOne();
  expect([offer.circuit, offer.task_id]).toEqual([circuit, body.task_id]);
  return offer;
}

describe.each([...circuits.values()].map((circuit) => [circuit.name, circuit] as const))(
  "%s",
  (name, circuit) => {
    let offer: LeaseOffer;
    let proved: Proved;
    beforeAll(async () => {
      offer = await lease(name);
      proved = await prove(prover, offer);
    });

    test("is described with its key, its statement and the schema of its input", async () => {
      const { status, body } = await cluster.json<CircuitView & { verifying_key: unknown }>(
        `/api/v1/circuits/${name}`,
      );
      expect(status).toBe(200);
      expect(body).toMatchObject({
        name,
        circuit_type: circuit.circuit_type,
        description: circuit.description,
        vk_hash: circuit.vk_hash,
        setup: circuit.setup,
        statement: circuit.signals,
        verifying_key: circuit.verifying_key,
      });
      expect(body.input_schema).toMatchObject({ type: "object", required: expect.any(Array) });
    });

    test("proves what was asked, and the answer shows nothing that is secret", async () => {
      expect(proved.public_inputs).toEqual(offer.public_inputs);
      const { status, body } = await worker.complete(offer.lease_id, proved);
      expect([status, body.status]).toEqual([200, "completed"]);
      const task = await taskOf(cluster, offer.task_id);
      expect(task).toMatchObject({
        status: "completed",
        circuit_type: circuit.circuit_type,
        public_inputs: proved.public_inputs,
      });
      expect(task).not.toHaveProperty("input");
      const published = await cluster.json<{ verifying_key: unknown }>(`/api/v1/circuits/${name}`);
      const { body: proof } = await cluster.json(`/api/v1/tasks/${offer.task_id}/proof`);
      expect(await groth16.verify(published.body.verifying_key, task.public_inputs, proof)).toBe(true);
    });

    test("has its proof verified for whoever asks, and nothing that is close to it", async () => {
      const check = async (submitted: {
        readonly proof: unknown;
        readonly public_inputs: readonly string[];
      }) => {
        const { proof, public_inputs } = submitted;
        const reply = await cluster.post("/api/v1/proofs/verify", { circuit: name, proof, public_inputs });
        expect(reply.status, reply.text).toBe(200);
        return reply.body;
      };
      expect(await check(proved)).toMatchObject({ valid: true });
      for (const [kind, forged] of Object.entries(
        forgeries(proved.proof as unknown as SnarkjsProof, proved.public_inputs),
      )) {
        expect(await check(forged), kind).toMatchObject({
          valid: false,
          reason: expect.stringMatching(/.{10}/),
        });
      }
    });

    test("takes no wrong proof of any kind for a task: 422, and the attempt is spent", async () => {
      const { proof } = proved as unknown as { readonly proof: SnarkjsProof };
      const kinds = [
        "another task's proof and signals",
        "another task's proof",
        ...Object.keys(forgeries(proof, [])),
      ];
      for (const kind of kinds) {
        const other = await lease(name);
        const wrong =
          kind === "another task's proof and signals"
            ? proved
            : (forgeries(proof, other.public_inputs)[kind] ?? { proof, public_inputs: other.public_inputs });
        const { status, body, text } = await worker.complete(other.lease_id, wrong);
        expect([status, body.code], `${kind}: ${text}`).toEqual([422, "proof-invalid"]);
        expect(await taskOf(cluster, other.task_id), kind).toMatchObject({
          status: "failed",
          attempts_spent: 1,
        });
      }
    });
  },
);

test("GET /api/v1/circuits lists them all, without their keys", async () => {
  const { status, body } = await cluster.json<{ items: CircuitView[] }>("/api/v1/circuits");
  expect(status).toBe(200);
  expect(body.items.map(({ name, vk_hash }) => [name, vk_hash])).toEqual(
    [...circuits.values()].map(({ name, vk_hash }) => [name, vk_hash]),
  );
  for (const circuit of body.items) expect(circuit).not.toHaveProperty("verifying_key");
});

test("an input that no proof exists for is 400, and the log does not grow", async () => {
  const before = (await cluster.json("/status")).body.last_log_index;
  for (const [circuit, field, change] of [
    ["credential", "signature", { value: "22" }],
    ["credential", "issuer", { issuer: ["1", "2"] }],
    ["semaphore", "merkle_proof", { secret: "5" }],
    ["range", "value", { value: "999" }],
  ] as const) {
    const { status, body } = await cluster.post<{ code: string; errors: { pointer: string }[] }>(
      `/api/v1/tasks/${circuit}`,
      { ...sampleOf(circuit), ...change },
    );
    expect([status, body.code, body.errors[0]?.pointer]).toEqual([400, "invalid-request", `/${field}`]);
  }
  expect((await cluster.json("/status")).body.last_log_index).toBe(before);
});

test("a circuit that does not exist is 404 wherever it is named", async () => {
  const check = { circuit: "sudoku", proof: {}, public_inputs: [] };
  for (const reply of [
    await cluster.json("/api/v1/circuits/sudoku"),
    await cluster.post("/api/v1/tasks/sudoku", {}),
    await cluster.post("/api/v1/proofs/verify", check),
    // Only where BENCH is on.
    await cluster.json("/api/v1/circuits/noop"),
    await cluster.post("/api/v1/tasks/noop", { data: "1" }),
    await cluster.post("/api/v1/proofs/verify", { ...check, circuit: "noop" }),
  ]) {
    expect([reply.status, reply.body.code]).toEqual([404, "circuit-unknown"]);
  }
});

test("no log line shows a secret of any input", () => {
  expect(cluster.logs.length).toBeGreaterThan(20);
  // Salts, preimages and blindings are 248-bit decimals: nothing that long belongs in a log.
  expect(cluster.logs.filter((line) => /\d{40}/.test(line))).toEqual([]);
});

describe("where BENCH is on", () => {
  let bench: Cluster;
  beforeAll(async () => {
    bench = await startCluster({ variables: { BENCH: "on" } });
    await ready(bench);
  });
  afterAll(() => bench.stop());

  test("the circuit noop takes the empty proof, and no other, through a real lease", async () => {
    const pool = new TestProver(bench, "w");
    expect((await pool.register({ circuits: prover.circuits })).body.circuits).toContain("noop");
    for (const data of ["1", "2"]) {
      expect((await bench.post("/api/v1/tasks/noop", { data, max_attempts: 1 })).status).toBe(202);
      const offer = await pool.takeOne();
      const proved = await prove(prover, offer);
      const other = data === "1" ? {} : { proof: { pi_a: [] } };
      const { status } = await pool.complete(offer.lease_id, { ...proved, ...other });
      expect(status).toBe(data === "1" ? 200 : 422);
      const ended = { status: data === "1" ? "completed" : "failed", circuit_type: "noop" };
      expect(await taskOf(bench, offer.task_id)).toMatchObject(ended);
    }
    const { status, body } = await bench.post("/api/v1/tasks/noop", { data: "x".repeat(101) });
    expect([status, body.error]).toEqual([400, "data must have at most 100 bytes"]);
  });
});
