/**
 * The Tasks rows of the HTTP contract on real workerd, each test named after its row. What a merkle submission accepts and
 * refuses, and in which words, is in submissions.test.ts; what provers do with tasks is in contract-provers.test.ts.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, eventually, ready, startCluster } from "./harness.ts";
import { attemptsOf, submitTask, TestProver, taskOf } from "./provers.ts";

const NOBODY = "00000000-0000-4000-8000-000000000000";

let cluster: Cluster;
let prover: TestProver;
beforeAll(async () => {
  // The prover here sends no heartbeats, and nothing is to be written for its silence.
  cluster = await startCluster({ variables: { LEASE_MS: "600000" } });
  await ready(cluster);
  prover = new TestProver(cluster, "prover", 100);
  await prover.register();
});
/** Each test begins without waiting tasks. */
afterEach(async () => {
  const { status, text } = await cluster.post("/api/v1/tasks/bulk", {
    action: "cancel",
    filter: { circuit: "merkle" },
  });
  if (status !== 200) throw new Error(text);
});
afterAll(() => cluster.stop());

const cancel = (task_id: string) => cluster.post(`/api/v1/tasks/${task_id}/cancel`, "");
const retry = (task_id: string) => cluster.post(`/api/v1/tasks/${task_id}/retry`, {});
/** Entries of the log that are not the beginning of a term. */
async function entries(): Promise<number> {
  const { body } = await cluster.json("/status");
  return Number(body.last_log_index) - Number(body.current_term);
}
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

async function failed(options: object = {}): Promise<string> {
  const task_id = await submitTask(cluster, options);
  const { lease_id } = await prover.takeOne();
  await prover.fail(lease_id, { retryable: false });
  return task_id;
}

describe("POST /api/v1/tasks/{circuit}: optional fields of every submission", () => {
  test("priority: the higher is handed out first", async () => {
    const low = await submitTask(cluster, { priority: -1 });
    const high = await submitTask(cluster, { priority: 1 });
    expect((await prover.take(2)).map(({ task_id }) => task_id)).toEqual([high, low]);
  });

  test("delay_ms: scheduled until then, with the time at which it may be had", async () => {
    const task_id = await submitTask(cluster, { delay_ms: 1_500 });
    const task = await taskOf(cluster, task_id);
    expect(task.status).toBe("scheduled");
    expect(Date.parse(task.not_before ?? "") - Date.parse(task.created_at)).toBe(1_500);
    expect((await prover.pull()).status).toBe(204);
    await eventually("it is pending", async () => (await taskOf(cluster, task_id)).status === "pending");
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(task.not_before ?? ""));
    expect((await prover.takeOne()).task_id).toBe(task_id);
  });

  test("delay_ms: a pull that waits gets the task as soon as it is due", async () => {
    const task_id = await submitTask(cluster, { delay_ms: 800 });
    const { status, body } = await prover.pull(1, 20);
    expect([status, body.leases?.map((lease) => lease.task_id)]).toEqual([200, [task_id]]);
  });

  test("deadline: expired when it passes, and its prover is told to stop", async () => {
    const deadline = inMs(2_000);
    const working = await submitTask(cluster, { deadline });
    const { lease_id } = await prover.takeOne();
    const waiting = await submitTask(cluster, { deadline, delay_ms: 1_000 });
    expect((await taskOf(cluster, waiting)).deadline).toBe(deadline);
    for (const task_id of [working, waiting]) {
      const { body } = await cluster.json(`/api/v1/tasks/${task_id}?wait=25`);
      expect(body).toMatchObject({ status: "expired", error: `expired: no proof before ${deadline}` });
    }
    expect(await attemptsOf(cluster, working)).toMatchObject([{ outcome: "expired" }]);
    expect((await prover.heartbeat([lease_id])).body.leases).toEqual([{ lease_id, directive: "cancel" }]);
  });

  test.each<[string, object, RegExp]>([
    ["in the past", { deadline: "2020-01-01T00:00:00Z" }, /^deadline must be in the future/],
    [
      "before the end of the delay",
      { delay_ms: 60_000, deadline: "SOON" },
      /^deadline must be later than the end of/,
    ],
    ["that is no time", { deadline: "tomorrow" }, /^deadline must be a time as RFC 3339 has it/],
    ["that is a number", { deadline: 1_900_000_000 }, /^deadline must be a time as RFC 3339 has it/],
  ])("deadline: one %s is 400", async (_, options, sentence) => {
    const text = JSON.stringify({ leaves: ["dead"], ...options }).replace("SOON", inMs(30_000));
    const { status, body } = await cluster.post("/api/v1/tasks/merkle", text);
    expect([status, body.code]).toEqual([400, "invalid-request"]);
    expect(body.detail).toMatch(sentence);
  });

  test("max_attempts: so many may be spent, each later than the one before, and then it has failed", async () => {
    const task_id = await submitTask(cluster, { max_attempts: 2 });
    await prover.fail((await prover.takeOne()).lease_id);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending", attempts_spent: 1 });
    const { body } = await prover.pull(1, 20);
    await prover.fail(body.leases?.[0]?.lease_id ?? "");
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "failed", attempts_spent: 2, attempt: 2 });
  });
});

