/** The event log: what is kept and how exactly, in one order everywhere, and what every replica shows after a write. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProblemBody } from "../../src/api/problem.ts";
import { acknowledged, type Cluster, event, ready, settled, startCluster } from "./harness.ts";
import { expectProblem } from "./problems.ts";

interface Appended {
  readonly success: boolean;
  readonly message: string;
  readonly log_index: number;
  readonly seq: number;
}
interface Listed {
  readonly events: readonly unknown[];
  readonly count: number;
}

/** More than a page of the replicas' own. */
const WRITES = 1_200;
const AT_ONCE = 100;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

function append(body: unknown, headers: Record<string, string> = {}, prefix = "") {
  return cluster.post<Appended>(`${prefix}/events`, body, headers);
}

async function list(query = "", prefix = ""): Promise<Listed> {
  const { status, body, text } = await cluster.json<Listed>(`${prefix}/events${query}`);
  expect(status, text).toBe(200);
  return body;
}

describe("appending", () => {
  test("answers with the place in the log, in words too", async () => {
    const { status, body, headers } = await append(
      event("PlayerJoin", { player_id: 1, name: "Ada", timestamp: 1 }),
    );
    expect(status).toBe(200);
    expect(body).toEqual({
      success: true,
      message: `Event committed at log index ${body.log_index}`,
      log_index: expect.any(Number),
      seq: expect.any(Number),
      request_id: headers.get("x-request-id"),
    });
    expect((await list(`?after=${body.seq - 1}`)).events).toEqual([
      { Critical: { PlayerJoin: { player_id: 1, name: "Ada", timestamp: 1 } } },
    ]);
  });

  test.each([
    event("PlayerLeave", { player_id: "p", timestamp: "now" }),
    event("ScoreUpdate", { player_id: 1, score: -1.5, timestamp: 0, more: [] }),
    event("GameStateChange", { state: { phase: "over" }, timestamp: 1 }),
    event("AnythingElse_9", { nested: { deeply: [1, null, "ü€𝄞"] } }),
    event("_", {}),
  ])("takes and gives back %j", async (submitted) => {
    const { body } = await append(submitted);
    expect((await list(`?after=${body.seq - 1}&limit=1`)).events).toEqual([submitted.event]);
  });

  test.each<[string, unknown, RegExp]>([
    ["no event", {}, /event/],
    ["neither Critical nor Ephemeral", { event: {} }, /event must have exactly one of/],
    ["both", { event: { Critical: { A: {} }, Ephemeral: { A: {} } } }, /event must have exactly one of/],
    ["no kind", { event: { Critical: {} } }, /event\.Critical must have exactly one field/],
    ["two kinds", { event: { Critical: { A: {}, B: {} } } }, /event\.Critical must have exactly one field/],
    ["a kind that is no identifier", { event: { Critical: { "a-b": {} } } }, /event\.Critical must name/],
    ["a body that is no object", { event: { Critical: { A: 1 } } }, /event\.Critical\.A must be an object/],
    ["a body that is a list", { event: { Critical: { A: [] } } }, /event\.Critical\.A must be an object/],
    [
      "a missing field",
      event("ScoreUpdate", { player_id: 1, timestamp: 1 }),
      /ScoreUpdate\.score is missing/,
    ],
    [
      "a wrong field",
      event("PlayerJoin", { player_id: 1, name: 2, timestamp: 1 }),
      /PlayerJoin\.name must be/,
    ],
    ["no object", [], /the body must be an object/],
  ])("refuses %s with a sentence that names it", async (_, submitted, sentence) => {
    const reply = await cluster.post<ProblemBody>("/events", submitted);
    expect(reply.status).toBe(400);
    expect(reply.body.detail).toMatch(sentence);
    expect(reply.body).toMatchObject({ success: false, message: reply.body.detail, log_index: null });
  });

  test("keeps every number as it was written, also those that no double can hold", async () => {
    const numbers =
      '{"big":9007199254740993,"bigger":123456789012345678901234567890,"fine":0.1000000000000000055511151231257827,' +
      '"one":1.0,"exponent":1E+2,"tiny":-0,"list":[18446744073709551615]}';
    const { body } = await append(`{"event" : {"Critical":\n{"Measured":${numbers}} } }`);
    for (const name of cluster.names) {
      const reply = await cluster.json(`/replicas/${name}/events?after=${body.seq - 1}&limit=1`);
      expect(reply.text).toBe(`{"events":[{"Critical":{"Measured":${numbers}}}],"count":1}`);
    }
  });

  test("gives back every text as it was written, at every replica: also names that are special to programs", async () => {
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

  test("measures an event by its own bytes, not by what becomes of them in the log", async () => {
    const text = `{"Critical":{"Escaped":{"s":"${"\\\\".repeat(400_000)}"}}}`;
    const { status, body } = await cluster.post("/events", `{"event":${text}}`);
    expect([status, body.code]).toEqual([200, undefined]);
    const list = await (await cluster.fetch(`/events?after=${Number(body.seq) - 1}`)).text();
    expect(list === `{"events":[${text}],"count":1}`).toBe(true);
  });

  test("keeps what was validated and nothing beside it", async () => {
    const kind = '"Kept":{"a":1}';
    const { status, body } = await cluster.post(
      "/events",
      `{"event":{"trace":"x","Critical":{"__proto__":{"b":2},${kind}}},"more":1}`,
    );
    expect(status).toBe(200);
    const list = await (await cluster.fetch(`/events?after=${Number(body.seq) - 1}`)).text();
    expect(list).toBe(`{"events":[{"Critical":{${kind}}}],"count":1}`);
  });

  test("refuses more than 1 MiB with 413, in the fields that older clients read", async () => {
    const reply = await cluster.post<ProblemBody>("/events", event("Big", { s: "x".repeat(1_048_576) }));
    expectProblem(reply, 413, "too-large");
    expect(reply.body).toMatchObject({ message: reply.body.detail, log_index: null });
    expect(reply.headers.has("retry-after")).toBe(false);
  });

  test("refuses what is nested deeper than can be written down", async () => {
    const deep = `{"event":{"Critical":{"Deep":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}}}`;
    expect((await cluster.post("/events", deep)).status).toBe(400);
  });
});

describe("an Idempotency-Key", () => {
  test("makes a repeat the first answer, marked as such", async () => {
    const submitted = event("Once", { at: 1 });
    const first = await append(submitted, { "idempotency-key": "key-1" });
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    for (const prefix of ["", "/replicas/coordinator-1", "/replicas/coordinator-3"]) {
      const again = await append(submitted, { "idempotency-key": "key-1" }, prefix);
      expect(again.status).toBe(200);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(again.body).toMatchObject({ seq: first.body.seq, log_index: first.body.log_index });
    }
    const { count } = await list();
    expect(count).toBe(first.body.seq);
  });

  test("makes one of many that come at once", async () => {
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => append(event("AtOnce", {}), { "idempotency-key": "key-2" })),
    );
    expect(new Set(replies.map(({ body }) => body.seq)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get("idempotency-replayed") === null)).toHaveLength(1);
  });

  test("is refused with another body", async () => {
    await append(event("First", {}), { "idempotency-key": "key-3" });
    const { count } = await list();
    const reply = await cluster.post<ProblemBody>("/events", event("Second", {}), {
      "idempotency-key": "key-3",
    });
    expect([reply.status, reply.body.code]).toEqual([422, "idempotency-key-reused"]);
    expect((await list()).count).toBe(count);
  });

  test("belongs to one route: the same key submits a task as well", async () => {
    const headers = { "idempotency-key": "key-3" };
    const first = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0x1"] }, headers);
    expect(first.status).toBe(202);
    const again = await cluster.post("/api/v1/tasks/merkle", { leaves: ["0x1"] }, headers);
    expect([again.status, again.body.task_id]).toEqual([202, first.body.task_id]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
  });

  test("without it, a client's repeat is a second event", async () => {
    const [first, second] = [await append(event("Twice", {})), await append(event("Twice", {}))];
    expect(second.body.seq).toBe(first.body.seq + 1);
  });

  test.each(["", "with space", "x".repeat(256)])("that is %j is 400", async (key) => {
    const reply = await append(event("Wrong", {}), { "idempotency-key": key });
    expect(reply.status).toBe(400);
  });
});

describe("order", () => {
  test("is one and the same at every replica, by sequence and by log index, and complete", async () => {
    const before = (await list()).count;
    const replies: (Appended & { readonly n: number })[] = [];
    const write = async (n: number) => {
      const path = n % 4 === 0 ? "/events" : `/replicas/coordinator-${n % 4}/events`;
      const body = await acknowledged<Appended>(cluster, path, event("Numbered", { n }), `numbered-${n}`);
      replies.push({ n, ...body });
    };
    for (let wave = 0; wave < WRITES; wave += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => write(wave + at)));
    }
    const by_seq = replies.toSorted((a, b) => a.seq - b.seq);
    expect(by_seq.map(({ seq }) => seq)).toEqual(replies.map((_, at) => before + at + 1));
    const indexes = by_seq.map(({ log_index }) => log_index);
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    const expected = by_seq.map(({ n }) => ({ Critical: { Numbered: { n } } }));
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      expect((await list(`?after=${before}`, prefix)).events).toEqual(expected);
    }
    const { body: status } = await cluster.json("/status");
    expect(status.event_count).toBe(before + WRITES);
  });

  test("lets a reader go on where it stopped, page by page", async () => {
    const all = (await list()).events;
    const pages: unknown[] = [];
    for (let after = 0; ; ) {
      const page = await list(`?after=${after}&limit=500`);
      expect(page.count).toBe(page.events.length);
      if (page.count === 0) break;
      pages.push(...page.events);
      after += page.count;
    }
    expect(pages).toEqual(all);
    expect(await list("?after=1000000")).toEqual({ events: [], count: 0 });
  });

  test.each(["?limit=0", "?limit=x", "?after=-1", "?after=1.x", "?consistency=eventual"])(
    "GET /events%s is 400",
    async (query) => {
      expect((await cluster.json(`/events${query}`)).status).toBe(400);
    },
  );
});

