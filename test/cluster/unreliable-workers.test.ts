/**
 * Provers as they are: some vanish with what they hold, some hand in what is no proof, some are so slow that somebody
 * else has the task by then, and all of them at once. In the end every submission is one task with one result, and the
 * attempts say what became of each. Proofs are those of the circuit that needs none; periods are short.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LeaseOffer } from "../../src/api/workers.ts";
import { circuitsOf } from "../../src/proofs/index.ts";
import { type Cluster, eventually, ready, startCluster } from "./harness.ts";
import { attemptsOf, TestProver, taskOf } from "./provers.ts";

const LEASE_MS = 3_000;
const TASKS = 60;
const NOOP = { name: "noop", vk_hash: circuitsOf({ bench: true }).get("noop")?.vk_hash ?? "" };

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { BENCH: "on", LEASE_MS: String(LEASE_MS) } });
  await ready(cluster);
});
afterAll(() => cluster.stop());

const right = ({ public_inputs }: LeaseOffer) => ({ proof: {}, public_inputs });
const wrong = ({ public_inputs }: LeaseOffer) => ({ proof: { pi_a: ["1"] }, public_inputs });

async function worker(id: string, slots: number): Promise<TestProver> {
  const made = new TestProver(cluster, id, slots);
  const { status, text } = await made.register({ circuits: [NOOP] });
  if (status > 201) throw new Error(text);
  return made;
}

test("workers that vanish, lie, dawdle and come back late, all at once: every submission ends as one result", async () => {
  const submitted = Array.from({ length: 2 * TASKS }, async (_, at) => {
    const { status, body } = await cluster.post("/api/v1/tasks/noop", { data: `${at % TASKS}` });
    return { status, task_id: String(body.task_id) };
  });
  const answers = await Promise.all(submitted);
  const task_ids = [...new Set(answers.map(({ task_id }) => task_id))];
  expect(task_ids).toHaveLength(TASKS);
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(TASKS);

  const vanisher = await worker("vanisher", 10);
  const lost = await vanisher.take(10);
  const dawdler = await worker("dawdler", 10);
  const late = await dawdler.take(10);
  const liar = await worker("liar", 10);
  const lied = await liar.take(10);
  const refused = await Promise.all(lied.map((lease) => liar.complete(lease.lease_id, wrong(lease))));
  for (const { status, body } of refused) expect([status, body.code]).toEqual([422, "proof-invalid"]);
  expect([lost.length, late.length, lied.length]).toEqual([10, 10, 10]);
  await liar.remove();
  for (const silent of [vanisher, dawdler]) {
    await eventually(`${silent.worker_id} is dead`, async () => (await silent.view()).body.state === "dead");
  }

  // It comes back with all its proofs at once, while others have begun: some of them are faster.
  const honest = await worker("honest", 5);
  const taken = await honest.take(5);
  const returned = await Promise.all(late.map((lease) => dawdler.complete(lease.lease_id, right(lease))));
  for (const { status, body } of returned) expect([status, body.accepted_late]).toEqual([200, true]);
  const overtaken = taken.filter(({ task_id }) => late.some((lease) => lease.task_id === task_id));
  const { body: beaten } = await honest.heartbeat(taken.map(({ lease_id }) => lease_id));
  const cancelled = beaten.leases?.filter(({ directive }) => directive === "cancel");
  expect(cancelled?.map(({ lease_id }) => lease_id)).toEqual(overtaken.map(({ lease_id }) => lease_id));

  let holds: readonly LeaseOffer[] = taken.filter((lease) => !overtaken.includes(lease));
  for (;;) {
    const completed = await Promise.all(holds.map((lease) => honest.complete(lease.lease_id, right(lease))));
    expect(completed.map(({ status }) => status)).toEqual(holds.map(() => 200));
    const { status, body } = await honest.pull(5, 5);
    if (status === 204) break;
    holds = body.leases ?? [];
  }

  const tasks = await Promise.all(task_ids.map((task_id) => taskOf(cluster, task_id)));
  expect(tasks.map(({ status }) => status)).toEqual(tasks.map(() => "completed"));
  const histories = new Map(
    await Promise.all(
      task_ids.map(async (task_id) => [task_id, await attemptsOf(cluster, task_id)] as const),
    ),
  );
  const outcomes = (task_id: string) => histories.get(task_id)?.map(({ outcome }) => outcome);
  for (const { task_id } of lost) expect(outcomes(task_id)).toEqual(["worker-lost", "completed"]);
  for (const { task_id } of lied) expect(outcomes(task_id)).toEqual(["proof-invalid", "completed"]);
  for (const { task_id } of late) {
    const superseded = overtaken.some((lease) => lease.task_id === task_id);
    expect(outcomes(task_id)).toEqual(superseded ? ["completed", "superseded"] : ["completed"]);
  }
  for (const lease of lost) {
    const { status, body } = await vanisher.complete(lease.lease_id, right(lease));
    expect([status, body.code]).toEqual([409, "lease-superseded"]);
  }
  const spent = tasks.map(({ attempts_spent }) => attempts_spent).reduce((sum, more) => sum + more, 0);
  const losses = tasks.map((task) => task.losses).reduce((sum, more) => sum + more, 0);
  expect([spent, losses]).toEqual([lied.length, lost.length + late.length]);
});