describe("GET /api/v1/tasks/{id}", () => {
  test("shows what there is and omits the rest: one status, no secret, the same at every replica", async () => {
    const task_id = await submitTask(cluster, { tags: ["seen"], priority: 2 });
    const { status, body, text, headers } = await cluster.json(`/api/v1/tasks/${task_id}`);
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual([
      "success",
      "task_id",
      "status",
      "circuit_type",
      "merkle_root",
      "public_inputs",
      "created_at",
      "circuit",
      "priority",
      "max_attempts",
      "attempts_spent",
      "losses",
      "tags",
      "request_id",
    ]);
    expect(body).toMatchObject({ success: true, task_id, status: "pending", circuit_type: "merkle_proof" });
    expect(text.match(/"status":/g)).toHaveLength(1);
    expect(text).not.toMatch(/null|leaves|blinding/);
    const index = Number(headers.get("x-raft-applied-index"));
    expect(index).toBeGreaterThan(0);
    for (const name of cluster.names) {
      const { request_id: _, ...shown } = await taskOf(cluster, task_id, `/replicas/${name}`);
      expect(body).toMatchObject(shown);
    }
  });

  test("assigned when granted, in_progress with the first heartbeat that lists the lease, with times and worker", async () => {
    const task_id = await submitTask(cluster);
    const { lease_id } = await prover.takeOne();
    const assigned = await taskOf(cluster, task_id);
    expect(assigned).toMatchObject({
      status: "assigned",
      attempt: 1,
      worker_id: "prover",
      started_at: expect.any(String),
    });
    await prover.heartbeat([lease_id]);
    await eventually(
      "it is in progress",
      async () => (await taskOf(cluster, task_id)).status === "in_progress",
    );
    expect((await taskOf(cluster, task_id)).started_at).toBe(assigned.started_at);
    await prover.release(lease_id);
    expect(await taskOf(cluster, task_id)).not.toHaveProperty("worker_id");
  });

  test("?wait answers when the task ends, or when the time is up", async () => {
    const task_id = await submitTask(cluster);
    const began = Date.now();
    expect((await cluster.json(`/api/v1/tasks/${task_id}?wait=0.3`)).body.status).toBe("pending");
    expect(Date.now() - began).toBeGreaterThanOrEqual(300);
    const ended = cluster.json(`/api/v1/tasks/${task_id}`, { headers: { prefer: "wait=20" } });
    await cancel(task_id);
    expect((await ended).body.status).toBe("cancelled");
    expect((await cluster.json(`/api/v1/tasks/${task_id}?wait=26`)).status).toBe(400);
  });

  test("is 400 for what is no id and 404 for what is unknown, in any spelling of an id", async () => {
    const malformed = await cluster.json("/api/v1/tasks/42");
    expect([malformed.status, malformed.body.code]).toEqual([400, "invalid-request"]);
    const unknown = await cluster.json(`/api/v1/tasks/${NOBODY}`);
    expect([unknown.status, unknown.body.error]).toEqual([404, "Task not found"]);
    const task_id = await submitTask(cluster);
    expect((await cluster.json(`/api/v1/tasks/${task_id.toUpperCase()}`)).body.task_id).toBe(task_id);
  });
});

