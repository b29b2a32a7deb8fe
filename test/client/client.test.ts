/** The client against real HTTP: a small server for what it does when things go wrong, a real cluster for the rest. */
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../src/client/index.ts";
import { circuits } from "../../src/proofs/index.ts";
import { type Cluster, followersOf, ready, startCluster } from "../cluster/harness.ts";
import { answering, errorOf, failing, hangUp, station } from "./station.ts";

const accepted = answering(202, {
  success: true,
  task_id: "t",
  status: "pending",
  message: "",
  request_id: "r",
});

describe("when things go wrong, the client", () => {
  it("goes on to the next address when a connection is refused or a replica is stopped, and stays there", async () => {
    const stopped = await station(failing(503, "replica-stopped", true));
    const good = await station(accepted);
    const client = createClient({ urls: ["http://127.0.0.1:1", stopped.url, good.url] });
    await client.tasks.submitMerkle({ leaves: ["01"] });
    await client.tasks.submitMerkle({ leaves: ["02"] });
    expect([stopped.seen.length, good.seen.length]).toEqual([1, 2]);
  });

  it("takes a comma list for its addresses", async () => {
    const good = await station(answering(200, { items: [] }));
    const client = createClient({ url: `http://127.0.0.1:1/, ${good.url}/` });
    expect(await client.workers.list()).toEqual({ items: [] });
    expect(good.seen[0]?.path).toBe("/api/v1/workers");
  });

  it("repeats a creating call under the same idempotency key until it has an answer", async () => {
    const server = await station(
      hangUp,
      failing(504, "commit-outcome-unknown", true),
      failing(503, "no-leader", true),
      accepted,
    );
    const submission = await createClient({ url: server.url }).tasks.submitMerkle({ leaves: ["01"] });
    expect(submission.task_id).toBe("t");
    const keys = server.seen.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("repeats a call whose answer broke off", async () => {
    const cutShort = (response: ServerResponse): void => {
      response.writeHead(202, { "content-type": "application/json", "content-length": "1000" });
      response.write('{"success":true,"task_id":"t"', () => hangUp(response));
    };
    const server = await station(cutShort, accepted);
    const submission = await createClient({ url: server.url }).tasks.submitMerkle({ leaves: ["01"] });
    expect(submission.task_id).toBe("t");
    expect(server.seen).toHaveLength(2);
  });

  it("repeats completions, whose lease makes them safe", async () => {
    const server = await station(
      failing(504, "commit-outcome-unknown", true),
      answering(200, { status: "completed", task_id: "t", duplicate: true, leases: [], request_id: "r" }),
    );
    const done = await createClient({ url: server.url }).workers.complete("t.1", {
      worker_id: "w",
      proof: {},
      public_inputs: [],
    });
    expect(done.duplicate).toBe(true);
  });

  it.each([
    [422, "proof-invalid"],
    [409, "lease-superseded"],
    [404, "lease-unknown"],
    [401, "unauthorized"],
    [503, "not-configured"],
  ] as const)("throws a definite %i %s at once", async (status, code) => {
    const server = await station(failing(status, code, false));
    const call = createClient({ url: server.url }).workers.complete("t.1", {
      worker_id: "w",
      proof: {},
      public_inputs: [],
    });
    const error = await errorOf(call);
    expect(error).toMatchObject({
      status,
      code,
      retryable: false,
      request_id: "r-9",
      message: `it is ${code}`,
    });
    expect(server.seen).toHaveLength(1);
  });

  it("gives up after the time it was given, with the error that says most", async () => {
    const server = await station(failing(503, "no-leader", true, { "retry-after": "1" }));
    const client = createClient({ urls: ["http://127.0.0.1:1", server.url] });
    const begun = Date.now();
    const error = await errorOf(client.events.append({ Critical: { A: {} } }, { retry_for_ms: 400 }));
    expect(error).toMatchObject({ code: "no-leader", retryable: true, retry_after_ms: 1_000 });
    expect(Date.now() - begun).toBeLessThan(1_000);
    expect(server.seen.length).toBeGreaterThan(1);
  });

  it("says that nobody answers when nobody does", async () => {
    const error = await errorOf(createClient({ url: "http://127.0.0.1:1" }).status(undefined));
    expect(error).toMatchObject({ code: "unreachable", status: 0, retryable: true });
  });

  it("stops at once when the caller aborts it", async () => {
    const server = await station(failing(503, "no-leader", true));
    const controller = new AbortController();
    const call = createClient({ url: server.url }).tasks.list({ signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(call).rejects.toThrow("enough");
  });

  it("waits for an overloaded leader as long as it asks for", async () => {
    const server = await station(
      failing(503, "overloaded", true, { "retry-after": "1" }),
      answering(200, { items: [] }),
    );
    const begun = Date.now();
    await createClient({ url: server.url }).tasks.list();
    expect(Date.now() - begun).toBeGreaterThanOrEqual(740);
  });

  it("is not taken in by answers that are not ours", async () => {
    const server = await station((response) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<h1>Bad gateway</h1>");
    });
    const error = await errorOf(createClient({ url: server.url }).tasks.list({ retry_for_ms: 0 }));
    expect(error).toMatchObject({ code: "unexpected-answer", status: 502 });
    expect(error.message).toContain("Bad gateway");
  });

  it("sends its token with every call", async () => {
    const server = await station(answering(200, { items: [] }));
    await createClient({ url: server.url, token: "secret" }).tasks.list();
    expect(server.seen[0]?.headers.authorization).toBe("Bearer secret");
  });

  it("refuses to be made without an address", () => {
    expect(() => createClient({ url: " , " })).toThrow("at least one url");
  });
});

describe("on a real cluster, the client", () => {
  let cluster: Cluster;
  let client: Client;
  beforeAll(async () => {
    cluster = await startCluster();
    await ready(cluster);
    client = createClient({ url: cluster.url });
  });
  afterAll(() => cluster.stop());

  it("submits, reads, lists and waits", async () => {
    const { task_id, status } = await client.tasks.submitMerkle({ leaves: ["0x01", "0x02"], leaf_index: 1 });
    expect(status).toBe("pending");
    expect(await client.tasks.get(task_id)).toMatchObject({ task_id, status: "pending", circuit: "merkle" });
    expect((await client.tasks.list({ status: "pending" })).items.map((task) => task.task_id)).toContain(
      task_id,
    );
    expect(await client.tasks.wait(task_id, { timeout_ms: 200 })).toMatchObject({ status: "pending" });
    expect((await client.tasks.attempts(task_id)).items).toEqual([]);
    expect((await errorOf(client.tasks.proof(task_id))).code).toBe("proof-not-found");
  });

  it("works as a prover does", async () => {
    const vk_hash = circuits.get("merkle")?.vk_hash ?? "";
    const worker_id = "client-worker";
    const registered = await client.workers.register({
      worker_id,
      boot_id: "b1",
      max_concurrent_tasks: 1,
      circuits: [{ name: "merkle", vk_hash }],
    });
    expect(registered).toMatchObject({ circuits: ["merkle"], leases: [] });
    expect(registered.heartbeat_interval_ms).toBe(registered.lease_ms / 3);
    await client.tasks.submitMerkle({ leaves: ["0x77"] });
    const [lease] = await client.workers.pull(worker_id, { boot_id: "b1", max: 1 });
    expect.assert(lease !== undefined);
    expect(Object.keys(lease.input)).toEqual(["leaves", "leaf_index", "blinding", "context"]);
    expect(lease.public_inputs[2]).toBe(lease.input.context);
    const beat = await client.workers.heartbeat(worker_id, {
      boot_id: "b1",
      leases: [{ lease_id: lease.lease_id }],
    });
    expect(beat).toMatchObject({
      leases: [{ lease_id: lease.lease_id, directive: "continue" }],
      missing: [],
    });
    const wrong = client.workers.complete(lease.lease_id, {
      worker_id,
      proof: { pi_a: [] },
      public_inputs: lease.public_inputs,
    });
    expect((await errorOf(wrong)).code).toBe("proof-invalid");
    await client.workers.drain(worker_id);
    expect(await client.workers.get(worker_id)).toMatchObject({ draining: true, leases: [] });
    expect(await client.workers.pull(worker_id, { boot_id: "b1", max: 1 })).toEqual([]);
    await client.workers.remove(worker_id);
    expect((await errorOf(client.workers.get(worker_id))).code).toBe("worker-unknown");
  });

  it("appends events and lists them", async () => {
    const { seq = 0 } = await client.events.append({ Critical: { FromClient: { n: 1 } } });
    expect(seq).toBeGreaterThan(0);
    const { events, count } = await client.events.list({ after: seq - 1, limit: 1 });
    expect([events, count]).toEqual([[{ Critical: { FromClient: { n: 1 } } }], 1]);
  });

  it("puts operations, whose id makes a repeat harmless, and reads them at one replica alone", async () => {
    const put = () => client.operations.put("client-op", { type: "add", payload: { n: 1 } });
    const first = await put();
    expect(first).toMatchObject({ state: "COMMITTED", committed: true });
    expect((await put()).log_index).toBe(first.log_index);
    const other = client.operations.put("client-op", { type: "add", payload: { n: 2 } });
    expect((await errorOf(other)).status).toBe(422);
    const own = createClient({ url: `${cluster.url}/replicas/coordinator-2` });
    expect(await own.operations.get("client-op")).toMatchObject({ type: "add", payload: { n: 1 } });
  });

  it("knows the circuits, and has a proof verified", async () => {
    const { items } = await client.circuits.list();
    expect(items.map(({ name }) => name)).toEqual([...circuits.keys()]);
    const { verifying_key } = await client.circuits.get("range");
    expect(verifying_key).toEqual(circuits.get("range")?.verifying_key);
    const check = { circuit: "merkle", proof: {}, public_inputs: ["1", "2", "3"] };
    expect(await client.circuits.verify(check)).toMatchObject({ valid: false, reason: expect.any(String) });
  });

  it("sees who takes part, and moves leadership", async () => {
    const { leader, members } = await client.cluster.get();
    expect(members).toHaveLength(3);
    const to = members.find(({ node_id }) => node_id !== leader)?.node_id;
    expect.assert(to !== undefined);
    expect((await client.cluster.transferLeadership(to)).leader).toBe(to);
    expect((await errorOf(client.cluster.promote("coordinator-9"))).code).toBe("member-unknown");
    expect((await client.service()).service).toBe("troika");
  });

  it("sees health, status, readiness and metrics, and the fault of a replica", async () => {
    expect((await client.health()).status).toBe("healthy");
    expect(await client.ready()).toBe(true);
    expect(await client.metrics()).toContain("coordinator_workers_total");
    const [other = ""] = await followersOf(cluster);
    expect(await client.status(other)).toMatchObject({ node_id: other, is_leader: false });
    await client.fault(other, "stop");
    expect((await errorOf(client.health(other))).code).toBe("replica-stopped");
    await client.fault(other, "start");
    expect((await client.health(other, { retry_for_ms: 5_000 })).coordinator_id).toBe(other);
  });
});
