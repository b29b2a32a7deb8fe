/** Tasks, events and circuits as a client meets them, on a real cluster. What provers do is in test/cluster. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, ready, startCluster } from "../cluster/harness.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

let content = 0;
/** Leaves that no other test has submitted. */
function fresh(): readonly string[] {
  content += 1;
  return [`0x${content.toString(16).padStart(64, "0")}`];
}

describe("a merkle task", () => {
  it("is accepted with 202 and the address where it can be watched", async () => {
    const { status, body, headers } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    expect(status).toBe(202);
    expect(Object.keys(body)).toEqual(["success", "task_id", "status", "message", "request_id"]);
    expect(body).toMatchObject({ success: true, status: "pending" });
    expect(body.task_id).toMatch(UUID);
    expect(headers.get("location")).toBe(`/api/v1/tasks/${body.task_id}`);
    expect(headers.has("x-cache")).toBe(false);
  });

  it("submitted again, in any spelling of the same content, is the same task", async () => {
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0xABCDE", "1"] });
    for (const again of [
      { leaves: ["0x0abcde", "0x01"], leaf_index: 0 },
      { leaf_index: 0, leaves: ["ABCDE", "01"], priority: 5 },
    ]) {
      const { status, body, headers } = await cluster.post("/api/v1/tasks/merkle", again);
      expect([status, body.status, headers.get("x-cache")]).toEqual([200, "cached", "HIT"]);
      expect(body.task_id).toBe(first.body.task_id);
    }
    const { status, body } = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0x0abcde", "0x0001"] });
    expect(status).toBe(202);
    expect(body.task_id).not.toBe(first.body.task_id);
  });

  it.each([
    [{}, "leaves"],
    [{ leaves: [] }, "leaves"],
    [{ leaves: "0x01" }, "leaves"],
    [{ leaves: Array.from({ length: 1001 }, () => "01") }, "leaves has 1001 leaves"],
    [{ leaves: ["01", ""] }, "leaves[1]"],
    [{ leaves: ["01", 5] }, "leaves[1]"],
    [{ leaves: ["0xzz"] }, "leaves[0]"],
    [{ leaves: [`0x${"0".repeat(65)}`] }, "leaves[0]"],
    [{ leaves: ["0x123..."] }, "dots stand for digits"],
    [{ leaves: ["01"], leaf_index: 1 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: -1 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: 0.5 }, "leaf_index"],
    [{ leaves: ["01"], leaf_index: "0" }, "leaf_index"],
    [{ leaves: ["01"], priority: 200 }, "priority"],
    [{ leaves: ["01"], max_attempts: 0 }, "max_attempts"],
  ])("that is invalid is 400, naming the field (%#: $1)", async (body, name) => {
    const answer = await cluster.post("/api/v1/tasks/merkle", body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(name);
    expect(answer.body.errors).not.toHaveLength(0);
  });

  it("can be read at every replica as soon as it was accepted", async () => {
    const { body: task } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const { status, body, headers } = await cluster.json(`${prefix}/api/v1/tasks/${task.task_id}`);
      expect([prefix, status, body.status]).toEqual([prefix, 200, "pending"]);
      expect(Number(headers.get("x-raft-applied-index"))).toBeGreaterThan(0);
    }
  });

  it("is 400 by an id that is none, 404 by one that nobody has", async () => {
    expect((await cluster.json("/api/v1/tasks/17")).status).toBe(400);
    const { status, body } = await cluster.json(`/api/v1/tasks/${crypto.randomUUID()}`);
    expect([status, body.error]).toEqual([404, "Task not found"]);
  });

  it("is accepted once under one idempotency key", async () => {
    const leaves = fresh();
    const key = { "idempotency-key": "task-key-1" };
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves }, key);
    const again = await cluster.post("/api/v1/tasks/merkle", { leaves }, key);
    expect([again.status, again.body.task_id, again.headers.get("idempotency-replayed")]).toEqual([
      202,
      first.body.task_id,
      "true",
    ]);
    const other = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() }, key);
    expect([other.status, other.body.code]).toEqual([422, "idempotency-key-reused"]);
  });

  it("waits no longer than asked for", async () => {
    const { body: task } = await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    for (const [query, headers] of [
      ["?wait=0.3", {}],
      ["", { prefer: "respond-async, wait=1" }],
    ] as const) {
      const begun = Date.now();
      const { body } = await cluster.json(`/api/v1/tasks/${task.task_id}${query}`, { headers });
      expect(body.status).toBe("pending");
      expect(Date.now() - begun).toBeGreaterThanOrEqual(290);
      expect(Date.now() - begun).toBeLessThan(4_000);
    }
  });

  it("comes in pages, newest first, each once", async () => {
    for (let i = 0; i < 3; i++) await cluster.post("/api/v1/tasks/merkle", { leaves: fresh() });
    const seen: string[] = [];
    let cursor = "";
    do {
      const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await cluster.json<{
        items: { task_id: string; created_at: string }[];
        next_cursor?: string;
      }>(`/api/v1/tasks?limit=2&status=pending${query}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ task_id, created_at }) => `${created_at} ${task_id}`));
      cursor = body.next_cursor ?? "";
    } while (cursor !== "");
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(new Set(seen).size).toBe(seen.length);
    const times = seen.map((line) => line.split(" ")[0] ?? "");
    expect(times).toEqual(times.toSorted().toReversed());
  });

  it("is not looked for with a cursor that no page gave: whoever mangles his has not seen everything", async () => {
    for (const cursor of ["zzz", "-5", "0", "1.5", "1e3", "9".repeat(30)]) {
      const { status, body } = await cluster.json(`/api/v1/tasks?cursor=${cursor}`);
      expect([cursor, status, body.error]).toEqual([
        cursor,
        400,
        "cursor must be the next_cursor of an earlier page",
      ]);
    }
  });
});

describe("the list of workers", () => {
  it("comes in pages, in the order of their names", async () => {
    for (const worker_id of ["page-c", "page-a", "page-b"]) {
      const worker = { worker_id, boot_id: "b", max_concurrent_tasks: 1, circuits: [] };
      expect((await cluster.post("/api/v1/workers", worker)).status).toBe(201);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query: string = cursor === undefined ? "" : `&cursor=${cursor}`;
      const { body } = await cluster.json<{ items: { worker_id: string }[]; next_cursor?: string }>(
        `/api/v1/workers?limit=2${query}`,
      );
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ worker_id }) => worker_id));
      cursor = body.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(["page-a", "page-b", "page-c"]);
    expect((await cluster.json("/api/v1/workers?cursor=")).status).toBe(400);
  });
});

describe("an event", () => {
  const event = { Critical: { ScoreUpdate: { player_id: "p", score: 3, timestamp: 1 } } };

  it("is committed at the index that the answer names, and survives with every number as written", async () => {
    const text =
      '{"Critical":{"Ledger":{"big":12345678901234567890,"exact":1.10,"deep":[[1e400]],"__proto__":{"a":1}}}}';
    const { status, body } = await cluster.post("/events", `{ "event": ${text} }`);
    expect(status).toBe(200);
    expect(body.message).toBe(`Event committed at log index ${body.log_index}`);
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const list = await (await cluster.fetch(`${prefix}/events?after=${Number(body.seq) - 1}`)).text();
      expect(list).toBe(`{"events":[${text}],"count":1}`);
    }
  });

  it("is a second event when repeated without a key, and the first answer again with one", async () => {
    const plain = [await cluster.post("/events", { event }), await cluster.post("/events", { event })];
    expect(plain[1]?.body.seq).toBe(Number(plain[0]?.body.seq) + 1);
    const keyed = [];
    for (let i = 0; i < 2; i++)
      keyed.push(await cluster.post("/events", { event }, { "idempotency-key": "event-key-1" }));
    expect(keyed[1]?.body.log_index).toBe(keyed[0]?.body.log_index);
    expect(keyed.map(({ headers }) => headers.get("idempotency-replayed"))).toEqual([null, "true"]);
  });

  it("that is refused says so in the fields that older clients read", async () => {
    for (const [body, status] of [
      [{ event: { Critical: { PlayerJoin: {} } } }, 400],
      [{ event: { Ephemeral: { PlayerMove: { player_id: 1 } } } }, 400],
      ["nonsense", 400],
    ] as const) {
      const answer = await cluster.post("/events", body);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ success: false, message: answer.body.detail, log_index: null });
    }
  });

  it("is measured by its own bytes, not by what becomes of them in the log", async () => {
    const text = `{"Critical":{"Escaped":{"s":"${"\\\\".repeat(400_000)}"}}}`;
    const { status, body } = await cluster.post("/events", `{"event":${text}}`);
    expect([status, body.code]).toEqual([200, undefined]);
    const list = await (await cluster.fetch(`/events?after=${Number(body.seq) - 1}`)).text();
    expect(list === `{"events":[${text}],"count":1}`).toBe(true);
  });

  it("above 1 MiB is 413, which no waiting helps", async () => {
    const big = { event: { Critical: { Big: { s: "x".repeat(1_048_576) } } } };
    const { status, body, headers } = await cluster.post("/events", big);
    expect([status, body.code, body.retryable]).toEqual([413, "too-large", false]);
    expect(headers.has("retry-after")).toBe(false);
  });

  it("keeps what was validated and nothing beside it", async () => {
    const kind = '"Kept":{"a":1}';
    const { status, body } = await cluster.post(
      "/events",
      `{"event":{"trace":"x","Critical":{"__proto__":{"b":2},${kind}}},"more":1}`,
    );
    expect(status).toBe(200);
    const list = await (await cluster.fetch(`/events?after=${Number(body.seq) - 1}`)).text();
    expect(list).toBe(`{"events":[{"Critical":{${kind}}}],"count":1}`);
  });

  it("nested deeper than can be written down is 400", async () => {
    const deep = `{"event":{"Critical":{"Deep":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}}}`;
    expect((await cluster.post("/events", deep)).status).toBe(400);
  });
});

describe("circuits", () => {
  it("are published with schema, statement, verifying key, its hash and how it was made", async () => {
    const { body } = await cluster.json<{ items: { name: string }[] }>("/api/v1/circuits");
    expect(body.items.map(({ name }) => name)).toContain("merkle");
    const { body: merkle } = await cluster.json("/api/v1/circuits/merkle");
    expect(merkle).toMatchObject({ name: "merkle", circuit_type: "merkle_proof", setup: "dev-single-party" });
    expect(merkle.vk_hash).toMatch(/^[0-9a-f]{64}$/);
    const signal = (name: string) => ({ name, meaning: expect.any(String) });
    expect(merkle.statement).toEqual(["root", "tag", "context"].map(signal));
    expect(merkle.verifying_key).toMatchObject({ protocol: "groth16", curve: "bn128" });
    expect((await cluster.json("/api/v1/circuits/nope")).status).toBe(404);
  });

  it("check a proof without any task", async () => {
    const { status, body } = await cluster.post("/api/v1/proofs/verify", {
      circuit: "merkle",
      proof: { pi_a: ["1", "2", "1"] },
      public_inputs: ["1", "2", "3"],
    });
    expect([status, body.valid]).toEqual([200, false]);
    expect(body.reason).toEqual(expect.any(String));
  });
});