describe("GET /api/v1/tasks/{id}/attempts", () => {
  test("lists every attempt with worker, times, outcome and error", async () => {
    const task_id = await submitTask(cluster, { max_attempts: 1 });
    await prover.release((await prover.takeOne()).lease_id);
    const { lease_id } = await prover.takeOne();
    await prover.fail(lease_id);
    const { status, body } = await cluster.json(`/api/v1/tasks/${task_id}/attempts`);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const both = { worker_id: "prover", granted_at: time, ended_at: time };
    expect([status, body.items]).toEqual([
      200,
      [
        { attempt: 1, ...both, outcome: "released" },
        { attempt: 2, ...both, outcome: "failed", error: "test-failure: on purpose" },
      ],
    ]);
    expect((await cluster.json(`/api/v1/tasks/${NOBODY}/attempts`)).status).toBe(404);
  });
});

describe("GET /api/v1/tasks/{id}/proof", () => {
  test("is 404 while there is none, of every file, and 400 for a file that there never is", async () => {
    const task_id = await submitTask(cluster);
    for (const query of ["", "?file=public", "?file=verification_key"]) {
      const { status, body } = await cluster.json(`/api/v1/tasks/${task_id}/proof${query}`);
      expect([status, body.code]).toEqual([404, "proof-not-found"]);
    }
    expect((await cluster.json(`/api/v1/tasks/${task_id}/proof?file=witness`)).status).toBe(400);
    expect((await cluster.json(`/api/v1/tasks/${NOBODY}/proof`)).body.code).toBe("task-not-found");
  });
});

describe("POST /api/v1/tasks/{id}/cancel", () => {
  test("ends a task that waits; again it is the same answer", async () => {
    const task_id = await submitTask(cluster);
    for (let time = 0; time < 2; time++) {
      const { status, body } = await cancel(task_id);
      expect([status, body]).toEqual([
        200,
        { success: true, task_id, status: "cancelled", request_id: body.request_id },
      ]);
    }
    expect((await prover.pull()).status).toBe(204);
    expect(await taskOf(cluster, task_id)).toMatchObject({
      status: "cancelled",
      completed_at: expect.any(String),
    });
  });

  test("reaches a running prover with its next heartbeat, and its proof is refused", async () => {
    const task_id = await submitTask(cluster);
    const { lease_id } = await prover.takeOne();
    await prover.heartbeat([lease_id]);
    expect((await cancel(task_id)).status).toBe(200);
    expect((await prover.heartbeat([lease_id])).body).toMatchObject({
      leases: [{ lease_id, directive: "cancel" }],
      missing: [],
    });
    const late = await prover.complete(lease_id, { proof: {}, public_inputs: [] });
    expect([late.status, late.body.code]).toEqual([409, "lease-superseded"]);
    expect(await attemptsOf(cluster, task_id)).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("is 409 for what has ended otherwise, 404 for what is unknown, 400 for what is no id", async () => {
    const task_id = await failed();
    const over = await cancel(task_id);
    expect([over.status, over.body.code]).toEqual([409, "task-conflict"]);
    const unknown = await cancel(NOBODY);
    expect([unknown.status, unknown.body.error]).toEqual([404, "Task not found"]);
    expect((await cancel("42")).status).toBe(400);
  });

  test("frees the content: the same again is a new task", async () => {
    const leaves = ["cafe01"];
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves });
    await cancel(String(first.body.task_id));
    const second = await cluster.post("/api/v1/tasks/merkle", { leaves });
    expect(second.status).toBe(202);
    expect(second.body.task_id).not.toBe(first.body.task_id);
    const back = await retry(String(first.body.task_id));
    expect([back.status, back.body.code]).toEqual([409, "task-conflict"]);
  });
});

