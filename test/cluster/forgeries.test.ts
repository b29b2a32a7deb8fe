/**
 * What a dishonest prover, or anybody who can send a request, cannot achieve. Shown with real proofs over HTTP; what the
 * verifier itself refuses is shown in more detail beside it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LeaseOffer } from "../../src/api/workers.ts";
import { FIELD_ORDER } from "../../src/proofs/field.ts";
import { createProver, type Proved } from "../../worker-sim/prover/index.ts";
import { merkleFixture } from "../proofs/fixture.ts";
import { allHealthy, type Cluster, ready, startCluster } from "./harness.ts";
import { attemptsOf, prove, submitTask, TestProver, taskOf } from "./provers.ts";

const SLOTS = 40;

let cluster: Cluster;
let forger: TestProver;
let bystander: TestProver;
const prover = createProver({ threads: 1 });

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  forger = new TestProver(cluster, "forger", SLOTS);
  bystander = new TestProver(cluster, "bystander");
  await forger.register();
  await bystander.register();
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

interface Submission {
  readonly proof: unknown;
  readonly public_inputs: unknown;
}

let submitted = 0;

/** A task of two leaves of which `forger` holds the lease. Newer ones go first: refused ones come back for a retry. */
async function lease(options: object = {}): Promise<LeaseOffer> {
  submitted += 1;
  const task_id = await submitTask(cluster, { priority: submitted, ...options });
  const offer = await forger.takeOne();
  expect(offer.task_id).toBe(task_id);
  return offer;
}

/** 422, the attempt spent and the task open for another one, nothing of the forgery kept. */
async function expectRefused(offer: LeaseOffer, forged: Submission): Promise<void> {
  const { status, body, text } = await forger.complete(offer.lease_id, forged);
  expect([status, body.code], text).toEqual([422, "proof-invalid"]);
  const task = await taskOf(cluster, offer.task_id);
  expect(task).toMatchObject({ status: "pending", attempts_spent: 1, losses: 0 });
  expect(task.error).toMatch(/^proof-invalid: /);
  expect(task).not.toHaveProperty("proof");
  expect(await attemptsOf(cluster, offer.task_id)).toMatchObject([
    { worker_id: "forger", outcome: "proof-invalid", error: expect.stringMatching(/^proof-invalid: /) },
  ]);
}

interface Points {
  readonly pi_a: readonly string[];
  readonly pi_b: readonly (readonly string[])[];
  readonly pi_c: readonly string[];
}
const pointsOf = (proved: Proved) => proved.proof as unknown as Points;

describe("a proof that does not prove this task is 422 and spends the attempt", () => {
  const elsewhere = merkleFixture();

  test("of another task, with that task's signals or with this one's", async () => {
    const { proof, public_inputs } = elsewhere;
    await expectRefused(await lease(), { proof, public_inputs });
    const offer = await lease();
    await expectRefused(offer, { proof, public_inputs: offer.public_inputs });
  });

  test("of random numbers and of random points", async () => {
    const { proof } = elsewhere;
    const random = ["7", "11", "1"];
    const first = await lease();
    const made = { ...proof, pi_a: random, pi_c: random };
    await expectRefused(first, { proof: made, public_inputs: first.public_inputs });
    // (1, 2) is the generator, so on the curve and in the subgroup.
    const second = await lease();
    const points = { ...proof, pi_a: ["1", "2", "1"], pi_c: ["1", "2", "1"] };
    await expectRefused(second, { proof: points, public_inputs: second.public_inputs });
  });

  test("of another place: the same leaf elsewhere in the same tree", async () => {
    const offer = await lease({ leaves: ["f00d", "f00d"], leaf_index: 0 });
    const moved = await prove(prover, { ...offer, input: { ...offer.input, leaf_index: 1 } });
    expect(moved.public_inputs[0]).toBe(offer.public_inputs[0]);
    await expectRefused(offer, moved);
  });

  test("of another leaf under the same root, passed off as the right one", async () => {
    const offer = await lease({ leaves: ["f00d", "beef"], leaf_index: 0 });
    const other = await prove(prover, { ...offer, input: { ...offer.input, leaf_index: 1 } });
    await expectRefused(offer, { proof: other.proof, public_inputs: offer.public_inputs });
  });

  test("with a signal that is the right one plus the order of the field", async () => {
    const offer = await lease();
    const proved = await prove(prover, offer);
    const public_inputs = proved.public_inputs.map((signal, at) =>
      at === 1 ? (BigInt(signal) + FIELD_ORDER).toString() : signal,
    );
    await expectRefused(offer, { ...proved, public_inputs });
  });

  test("cut short", async () => {
    const offer = await lease();
    const proved = await prove(prover, offer);
    const { pi_a, pi_b } = pointsOf(proved);
    await expectRefused(offer, { ...proved, proof: { pi_a, pi_b } });
  });

  test("with one bit flipped; the true proof is accepted afterwards", async () => {
    const offer = await lease();
    const proved = await prove(prover, offer);
    const { pi_a } = pointsOf(proved);
    const flipped = [(BigInt(pi_a[0] ?? "") ^ 1n).toString(), ...pi_a.slice(1)];
    await expectRefused(offer, { ...proved, proof: { ...proved.proof, pi_a: flipped } });

    // An invalid proof under a lease that is over spends nothing, a valid one still counts.
    const again = await forger.complete(offer.lease_id, { ...proved, proof: null });
    expect([again.status, again.body.code]).toEqual([409, "lease-superseded"]);
    expect((await taskOf(cluster, offer.task_id)).attempts_spent).toBe(1);
    const true_one = await forger.complete(offer.lease_id, proved);
    expect([true_one.status, true_one.body.accepted_late]).toEqual([200, true]);
    expect(await taskOf(cluster, offer.task_id)).toMatchObject({ status: "completed", attempts_spent: 1 });
  });

  test.each<[string, unknown]>([
    ["null", null],
    ["a string", "proof"],
    ["a number", 1],
    ["a list", []],
    ["an empty object", {}],
    ["points that are strings", { pi_a: "1", pi_b: "2", pi_c: "3" }],
    ["coordinates that are numbers", { ...elsewhere.proof, pi_a: [1, 2, 1] }],
    ["coordinates that are lists", { ...elsewhere.proof, pi_c: [["1"], ["2"], ["1"]] }],
    ["the point at infinity", { ...elsewhere.proof, pi_a: ["0", "1", "0"] }],
    ["hexadecimal", { ...elsewhere.proof, pi_a: ["0x1", "0x2", "0x1"] }],
    ["another protocol", { ...elsewhere.proof, protocol: "plonk" }],
    ["further fields", { ...elsewhere.proof, more: true }],
    ["a megabyte of digits", { ...elsewhere.proof, pi_a: ["1".repeat(1_000_000), "2", "1"] }],
    ["an own field called toString", { ...elsewhere.proof, toString: 1 }],
  ])("in the shape of %s", async (_, proof) => {
    const offer = await lease();
    await expectRefused(offer, { proof, public_inputs: offer.public_inputs });
  });

  test("nested deeper than any stack", async () => {
    const offer = await lease();
    const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const body = `{"worker_id":"forger","proof":${nested},"public_inputs":${nested}}`;
    const { status, text } = await cluster.post(`/api/v1/leases/${offer.lease_id}/complete`, body);
    expect(status, text).toBe(422);
    expect((await taskOf(cluster, offer.task_id)).attempts_spent).toBe(1);
  });

  test.each<[string, (right: readonly string[]) => unknown]>([
    ["none", () => []],
    ["null", () => null],
    ["one too few", (right) => right.slice(0, 2)],
    ["one too many", (right) => [...right, "0"]],
    ["numbers", (right) => right.map(Number)],
    ["leading zeros", (right) => right.map((signal) => `0${signal}`)],
    ["another order", (right) => right.toReversed()],
    ["an object", (right) => ({ ...right, length: 3 })],
  ])("with signals that are %s", async (_, signals) => {
    const offer = await lease();
    await expectRefused(offer, { proof: elsewhere.proof, public_inputs: signals(offer.public_inputs) });
  });

  test("and ends the task when it was the last attempt", async () => {
    const offer = await lease({ max_attempts: 1 });
    const { status } = await forger.complete(offer.lease_id, { proof: {}, public_inputs: [] });
    expect(status).toBe(422);
    expect(await taskOf(cluster, offer.task_id)).toMatchObject({ status: "failed", attempts_spent: 1 });
  });
});

