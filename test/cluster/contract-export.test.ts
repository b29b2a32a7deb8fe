/**
 * Export and import as the contract has them: what one group gives out another, empty one takes in, whoever is lost in
 * between. It does not prove what becomes of exports larger than what the platform lets one request carry.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { acknowledged, type Cluster, event, leaderOf, ready, settled, startCluster } from "./harness.ts";

const EXPORT = "/api/v1/cluster/export";
const IMPORT = "/api/v1/cluster/import";
const TASKS = 40;
const EVENTS = 60;
/** No double can hold it. */
const BIG = "90071992547409931";

let source: Cluster;
let target: Cluster;
let text: string;
beforeAll(async () => {
  const variables = { CHECKPOINT_ENTRIES: "50", LOG_TAIL_ENTRIES: "10", BENCH: "on" };
  [source, target] = await Promise.all([startCluster({ variables }), startCluster({ variables })]);
  await Promise.all([ready(source), ready(target)]);
  await fill();
});
afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
});

async function fill(): Promise<void> {
  const bodies = Array.from(
    { length: EVENTS },
    (_, number) => `{"event":{"Critical":{"Written":{"number":${number},"big":${BIG}}}}}`,
  );
  const written = await Promise.all(bodies.map((body) => source.post("/events", body)));
  expect(written.map(({ status }) => status)).toEqual(bodies.map(() => 200));
  for (const id of ["one", "two"]) {
    const operation = JSON.stringify({ type: "noted", payload: { id } });
    const { status } = await source.json(`/api/v1/operations/${id}`, { method: "PUT", body: operation });
    expect(status).toBe(200);
  }
  const items = Array.from({ length: TASKS }, (_, number) => ({
    circuit: "noop",
    input: { data: `task ${number}` },
    tags: ["kept"],
  }));
  const submitted = await source.post<{ items: readonly { task_id?: string }[] }>("/api/v1/tasks/batch", {
    items,
  });
  expect(submitted.body.items.filter(({ task_id }) => task_id !== undefined)).toHaveLength(TASKS);
  const worker = { worker_id: "prover", boot_id: "boot", max_concurrent_tasks: 4 };
  const { body: circuit } = await source.json("/api/v1/circuits/noop");
  const circuits = [{ name: "noop", vk_hash: circuit.vk_hash }];
  await source.post("/api/v1/workers", { ...worker, circuits });
  const pulled = await source.post<{ leases: { lease_id: string; public_inputs: string[] }[] }>(
    "/api/v1/workers/prover/pull",
    { boot_id: "boot", max: 2 },
  );
  const [lease] = pulled.body.leases;
  const done = await source.post(`/api/v1/leases/${lease?.lease_id}/complete`, {
    worker_id: "prover",
    proof: {},
    public_inputs: lease?.public_inputs,
  });
  expect(done.status, done.text).toBe(200);
}

function send(cluster: Cluster, body: string, query = "") {
  const headers = { "content-type": "application/x-ndjson" };
  return cluster.json(`${IMPORT}${query}`, { method: "POST", body, headers });
}

/** What clients can read, as text. */
async function readable(cluster: Cluster, prefix = ""): Promise<readonly unknown[]> {
  const events = await (await cluster.fetch(`${prefix}/events`)).text();
  const operations = await cluster.json<{ items: { operation_id: string; payload: unknown }[] }>(
    `${prefix}/api/v1/operations`,
  );
  const tasks = await cluster.json<{ items: { task_id: string; status: string }[] }>(
    `${prefix}/api/v1/tasks?limit=500`,
  );
  return [
    events,
    operations.body.items.map(({ operation_id, payload }) => ({ operation_id, payload })),
    tasks.body.items.map(({ task_id, status }) => [task_id, status === "assigned" ? "pending" : status]),
  ];
}