describe("POST /api/v1/tasks/{id}/retry", () => {
  test("a failed task waits again at once, with one more attempt", async () => {
    const task_id = await failed({ max_attempts: 1 });
    const { status, body } = await retry(task_id);
    expect([status, body]).toEqual([
      200,
      { success: true, task_id, status: "pending", request_id: body.request_id },
    ]);
    expect(await taskOf(cluster, task_id)).toMatchObject({ attempts_spent: 1, max_attempts: 2 });
    expect((await prover.takeOne()).task_id).toBe(task_id);
  });

  test("a cancelled task waits again, and a delayed one need not wait", async () => {
    const cancelled = await submitTask(cluster);
    await cancel(cancelled);
    const delayed = await submitTask(cluster, { delay_ms: 60_000 });
    for (const task_id of [cancelled, delayed]) {
      expect((await retry(task_id)).body.status).toBe("pending");
    }
    expect((await prover.take(2)).map(({ task_id }) => task_id)).toEqual([cancelled, delayed]);
  });

  test("is 409 for what is being worked on, 404 for what is unknown", async () => {
    const task_id = await submitTask(cluster);
    const { lease_id } = await prover.takeOne();
    const running = await retry(task_id);
    expect([running.status, running.body.code]).toEqual([409, "task-conflict"]);
    await prover.fail(lease_id, { retryable: false });
    expect((await retry(NOBODY)).status).toBe(404);
  });
});

describe("POST /api/v1/tasks/batch", () => {
  interface Batch {
    readonly items: readonly {
      readonly index: number;
      readonly status?: string;
      readonly task_id?: string;
      readonly problem?: { readonly code: string; readonly detail: string; readonly errors: unknown };
    }[];
  }
  const post = (items: unknown, key?: string) =>
    cluster.post<Batch>(
      "/api/v1/tasks/batch",
      { items },
      key === undefined ? {} : { "idempotency-key": key },
    );
  const item = (leaf: string, options: object = {}) => ({
    circuit: "merkle",
    input: { leaves: [leaf] },
    ...options,
  });

  test("gives each item its own result: accepted, cached, or what is wrong with it", async () => {
    const { status, body } = await post([
      item("ba01", { priority: 3, tags: ["batch"] }),
      item("ba02", { delay_ms: 60_000 }),
      item("0xBA01"),
      item("xyz"),
      { circuit: "sudoku", input: {} },
      item("ba03", { priority: 101 }),
      { circuit: "merkle" },
      "merkle",
    ]);
    expect(status).toBe(200);
    expect(body.items.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const [first, delayed, cached, ...wrong] = body.items;
    expect([first?.status, delayed?.status, cached?.status]).toEqual(["pending", "scheduled", "cached"]);
    expect(cached?.task_id).toBe(first?.task_id);
    expect(await taskOf(cluster, first?.task_id ?? "")).toMatchObject({ priority: 3, tags: ["batch"] });
    expect(wrong.map(({ problem, task_id }) => [problem?.code, task_id])).toEqual([
      ["invalid-request", undefined],
      ["circuit-unknown", undefined],
      ["invalid-request", undefined],
      ["invalid-request", undefined],
      ["invalid-request", undefined],
    ]);
    expect(wrong[0]?.problem?.errors).toMatchObject([{ pointer: "/input/leaves/0" }]);
    expect(wrong[2]?.problem?.detail).toBe("priority must be at most 100");
    await cancel(delayed?.task_id ?? "");
  });

  test("under an idempotency key is repeated without a second task", async () => {
    const items = ["be01", "be02", "be03"].map((leaf) => item(leaf));
    const first = await post(items, "batch-1");
    const again = await post(items, "batch-1");
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.body.items).toEqual(first.body.items);
    const other = await post(items.slice(1), "batch-1");
    expect([other.status, (other.body as { code?: string }).code]).toEqual([422, "idempotency-key-reused"]);
  });

  test("takes 500 items, in one entry of the log, and not 501", async () => {
    const items = Array.from({ length: 501 }, (_, at) => item(`bc${(at + 4_096).toString(16)}`));
    expect((await post(items)).status).toBe(400);
    expect((await post([])).status).toBe(400);
    const before = await entries();
    const { status, body } = await post(items.slice(1), "large");
    expect([status, new Set(body.items.map(({ task_id }) => task_id)).size]).toEqual([200, 500]);
    expect((await entries()) - before).toBe(1);
    const page = await cluster.json<{ items: { task_id: string }[] }>("/api/v1/tasks?limit=500");
    const newest = page.body.items.map(({ task_id }) => task_id);
    expect(newest).toEqual(body.items.map(({ task_id }) => task_id).reverse());
  });

  test("of many bytes is more than one entry, and under a key still the same tasks", async () => {
    const tags = Array.from({ length: 16 }, (_, at) => `${at}`.padEnd(64, "x"));
    const items = Array.from({ length: 480 }, (_, at) => item(`bd${(at + 4_096).toString(16)}`, { tags }));
    const before = await entries();
    const first = await post(items, "wide");
    expect(first.body.items.map(({ status }) => status)).toEqual(items.map(() => "pending"));
    const after = await entries();
    expect(after - before).toBe(2);
    const again = await post(items, "wide");
    expect(again.body.items).toEqual(first.body.items);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await entries()).toBe(after);
  });
});