describe("a completion that is not the holder's changes nothing", () => {
  test("from another prover it is 409, even with the right proof, and the holder goes on", async () => {
    const offer = await lease();
    const proved = await prove(prover, offer);
    for (const stolen of [proved, { ...proved, proof: {} }]) {
      const { status, body } = await bystander.complete(offer.lease_id, stolen);
      expect([status, body.code]).toEqual([409, "lease-superseded"]);
    }
    for (const taken of [await bystander.fail(offer.lease_id), await bystander.release(offer.lease_id)]) {
      expect([taken.status, taken.body.code]).toEqual([409, "lease-superseded"]);
    }
    expect(await taskOf(cluster, offer.task_id)).toMatchObject({ status: "assigned", attempts_spent: 0 });
    const unregistered = new TestProver(cluster, "never-registered");
    expect((await unregistered.complete(offer.lease_id, proved)).status).toBe(409);
    expect((await forger.complete(offer.lease_id, proved)).status).toBe(200);
  });

  test("for a lease that was never granted it is 404", async () => {
    const { task_id } = await lease();
    const unknown = [
      `${task_id}.1`,
      `${task_id}.1.0000000000000000`,
      `${task_id}.2`,
      `${task_id}.0`,
      `${task_id}.01`,
      `${task_id}.1e0`,
      `${task_id}.`,
      task_id,
      "00000000-0000-4000-8000-000000000000.1",
      "1",
      ".1",
      "__proto__.1",
      "a/b",
      "ä",
    ];
    for (const lease_id of unknown) {
      const { status, body, text } = await forger.complete(lease_id, { proof: {}, public_inputs: [] });
      expect([status, body.code], `${lease_id}: ${text}`).toEqual([404, "lease-unknown"]);
    }
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "assigned", attempts_spent: 0 });
  });

  test("without proof, signals or worker it is 400 and names what is missing", async () => {
    const { lease_id, task_id } = await lease();
    const whole = { worker_id: "forger", proof: {}, public_inputs: [] };
    for (const field of Object.keys(whole)) {
      const reply = await cluster.post(`/api/v1/leases/${lease_id}/complete`, {
        ...whole,
        [field]: undefined,
      });
      expect(reply.status).toBe(400);
      expect(reply.body.detail).toMatch(new RegExp(`^${field} is missing`));
    }
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "assigned", attempts_spent: 0 });
  });
});

test("none of all this has harmed the group", async () => {
  await allHealthy(cluster);
  const statuses = cluster.logs.flatMap((line) => / status=(\d+) /.exec(line)?.[1] ?? []);
  expect(statuses.filter((status) => status.startsWith("4")).length).toBeGreaterThan(30);
  // 503 belongs to the moments before the group was ready.
  expect(statuses.filter((status) => status.startsWith("5") && status !== "503")).toEqual([]);
  expect(cluster.logs.filter((line) => line.includes("level=error"))).toEqual([]);
});
