/** Limits of the backlog on a real cluster: above them a submission is refused, and nothing else is. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { allHealthy, type Cluster, event, ready, startCluster } from "../cluster/harness.ts";
import { TestProver } from "../cluster/provers.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { MAX_BACKLOG: "3", MAX_BACKLOG_BYTES: "1 MiB" } });
  await ready(cluster);
  await allHealthy(cluster);
});
afterAll(() => cluster.stop());

const submit = (leaf: string, key?: string) =>
  cluster.post(
    "/api/v1/tasks/merkle",
    { leaves: [leaf] },
    key === undefined ? {} : { "idempotency-key": key },
  );

it("a full backlog refuses what is new with 503 and Retry-After until a task has ended", async () => {
  for (const leaf of ["01", "02"]) expect((await submit(leaf)).status).toBe(202);
  const third = await submit("03", "third");
  expect(third.status).toBe(202);

  for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
    const { status, body, headers } = await cluster.post(`${prefix}/api/v1/tasks/merkle`, { leaves: ["04"] });
    expect([prefix, status, body.code, headers.get("retry-after")]).toEqual([prefix, 503, "overloaded", "5"]);
    expect(body).toMatchObject({ retryable: true, detail: expect.stringContaining("3 are allowed") });
  }
  const cached = await submit("01");
  expect([cached.status, cached.body.status]).toEqual([200, "cached"]);
  const repeated = await submit("03", "third");
  expect([repeated.status, repeated.body.task_id]).toEqual([202, third.body.task_id]);
  expect((await cluster.post("/events", event("Other", {}))).status).toBe(200);

  const worker = new TestProver(cluster, "w");
  await worker.register();
  expect((await submit("04")).status).toBe(503);
  await worker.fail((await worker.takeOne()).lease_id, { retryable: false });
  expect((await submit("04")).status).toBe(202);
  expect((await submit("05")).status).toBe(503);
});
