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
  cluster = await startCluster();
  await ready(cluster);
  prover = new TestProver(cluster, "prover", 100);
  await prover.register();
});
/** Each test begins without waiting tasks. */
afterEach(async () => {
  const { body } = await prover.pull(100);
  for (const { lease_id } of body?.leases ?? []) await prover.fail(lease_id, { retryable: false });
});
afterAll(() => cluster.stop());

const cancel = (task_id: string) => cluster.post(`/api/v1/tasks/${task_id}/cancel`, "");
const retry = (task_id: string) => cluster.post(`/api/v1/tasks/${task_id}/retry`, {});
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
      const { body } = await cluster.json(`/api/v1/tasks/${task_id}?wait=10`);
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