describe("POST /api/v1/tasks/bulk", () => {
  const bulk = (body: object) => cluster.post("/api/v1/tasks/bulk", body);

  test("cancels what the filter finds: counted dry, refused on another count, then done", async () => {
    const tags = ["bulk-1"];
    const waiting = await Promise.all([1, 2, 3].map(() => submitTask(cluster, { tags })));
    const other = await submitTask(cluster);
    const filter = { tag: "bulk-1", status: ["pending", "scheduled"] };
    const dry = await bulk({ action: "cancel", filter, dry_run: true });
    expect(dry.body).toMatchObject({ dry_run: true, matched: 3, changed: 0, skipped: 0, remaining: 3 });
    const refused = await bulk({ action: "cancel", filter, expected_count: 2 });
    expect([refused.status, refused.body.code, refused.body.matched]).toEqual([409, "count-mismatch", 3]);
    for (const task_id of waiting) expect((await taskOf(cluster, task_id)).status).toBe("pending");
    const done = await bulk({ action: "cancel", filter, expected_count: 3 });
    expect([done.status, done.body]).toEqual([
      200,
      {
        success: true,
        action: "cancel",
        dry_run: false,
        matched: 3,
        changed: 3,
        skipped: 0,
        remaining: 0,
        request_id: done.body.request_id,
      },
    ]);
    for (const task_id of waiting) expect((await taskOf(cluster, task_id)).status).toBe("cancelled");
    expect((await taskOf(cluster, other)).status).toBe("pending");
    expect((await bulk({ action: "cancel", filter })).body).toMatchObject({ matched: 0, changed: 0 });
    const back = await bulk({ action: "retry", filter: { tag: "bulk-1" } });
    expect(back.body).toMatchObject({ matched: 3, changed: 3 });
  });

  test("reaches thousands in slices", async () => {
    for (let round = 0; round < 3; round++) {
      const items = Array.from({ length: 500 }, (_, at) => ({
        circuit: "merkle",
        input: { leaves: [`cb${(round * 500 + at + 4_096).toString(16)}`] },
        tags: ["bulk-many"],
      }));
      expect((await cluster.post("/api/v1/tasks/batch", { items })).status).toBe(200);
    }
    const { body } = await bulk({ action: "cancel", filter: { tag: "bulk-many" } });
    expect(body).toMatchObject({ matched: 1_500, changed: 1_500, remaining: 0 });
  });

  test.each<[string, object, RegExp]>([
    ["without an action", { filter: { tag: "x" } }, /^action must be one of cancel, retry/],
    ["with an unknown action", { action: "delete", filter: { tag: "x" } }, /^action must be one of/],
    ["without a filter", { action: "cancel" }, /^filter /],
    ["without any condition", { action: "cancel", filter: {} }, /^filter must have a condition/],
    ["with an unknown status", { action: "cancel", filter: { status: "gone" } }, /^filter.status /],
  ])("%s is 400", async (_, body, sentence) => {
    const reply = await bulk(body);
    expect([reply.status, reply.body.code]).toEqual([400, "invalid-request"]);
    expect(reply.body.detail).toMatch(sentence);
  });
});

