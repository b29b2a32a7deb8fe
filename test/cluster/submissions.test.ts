/**
 */
import { createHash } from "node:crypto";
import { poseidon1 } from "poseidon-lite/poseidon1";
import { poseidon2 } from "poseidon-lite/poseidon2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import { type Cluster, eventually, type Reply, ready, startCluster } from "./harness.ts";
import { expectProblem } from "./problems.ts";
import { taskOf } from "./provers.ts";
import { raw } from "./raw.ts";

const ROUTE = "/api/v1/tasks/merkle";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { REQUEST_LOG: "failed" } });
  await ready(cluster);
});
afterAll(() => cluster.stop());

function submit<Body = Record<string, unknown>>(body: unknown): Promise<Reply<Body>> {
  return cluster.post<Body>(ROUTE, body);
}

describe("an invalid submission is 400 with a sentence that names the field", () => {
  const index = (leaf_index: unknown) => ({ leaves: ["0x1", "0x2"], leaf_index });
  const second = (leaf: unknown) => ({ leaves: ["0x1", leaf], leaf_index: 0 });

  test.each<[string, unknown, string, RegExp]>([
    ["no leaves", {}, "/leaves", /leaves must be a list/],
    ["empty leaves", { leaves: [], leaf_index: 0 }, "/leaves", /leaves must have at least one leaf/],
    ["leaves null", { leaves: null }, "/leaves", /leaves must be a list/],
    ["leaves that are a string", { leaves: "0x1" }, "/leaves", /leaves must be a list/],
    ["leaves that are an object", { leaves: { 0: "0x1" } }, "/leaves", /leaves must be a list/],
    ["1,001 leaves", { leaves: Array(1001).fill("0x1") }, "/leaves", /leaves has 1001 leaves, at most 1000/],
    ["an index behind the last leaf", index(2), "/leaf_index", /leaf_index 2 is out of range.*0 to 1/],
    ["a very large index", index(1e300), "/leaf_index", /leaf_index/],
    ["a negative index", index(-1), "/leaf_index", /leaf_index must not be negative/],
    ["a fraction", index(0.5), "/leaf_index", /leaf_index must be a whole number/],
    ["an index in quotes", index("0"), "/leaf_index", /leaf_index must be a whole number/],
    ["an index null", index(null), "/leaf_index", /leaf_index must be a whole number/],
    ["an index true", index(true), "/leaf_index", /leaf_index must be a whole number/],
    ["a leaf that is not hex", second("0xzz"), "/leaves/1", /leaves\[1\].*"z" is not a hex digit/],
    ["a leaf with a space", second(" 0x1"), "/leaves/1", /leaves\[1\].*" " is not a hex digit/],
    ["a leaf with a line break", second("0x1\n"), "/leaves/1", /leaves\[1\].*is not a hex digit/],
    ["the dots of an example", second("0x123..."), "/leaves/1", /leaves\[1\].*dots stand for digits/],
    ["an ellipsis", second("0x123…"), "/leaves/1", /leaves\[1\].*dots stand for digits/],
    ["65 digits", second(`0x${"1".repeat(65)}`), "/leaves/1", /leaves\[1\] has 65 hex digits.*at most 64/],
    ["an empty leaf", second(""), "/leaves/1", /leaves\[1\] is empty/],
    ["0x alone", second("0x"), "/leaves/1", /leaves\[1\] is empty/],
    ["a number as a leaf", second(17), "/leaves/1", /leaves\[1\] must be a string/],
    ["null as a leaf", second(null), "/leaves/1", /leaves\[1\] must be a string/],
    ["a list as a leaf", second(["0x1"]), "/leaves/1", /leaves\[1\] must be a string/],
    ["a priority too high", { leaves: ["0x1"], priority: 101 }, "/priority", /priority must be at most 100/],
    ["no attempts", { leaves: ["0x1"], max_attempts: 0 }, "/max_attempts", /max_attempts must be at least 1/],
    ["tags in a string", { leaves: ["0x1"], tags: "a" }, "/tags", /tags must be a list/],
    ["a list", [], "", /the body must be an object/],
    ["a number", 7, "", /the body must be an object/],
    ["null", null, "", /the body must be an object/],
  ])("%s", async (_, body, pointer, sentence) => {
    const reply = await submit<ProblemBody>(body);
    expectProblem(reply, 400, "invalid-request");
    expect(reply.body.detail).toMatch(sentence);
    expect(reply.body.errors?.[0]).toEqual({ pointer, detail: expect.stringMatching(sentence) });
  });

  test.each([
    ["no body at all", ""],
    ["JSON cut short", '{"leaves":["0x1"'],
    ["no JSON", "leaves=0x1"],
    ["two documents", '{"leaves":["0x1"]}{}'],
    ["a trailing comma", '{"leaves":["0x1"],}'],
  ])("%s", async (_, body) => {
    const reply = await submit<ProblemBody>(body);
    expectProblem(reply, 400, "invalid-request");
    expect(reply.body.detail).toMatch(/the body is (empty|not valid JSON)/);
  });

  test("bytes that are no UTF-8", async () => {
    const reply = await raw(cluster, ROUTE, { method: "POST", body: Uint8Array.of(0x22, 0xff, 0x22) });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain("the body is not valid JSON");
  });

  test("of many wrong leaves, the first is named and the others are counted", async () => {
    const { body } = await submit<ProblemBody>({ leaves: ["x", "0x1", "y", "z"] });
    expect(body.detail).toMatch(/^leaves\[0\] is "x".*\(and 2 more\)$/);
    expect(body.errors?.map(({ pointer }) => pointer)).toEqual(["/leaves/0", "/leaves/2", "/leaves/3"]);
  });

  test("nothing of it is accepted", async () => {
    const { body } = await cluster.json<{ items: unknown[] }>("/api/v1/tasks");
    expect(body.items).toEqual([]);
  });
});

