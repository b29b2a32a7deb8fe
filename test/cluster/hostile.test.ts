/** Hostile requests on real workerd; `npm run fuzz` sends ten thousand. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, ready, startCluster } from "./harness.ts";
import { hostileRequests, sendAll } from "./hostile.ts";

const SEED = 20_261_121;
const REQUESTS = 300;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { FAULTS: "off", LEASE_MS: "86400000" } });
  await ready(cluster);
});
afterAll(() => cluster.stop());

it("are answered as the contract says, never with an error of ours, and change nothing when refused", async () => {
  const { statuses, findings } = await sendAll(cluster, hostileRequests(SEED, REQUESTS));
  expect(findings).toEqual([]);
  // It would prove nothing if all of them were refused for the same reason.
  expect(Object.keys(statuses).length).toBeGreaterThan(5);
  expect((statuses[200] ?? 0) + (statuses[202] ?? 0)).toBeGreaterThan(10);
  expect(statuses[400]).toBeGreaterThan(30);
  expect((await cluster.fetch("/readyz")).status).toBe(200);
});

it("POST /api/v1/faults/{replica} is 404 where FAULTS is off, whatever is asked for", async () => {
  for (const prefix of ["", "/replicas/coordinator-2"]) {
    for (const body of [{ action: "stop" }, { action: "explode" }, {}]) {
      const reply = await cluster.post(`${prefix}/api/v1/faults/coordinator-2`, body);
      expect([reply.status, reply.body.code]).toEqual([404, "not-found"]);
    }
  }
  expect((await cluster.json("/replicas/coordinator-2/livez")).status).toBe(200);
});
