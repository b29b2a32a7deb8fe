/** The rows of the contract about operations, on real workerd. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OperationAnswer, OperationView } from "../../src/api/operations.ts";
import type { ProblemBody } from "../../src/api/problem.ts";
import type { List } from "../../src/api/tasks.ts";
import {
  type Cluster,
  event,
  eventually,
  followersOf,
  leaderOf,
  ready,
  settled,
  startCluster,
} from "./harness.ts";

let cluster: Cluster;
beforeAll(async () => {
  // A leader that is cut off goes on for so long: long enough to be asked for something meanwhile.
  cluster = await startCluster({
    variables: { HEARTBEAT_MS: "100", LOYALTY_MS: "2000", ELECTION_MS: "2000-3000" },
  });
  await ready(cluster, 30_000);
});
afterAll(() => cluster.stop());

function put<Body = OperationAnswer>(id: string, body: unknown, query = "", prefix = "") {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return cluster.json<Body>(`${prefix}/api/v1/operations/${id}${query}`, { method: "PUT", body: text });
}

function get<Body = OperationView>(id: string, query = "", prefix = "") {
  return cluster.json<Body>(`${prefix}/api/v1/operations/${id}${query}`);
}

const everywhere = () => ["", ...cluster.names.map((name) => `/replicas/${name}`)];

describe("PUT /api/v1/operations/{id}", () => {
  test("waits for COMMITTED and answers 200 with the place in the log", async () => {
    const { status, body, headers } = await put("first", { type: "note", payload: { a: 1 } });
    expect(status).toBe(200);
    expect(body).toEqual({
      operation_id: "first",
      state: "COMMITTED",
      replicated: true,
      committed: true,
      log_index: expect.any(Number),
      term: expect.any(Number),
      request_id: headers.get("x-request-id"),
    });
  });

  test("the same type and payload again: the first result, at every replica, in whatever order the fields stand", async () => {
    const { body: first } = await put("same", { type: "note", payload: { a: 1, b: [2] } });
    for (const prefix of everywhere()) {
      const again = await put(
        "same",
        { payload: { b: [2], a: 1 }, type: "note", daemon_id: "d" },
        "",
        prefix,
      );
      expect(again.status).toBe(200);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(again.body).toMatchObject({ log_index: first.log_index, term: first.term });
    }
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => put("at-once", { type: "note", payload: 1 })),
    );
    expect(new Set(replies.map(({ body }) => body.log_index)).size).toBe(1);
  });

  test.each([
    { type: "other", payload: 1 },
    { type: "note", payload: 2 },
    { type: "note", payload: "1" },
  ])("another type or payload under a committed id is 422: %j", async (body) => {
    const { body: first } = await put("taken", { type: "note", payload: 1 });
    const reply = await put<ProblemBody>("taken", body);
    expect([reply.status, reply.body.code]).toEqual([422, "operation-id-reused"]);
    expect((await get("taken")).body).toMatchObject({ payload: 1, log_index: first.log_index });
  });

  test("?wait=0 answers 202 as soon as it is appended, and it is COMMITTED soon after", async () => {
    const { status, body } = await put("unawaited", { type: "note", payload: null }, "?wait=0");
    expect(status).toBe(202);
    expect(body).toMatchObject({ state: "PENDING", replicated: false, committed: false });
    const preferred = await cluster.json("/api/v1/operations/preferred", {
      method: "PUT",
      body: JSON.stringify({ type: "note", payload: null }),
      headers: { prefer: "respond-async, wait=0" },
    });
    expect([preferred.status, preferred.body.state]).toEqual([202, "PENDING"]);
    const seen = await eventually("it is committed", async () => {
      const { body } = await get("unawaited");
      return body.state === "COMMITTED" && body;
    });
    expect(seen).toMatchObject({ log_index: body.log_index, term: body.term, payload: null });
  });

  test("one that is committed later than its timestamp + ttl_ms is FAILED, and its id may be put again", async () => {
    const late = { type: "note", payload: 1, timestamp: Date.now() - 120_000, ttl_ms: 60_000 };
    const reply = await put<ProblemBody & OperationAnswer>("late", late);
    expect([reply.status, reply.body.code]).toEqual([422, "operation-failed"]);
    expect(reply.body).toMatchObject({
      operation_id: "late",
      state: "FAILED",
      committed: false,
      log_index: expect.any(Number),
    });
    const { body: failed } = await get("late");
    expect(failed).toMatchObject({ state: "FAILED", error: expect.stringMatching(/time was over/) });
    const timestamp = new Date().toISOString();
    const again = await put("late", { ...late, payload: 2, timestamp, ttl_ms: 60_000 });
    expect([again.status, again.body.state]).toEqual([200, "COMMITTED"]);
    expect((await get("late")).body).toMatchObject({ state: "COMMITTED", payload: 2, timestamp });
  });

  test("is kept for ttl_ms, then the id is new", async () => {
    await put("short", { type: "note", payload: 1, ttl_ms: 1 });
    const again = await eventually("the id is new", async () => {
      const reply = await put("short", { type: "note", payload: 2, ttl_ms: 60_000 });
      return reply.status === 200 && reply;
    });
    expect(again.body.state).toBe("COMMITTED");
  });

  test.each<[string, string, unknown, RegExp]>([
    ["no type", "x", { payload: 1 }, /type is missing/],
    ["no payload", "x", { type: "note" }, /payload is missing/],
    ["a wrong schema_version", "x", { type: "note", payload: 1, schema_version: 0 }, /schema_version must/],
    ["a wrong timestamp", "x", { type: "note", payload: 1, timestamp: "now" }, /timestamp must be/],
    ["a wrong ttl_ms", "x", { type: "note", payload: 1, ttl_ms: -1 }, /ttl_ms must/],
    ["a wrong id", "-x", { type: "note", payload: 1 }, /operation_id must be/],
    ["the id of another route", "export", { type: "note", payload: 1 }, /operation_id cannot be/],
    ["no JSON", "x", "{", /not valid JSON/],
  ])("with %s is 400", async (_, id, body, sentence) => {
    const reply = await put<ProblemBody>(id, body);
    expect(reply.status).toBe(400);
    expect(reply.body.detail).toMatch(sentence);
  });

  test("with more than 1 MiB is 413", async () => {
    const reply = await put<ProblemBody>("large", { type: "note", payload: "x".repeat(1_048_577) });
    expect([reply.status, reply.body.code]).toEqual([413, "too-large"]);
  });
});

describe("GET /api/v1/operations/{id}", () => {
  test("shows what was put, every number as it was written", async () => {
    const payload = '{"big":9007199254740993,"fine":0.10000000000000000555,"one":1.0}';
    const text = `{"type":"measure","schema_version":3,"daemon_id":"d-1","timestamp":17,"payload": ${payload} }`;
    const { body: answered } = await put("exact", text);
    for (const prefix of everywhere()) {
      const reply = await get("exact", "", prefix);
      expect(reply.status).toBe(200);
      expect(reply.text).toContain(`"payload":${payload}`);
      expect(Number(reply.headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(answered.log_index);
      const { operation_id, log_index, term } = answered;
      const fields = { type: "measure", schema_version: 3, daemon_id: "d-1", timestamp: 17 };
      expect(reply.body).toMatchObject({ operation_id, log_index, term, state: "COMMITTED", ...fields });
      expect(Date.parse(reply.body.expires_at ?? "")).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    }
    const repeated = await put("exact", text.replace("9007199254740993", "9007199254740992"));
    expect(repeated.status).toBe(422);
  });

  test("of an unknown id is 404", async () => {
    const reply = await get<ProblemBody>("unknown");
    expect([reply.status, reply.body.code]).toEqual([404, "operation-not-found"]);
  });
});

describe("GET /api/v1/operations?state=&after= and …/export", () => {
  test("list in the order of the log, page by page, and export all of it as JSON lines", async () => {
    for (let at = 0; at < 5; at++) await put(`listed-${at}`, { type: "listed", payload: { at } });
    const all: OperationView[] = [];
    for (let after = 0; ; ) {
      const { status, body } = await cluster.json<List<OperationView>>(
        `/api/v1/operations?state=COMMITTED&after=${after}&limit=3`,
      );
      expect(status).toBe(200);
      all.push(...body.items);
      if (body.next_cursor === undefined) break;
      after = Number(body.next_cursor);
    }
    const indexes = all.map(({ log_index }) => log_index);
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    const listed = all.filter(({ type }) => type === "listed");
    expect(listed.map(({ payload }) => payload)).toEqual([0, 1, 2, 3, 4].map((at) => ({ at })));
    for (const prefix of everywhere()) {
      const response = await cluster.fetch(`${prefix}/api/v1/operations/export`);
      expect(response.headers.get("content-type")).toBe("application/x-ndjson");
      const lines = (await response.text()).trimEnd().split("\n");
      const exported = lines.map((line) => JSON.parse(line) as OperationView);
      expect(exported.filter(({ state }) => state === "COMMITTED")).toEqual(all);
    }
  });

  test.each(["?state=DONE", "?after=x", "?limit=0", "?consistency=maybe"])("%s is 400", async (query) => {
    expect((await cluster.json(`/api/v1/operations${query}`)).status).toBe(400);
  });
});

describe("while a partition holds it back", () => {
  test("an operation is PENDING at the leader that appended it, and COMMITTED once a majority is back", async () => {
    const leader = await leaderOf(cluster);
    const followers = await followersOf(cluster);
    await settled(cluster);
    await Promise.all(followers.map((name) => cluster.fault(name, "stop")));
    const own = `/replicas/${leader}`;
    const { status, body } = await put("held-back", { type: "note", payload: [1] }, "?wait=0", own);
    expect(status).toBe(202);
    expect(body).toMatchObject({ state: "PENDING", replicated: false, committed: false });
    const stale = await get("held-back", "?consistency=stale", own);
    expect(stale.body).toMatchObject({ state: "PENDING", log_index: body.log_index, payload: [1] });
    const list = await cluster.json<List<OperationView>>(
      `${own}/api/v1/operations?state=PENDING&consistency=stale`,
    );
    expect(list.body.items.map(({ operation_id }) => operation_id)).toEqual(["held-back"]);
    expect((await get("held-back", "", own)).status).toBe(503);
    // Of these two only the one that holds the entry can be elected; both others together could go on without it.
    const [first = "", second = ""] = followers;
    await cluster.fault(first, "start");
    await ready(cluster, 30_000);
    await cluster.fault(second, "start");
    for (const prefix of everywhere()) {
      const reply = await get("held-back", "", prefix);
      expect(reply.body).toMatchObject({ state: "COMMITTED", log_index: body.log_index });
    }
  });

  test("one whose entry was overwritten is unknown again, and putting it again commits it", async () => {
    const leader = await leaderOf(cluster);
    await settled(cluster);
    await cluster.fault(leader, "isolate");
    const own = `/replicas/${leader}`;
    const lost = await put("overwritten", { type: "note", payload: 1 }, "?wait=0", own);
    expect([lost.status, lost.body.state]).toEqual([202, "PENDING"]);
    await eventually(
      "another leader",
      async () => {
        const { status } = await cluster.post("/events", event("Meanwhile", {}));
        return status === 200;
      },
      30_000,
    );
    await cluster.fault(leader, "heal");
    await settled(cluster);
    expect((await get("overwritten", "", own)).status).toBe(404);
    const again = await put("overwritten", { type: "note", payload: 1 });
    expect([again.status, again.body.state]).toEqual([200, "COMMITTED"]);
    expect(again.body.log_index).not.toBe(lost.body.log_index);
  });
});

describe("504 commit-outcome-unknown", () => {
  test("is the answer to what a leader appended before it noticed the loss of its majority; a repeat does it once", async () => {
    const leader = await leaderOf(cluster);
    const followers = await followersOf(cluster);
    await settled(cluster);
    for (const name of followers) await cluster.fault(name, "stop");
    const own = `/replicas/${leader}`;
    const append = (at: string) => {
      const headers = { "idempotency-key": "unknown-outcome" };
      return cluster.post<ProblemBody>(`${at}/events`, event("Unknown", {}), headers);
    };
    const submit = (at: string) => {
      const headers = { "idempotency-key": "unknown-outcome" };
      return cluster.post<ProblemBody & { task_id: string }>(
        `${at}/api/v1/tasks/merkle`,
        { leaves: ["0x504"] },
        headers,
      );
    };
    const [appended, submitted, operation] = await Promise.all([
      append(own),
      submit(own),
      put("unknown-outcome", { type: "note", payload: 1 }, "", own),
    ]);
    for (const { status, body } of [appended, submitted])
      expect([status, body.code, body.retryable]).toEqual([504, "commit-outcome-unknown", true]);
    expect(appended.body).toMatchObject({ success: false, message: appended.body.detail, log_index: null });
    expect([operation.status, operation.body.state]).toEqual([202, "PENDING"]);
    for (const name of followers) await cluster.fault(name, "start");
    await ready(cluster, 30_000);
    const tasks = new Set<string>();
    for (const at of everywhere()) {
      expect((await append(at)).status).toBe(200);
      const { status, body } = await submit(at);
      expect(status).toBe(202);
      tasks.add(body.task_id);
      const again = await put("unknown-outcome", { type: "note", payload: 1 }, "", at);
      expect([again.status, again.body.state]).toEqual([200, "COMMITTED"]);
    }
    expect(tasks.size).toBe(1);
    const { text } = await cluster.json("/events");
    expect(text.split('"Unknown"')).toHaveLength(2);
    const listed = await cluster.json<List<{ task_id: string }>>("/api/v1/tasks?status=pending");
    expect(listed.body.items.map(({ task_id }) => task_id)).toEqual([...tasks]);
  });
});