describe("GET /api/v1/tasks", () => {
  interface Page {
    readonly items: readonly { readonly task_id: string; readonly status: string }[];
    readonly next_cursor?: string;
  }
  const list = async (query: string): Promise<Page> =>
    (await cluster.json<Page>(`/api/v1/tasks?${query}`)).body;

  test("filters by status, several of them, circuit, worker, tag and time", async () => {
    const tags = ["listed"];
    const waiting = await submitTask(cluster, { tags, priority: -9 });
    const given_up = await failed({ tags });
    const cancelled = await submitTask(cluster, { tags });
    await cancel(cancelled);
    const ids = async (query: string) =>
      (await list(`tag=listed&${query}`)).items.map(({ task_id }) => task_id);
    expect(await ids("")).toEqual([cancelled, given_up, waiting]);
    expect(await ids("status=pending")).toEqual([waiting]);
    expect(await ids("status=failed,cancelled")).toEqual([cancelled, given_up]);
    expect(await ids("worker_id=prover")).toEqual([given_up]);
    expect(await ids("circuit=merkle&status=pending")).toEqual([waiting]);
    expect(await ids("circuit=other")).toEqual([]);
    const { created_at } = await taskOf(cluster, cancelled);
    expect(await ids(`created_before=${created_at}`)).toEqual([given_up, waiting]);
    expect((await cluster.json("/api/v1/tasks?created_before=yesterday")).status).toBe(400);
    expect((await cluster.json("/api/v1/tasks?status=pending,gone")).status).toBe(400);
  });

  test("pages by a cursor that neither repeats nor omits a task while others arrive", async () => {
    const tags = ["paged"];
    const all = [];
    for (let at = 0; at < 5; at++) all.unshift(await submitTask(cluster, { tags }));
    const seen: string[] = [];
    let cursor = "";
    for (;;) {
      const page = await list(`tag=paged&limit=2${cursor}`);
      seen.push(...page.items.map(({ task_id }) => task_id));
      if (page.next_cursor === undefined) break;
      await submitTask(cluster, { tags });
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(seen).toEqual(all);
  });

  test("shows no input, no blinding and no proof", async () => {
    await submitTask(cluster);
    const { text } = await cluster.json("/api/v1/tasks?limit=500");
    expect(text).not.toMatch(/"(leaves|input|blinding|content_hash|lease_id|proof)"/);
  });
});

test("RETENTION_MS: what ended is forgotten with the next activity, and its content is new again", async () => {
  const short = await startCluster({ variables: { REPLICAS: "1", RETENTION_MS: "1000" } });
  try {
    await ready(short);
    const leaves = ["0f"];
    const first = await short.post("/api/v1/tasks/merkle", { leaves });
    const path = `/api/v1/tasks/${String(first.body.task_id)}`;
    await short.post(`${path}/cancel`, "");
    const open = await submitTask(short);
    expect((await short.json(path)).body.status).toBe("cancelled");
    const index = async () => (await short.json("/status")).body.last_log_index;
    const before = await index();
    const ended = Date.now();
    await eventually("more than the retention is over", async () => Date.now() > ended + 1_100);
    // Nobody has asked for anything that changes something, so nothing was written.
    expect([await index(), (await short.json(path)).status]).toEqual([before, 200]);
    await submitTask(short);
    await eventually("it is forgotten", async () => (await short.json(path)).status === 404);
    expect((await short.json(`/api/v1/tasks/${open}`)).status).toBe(200);
  } finally {
    await short.stop();
  }
});