describe("GET /api/v1/cluster/export", () => {
  test("gives out events, operations, tasks and workers as JSON lines at one applied index, while writes go on", async () => {
    const response = await source.fetch(EXPORT);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
    const others = Array.from({ length: 20 }, (_, nth) =>
      acknowledged(source, "/events", event("Later", { nth }), `later-${nth}`),
    );
    text = await response.text();
    await Promise.all(others);
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    const count = (type: string) => lines.filter((line) => line.type === type).length;
    expect([count("event"), count("operation"), count("task"), count("worker")]).toEqual([
      EVENTS,
      2,
      TASKS,
      1,
    ]);
    expect(lines[0]).toMatchObject({
      type: "export",
      cluster_id: "test",
      applied_index: Number(response.headers.get("x-raft-applied-index")),
    });
    expect(lines.at(-1)).toEqual({ type: "end", lines: lines.length });
    expect(text).toContain(BIG);
    expect(text).toContain('"blinding":');
  });

  test("is given out by any replica, and holds what was acknowledged before", async () => {
    for (const name of source.names) {
      const { log_index } = await acknowledged<{ log_index: number }>(
        source,
        "/events",
        event("Before", { name }),
        `before-${name}`,
      );
      const own = await source.fetch(`/replicas/${name}${EXPORT}`);
      expect(Number(own.headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(log_index);
      expect(await own.text()).toContain(`"name\\":\\"${name}\\"`);
    }
  });
});

describe("POST /api/v1/cluster/import", () => {
  test("takes an export in, goes on where it was after a loss, and gives back what was put into the other group", async () => {
    const lines = text.split("\n");
    const half = `${lines.slice(0, 50).join("\n")}\n`;
    const first = await send(target, half);
    expect([first.status, first.body.lines, first.body.done], first.text).toEqual([202, 50, false]);
    const waits = await target.post("/events", event("TooEarly", {}));
    expect([waits.status, waits.body.code]).toEqual([503, "import-in-progress"]);
    await target.fault(await leaderOf(target), "reset");
    await ready(target);
    const rest = lines.slice(50).join("\n");
    const part = await send(target, rest, `?from_line=60&export_id=${first.body.export_id}`);
    expect([part.status, part.body.code]).toEqual([409, "import-gap"]);
    const whole = await send(target, text);
    expect([whole.status, whole.body.done], whole.text).toEqual([200, true]);
    expect(whole.body.lines).toBe(lines.length - 1);
    const again = await send(target, text);
    expect([again.status, again.body.done]).toEqual([200, true]);
    await settled(target);
    const mine = await readable(target);
    const [events, operations, tasks] = await readable(source);
    expect(mine.slice(1)).toEqual([operations, tasks]);
    expect(String(events).startsWith(String(mine[0]).slice(0, -`],"count":${EVENTS}}`.length))).toBe(true);
    for (const name of target.names) expect(await readable(target, `/replicas/${name}`)).toEqual(mine);
    await target.restart();
    await ready(target);
    expect(await readable(target)).toEqual(mine);
    const next = await acknowledged<{ seq: number }>(target, "/events", event("Next", {}), "next");
    expect(next.seq).toBe(EVENTS + 1);
  });

  test("is 409 for a group in which something has happened, and nothing is taken in", async () => {
    const before = await readable(source);
    const { status, body } = await send(source, text);
    expect([status, body.code]).toEqual([409, "group-not-empty"]);
    expect(await readable(source)).toEqual(before);
  });

  test("is 400 for what is no export, and says which line it is", async () => {
    const [header = "", second = ""] = text.split("\n");
    const part = "?from_line=2&export_id=2f1c1f0e-6f0a-4b43-9f2e-0c4a0a8c8f01";
    const wrong: readonly (readonly [body: string, detail: string, query?: string])[] = [
      ["", "the body is empty"],
      ["no json", "line 1: the line is not valid JSON"],
      [second, "an export begins with a line of type export"],
      ['{"type":"event","record":{}}', "line 2: record.v must be 1", part],
      [header.replace('"v":1', '"v":2'), "line 1: v must be 1"],
    ];
    for (const [body, detail, query] of wrong) {
      const answer = await send(target, body, query);
      expect([answer.status, answer.body.code], body).toEqual([400, "invalid-request"]);
      expect(String(answer.body.detail)).toContain(detail);
    }
  });
});
