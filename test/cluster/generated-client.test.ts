/** What somebody gets who has nothing of ours but the address: a client that a public generator makes from `/openapi.json`. */
import { OpenAPIClientAxios } from "openapi-client-axios";
import { groth16 } from "snarkjs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProver, type Prover } from "../../worker-sim/prover/index.ts";
import { type Cluster, ready, startCluster } from "./harness.ts";
import { prove, TestProver } from "./provers.ts";

type Call = (
  parameters?: Readonly<Record<string, unknown>> | null,
  body?: unknown,
) => Promise<{ readonly status: number; readonly data: Record<string, unknown> }>;

let cluster: Cluster;
let prover: Prover;
beforeAll(async () => {
  cluster = await startCluster();
  prover = createProver({ threads: 1 });
  await ready(cluster);
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

it("submits a task and reads a proof that snarkjs verifies with the key that it reads too", async () => {
  const definition = await (await cluster.fetch("/openapi.json")).json();
  const api = new OpenAPIClientAxios({
    definition: definition as never,
    withServer: { url: cluster.url },
  });
  const client = (await api.init()) as unknown as Record<
    "submitTask" | "getTask" | "getTaskProof" | "getCircuit" | "listTasks",
    Call
  >;
  const submitted = await client.submitTask(
    { circuit: "merkle" },
    { leaves: ["0x01", "0x02"], leaf_index: 1 },
  );
  expect(submitted).toMatchObject({ status: 202, data: { success: true, status: "pending" } });
  const { task_id } = submitted.data;

  const worker = new TestProver(cluster, "for-a-stranger");
  await worker.register();
  const lease = await worker.takeOne();
  expect(lease.task_id).toBe(task_id);
  expect((await worker.complete(lease.lease_id, await prove(prover, lease))).status).toBe(200);

  const { data: task } = await client.getTask({ task_id, wait: 5 });
  expect(task).toMatchObject({ task_id, status: "completed" });
  const { data: proof } = await client.getTaskProof({ task_id });
  const { data: circuit } = await client.getCircuit({ circuit: "merkle" });
  expect(await groth16.verify(circuit.verifying_key, task.public_inputs as string[], proof)).toBe(true);
  const { data: list } = await client.listTasks({ status: "completed", limit: 10 });
  expect(list.items).toHaveLength(1);
});