test("an accepted submission is 202 with the address where its task can be watched", async () => {
  const { status, body, headers } = await submit<Record<string, unknown>>({ leaves: ["0xacce97"] });
  expect(status).toBe(202);
  expect(Object.keys(body)).toEqual(["success", "task_id", "status", "message", "request_id"]);
  expect(body).toMatchObject({ success: true, status: "pending", task_id: expect.stringMatching(UUID) });
  expect(headers.get("location")).toBe(`/api/v1/tasks/${body.task_id}`);
});

describe("the same content again", () => {
  async function cachedBy(first: object, again: object): Promise<boolean> {
    const fresh = await submit(first);
    expect(fresh.status).toBe(202);
    expect(fresh.headers.get("x-cache")).toBeNull();
    const { status, body, headers } = await submit(again);
    if (status === 202) return false;
    expect(status).toBe(200);
    expect(body).toMatchObject({ success: true, status: "cached", task_id: fresh.body.task_id });
    expect(headers.get("x-cache")).toBe("HIT");
    expect(headers.get("location")).toBe(`/api/v1/tasks/${fresh.body.task_id}`);
    return true;
  }

  test("is 200, a hit, and the same task", async () => {
    const task = { leaves: ["0xa1", "0xa2"], leaf_index: 1 };
    expect(await cachedBy(task, task)).toBe(true);
  });

  test("means the same bytes at the same place: 0x1 is 0x01, and 0x0001 is not", async () => {
    expect(await cachedBy({ leaves: ["0x1"] }, { leaves: ["0x01"], leaf_index: 0 })).toBe(true);
    expect((await submit({ leaves: ["0x0001"] })).status).toBe(202);
    expect(await cachedBy({ leaves: ["0xABC"] }, { leaves: ["0abc"] })).toBe(true);
    expect(
      await cachedBy({ leaves: ["b1", "b2"], leaf_index: 0 }, { leaves: ["b1", "b2"], leaf_index: 1 }),
    ).toBe(false);
    expect(await cachedBy({ leaves: ["b3"] }, { leaves: ["b3", "00"] })).toBe(false);
  });

  test("whatever its other options: those stay the first task's", async () => {
    const leaves = ["0xc1"];
    expect(await cachedBy({ leaves, priority: 5, tags: ["first"] }, { leaves, priority: 9 })).toBe(true);
    const { body } = await submit({ leaves });
    expect(await taskOf(cluster, String(body.task_id))).toMatchObject({ priority: 5, tags: ["first"] });
  });

  test("200 times at once makes one task", async () => {
    const replies = await Promise.all(
      Array.from({ length: 200 }, () => submit({ leaves: ["0xd1", "0xd2"], leaf_index: 0 })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([...Array(199).fill(200), 202]);
    expect(new Set(replies.map(({ body }) => body.task_id)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get("x-cache") === "HIT")).toHaveLength(199);
  });
});

describe("trees of every shape are accepted with the right root", () => {
  /** All 1,024 places and every inner node, from the definition. */
  function rootOf(leaves: readonly string[]): string {
    const zero: bigint[] = [];
    for (let level = 0; level < 10; level++) {
      const below = zero.at(-1);
      zero.push(below === undefined ? 0n : poseidon2([below, below]));
    }
    let nodes = leaves.map((leaf) => {
      const bytes = Buffer.from(leaf.replace("0x", ""), "hex");
      return poseidon1([`0x${createHash("sha256").update(bytes).digest("hex").slice(0, 62)}`]);
    });
    for (const empty of zero) {
      const above: bigint[] = [];
      for (let at = 0; at < nodes.length; at += 2) {
        above.push(poseidon2([nodes[at] ?? empty, nodes[at + 1] ?? empty]));
      }
      nodes = above;
    }
    return `0x${(nodes[0] ?? 0n).toString(16).padStart(64, "0")}`;
  }

  async function expectAccepted(leaves: readonly string[], leaf_index: number, root: string): Promise<void> {
    const { status, body } = await submit({ leaves, leaf_index });
    expect(status).toBe(202);
    const task = await taskOf(cluster, String(body.task_id));
    expect(task.merkle_root).toBe(root);
    expect(BigInt(task.public_inputs?.[0] ?? "")).toBe(BigInt(root));
  }

  test.each([1, 2, 3, 5, 6, 9])("%i leaves, with every index", async (count) => {
    const leaves = Array.from(
      { length: count },
      (_, i) => `0xe${count}${(i + 1).toString(16).padStart(2, "0")}`,
    );
    const root = rootOf(leaves);
    await Promise.all(leaves.map((_, index) => expectAccepted(leaves, index, root)));
  });

  test.each([256, 1000])("%i leaves, with the first, the last and others", async (count) => {
    const leaves = Array.from({ length: count }, (_, i) => `0x${(i + count).toString(16).padStart(64, "f")}`);
    const root = rootOf(leaves);
    for (const index of [0, 1, count / 2, count - 1]) await expectAccepted(leaves, index, root);
  });

  test("any value of up to 32 bytes is a leaf, also those beyond the field", async () => {
    const leaves = [`0x${"ff".repeat(32)}`, `0x${"00".repeat(32)}`, "0x00"];
    await expectAccepted(leaves, 0, rootOf(leaves));
  });
});

test("a hundred tasks at once are a hundred tasks", async () => {
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => submit({ leaves: [`0x${i + 1}${i + 1}${i + 1}`], leaf_index: 0 })),
  );
  expect(replies.every(({ status }) => status === 202)).toBe(true);
  expect(new Set(replies.map(({ body }) => body.task_id)).size).toBe(100);
});

test("with REQUEST_LOG=failed only what was refused has a line in the log", async () => {
  const as = (id: string) => ({ headers: { "x-request-id": id } });
  expect((await cluster.json("/api/v1/tasks?limit=1", as("answered"))).status).toBe(200);
  expect((await cluster.json("/api/v1/tasks?limit=0", as("refused"))).status).toBe(400);
  await eventually("the line of the refused one", async () =>
    cluster.logs.some((line) => / request_id=refused .* status=400 /.test(line)),
  );
  expect(cluster.logs.filter((line) => line.includes("request_id=answered"))).toEqual([]);
});