describe("reading", () => {
  test("after an acknowledged write includes it, at every replica, while others write as well", async () => {
    const readBack = async (writer: number) => {
      for (let round = 0; round < 15; round++) {
        const { body } = await append(event("Mine", { writer, round }));
        const reads = cluster.names.map((name) =>
          list(`?after=${body.seq - 1}&limit=1`, `/replicas/${name}`),
        );
        for (const read of await Promise.all(reads)) {
          expect(read.events).toEqual([{ Critical: { Mine: { writer, round } } }]);
        }
      }
    };
    await Promise.all([0, 1, 2, 3, 4].map(readBack));
  });

  test("says how far the replica had applied the log, fresh or stale", async () => {
    const { body } = await append(event("Placed", {}));
    for (const name of cluster.names) {
      const fresh = await cluster.json(`/replicas/${name}/events?after=${body.seq}`);
      expect(Number(fresh.headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(body.log_index);
    }
    await settled(cluster);
    for (const prefix of ["", ...cluster.names.map((name) => `/replicas/${name}`)]) {
      const stale = await cluster.json<Listed>(`${prefix}/events?consistency=stale&after=${body.seq - 1}`);
      expect(stale.status).toBe(200);
      expect(Number(stale.headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(body.log_index);
      expect(stale.body.events).toEqual([{ Critical: { Placed: {} } }]);
    }
  });
});
