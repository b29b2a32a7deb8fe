/** The client against real HTTP: a small server for what it does when things go wrong, a real cluster for the rest. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import { circuits } from "../../src/proofs/index.ts";
import { type Cluster, followersOf, ready, startCluster } from "../cluster/harness.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Station {
  readonly url: string;
  readonly seen: Seen[];
}

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** Answers the nth request with the nth answer, and the last one from then on; `hang up` cuts the connection. */
async function station(...answers: readonly ((response: ServerResponse) => void)[]): Promise<Station> {
  const seen: Seen[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const { method = "", url: path = "", headers } = incoming;
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ method, path, headers, body });
    answer?.(response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const hangUp = (response: ServerResponse): void => void response.socket?.destroy();

function answering(status: number, body: object = {}, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(status === 204 ? undefined : JSON.stringify(body));
  };
}

function failing(status: number, code: string, retryable: boolean, headers: Record<string, string> = {}) {
  const body = { status, code, retryable, detail: `it is ${code}`, request_id: "r-9" };
  return answering(status, body, { "content-type": "application/problem+json", ...headers });
}

const accepted = answering(202, {
  success: true,
  task_id: "t",
  status: "pending",
  message: "",
  request_id: "r",
});

async function errorOf(promise: Promise<unknown>): Promise<ClientError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ClientError);
  return error as ClientError;
}

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
