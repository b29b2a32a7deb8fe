/** Streams of events and operations as the client shows them: cut off and resumed, on a small server and on a real cluster. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { serverSentEvents } from "../../src/client/server-sent-events.ts";
import { allHealthy, type Cluster, leaderOf, ready, startCluster } from "../cluster/harness.ts";
import { answering, errorOf, failing, hangUp, station } from "./station.ts";

/** A stream that sends so much and is cut, or ends if it says so. */
function streaming(text: string, cut = true) {
  return (response: Parameters<typeof hangUp>[0]): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(text, () => (cut ? response.socket?.destroy() : response.end()));
  };
}

const compacted = failing(410, "events-compacted", false);
const numbered = (n: number) => JSON.stringify({ Critical: { N: { n } } });

describe("a stream that is cut off", () => {
  it("goes on behind the last id that came in, also before the first event, and each event arrives once", async () => {
    const server = await station(
      streaming("retry: 1000\nid: 6\n\n: heartbeat\n\n"),
      hangUp,
      streaming(`id: 7\ndata: ${numbered(7)}\n\ndata: {"Ephemeral":{"E":{}}}\n\nid: 8\ndata: {"Crit`),
      streaming(`id: 8\ndata: ${numbered(8)}\n\nevent: end\ndata: {"code":"replica-stopped"}\n\n`, false),
      compacted,
    );
    const seen: unknown[] = [];
    const reading = (async () => {
      const { events } = createClient({ url: server.url });
      for await (const { id, text } of events.stream({ after: "latest", include: "system" }))
        seen.push([id, text]);
    })();
    expect((await errorOf(reading)).code).toBe("events-compacted");
    expect(seen).toEqual([
      ["7", numbered(7)],
      [undefined, '{"Ephemeral":{"E":{}}}'],
      ["8", numbered(8)],
    ]);
    expect(server.seen.map(({ path }) => new URLSearchParams(path.split("?")[1]).get("after"))).toEqual([
      "latest",
      "6",
      "6",
      "7",
      "8",
    ]);
  });

  it("throws when it does not come back in time, and what aborted it", async () => {
    const server = await station(streaming("id: 1\n\n"), failing(503, "no-leader", true));
    const { events } = createClient({ url: server.url, retry_for_ms: 100 });
    expect((await errorOf(events.stream().next())).code).toBe("no-leader");
    const quiet = await station((response) => void response.writeHead(200).write(": connected\n\n"));
    const signal = AbortSignal.timeout(100);
    const aborted = createClient({ url: quiet.url }).events.stream({ signal }).next();
    await expect(aborted).rejects.toThrow(/timeout/i);
  });

  it("is given up for dead when not even a heartbeat comes in", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("id: 1\ndata: a\n\n")),
    });
    const reading = serverSentEvents(body, 30);
    expect((await reading.next()).value).toEqual({ id: "1", event: "message", data: "a" });
    await expect(reading.next()).rejects.toThrow(/nothing came in for 30 ms/);
  });
});

describe("whoever carries operations out", () => {
  const operation = (log_index: number) => ({
    operation_id: `o${log_index}`,
    type: "note",
    payload: { log_index },
    log_index,
    term: 1,
  });
  const committed = (log_index: number) =>
    `id: ${log_index}.0\ndata: ${JSON.stringify({ System: { "operation.committed": operation(log_index) } })}\n\n`;

  it("finds in the list what the stream no longer has, and misses none and repeats none", async () => {
    const server = await station(
      compacted,
      answering(200, { items: [operation(12), operation(15)], next_cursor: "15" }),
      answering(200, { items: [operation(20)] }, { "x-raft-applied-index": "90" }),
      streaming(`${committed(20)}${committed(95)}id: 97.2\ndata: {"System":{"task.created":{}}}\n\n`),
      streaming(committed(99)),
    );
    const seen: number[] = [];
    const { operations } = createClient({ url: server.url });
    const stopped = operations.handle(
      async ({ log_index, payload }) => {
        expect(payload).toEqual({ log_index });
        seen.push(log_index);
        if (log_index === 99) throw new Error("it is enough");
      },
      { after: 11 },
    );
    await expect(stopped).rejects.toThrow("it is enough");
    expect(seen).toEqual([12, 15, 20, 95, 99]);
    expect(server.seen.map(({ path }) => path)).toEqual([
      "/events?after=11.0&include=system",
      "/api/v1/operations?state=COMMITTED&after=11&limit=500",
      "/api/v1/operations?state=COMMITTED&after=15&limit=500",
      "/events?after=90.0&include=system",
      "/events?after=97.2&include=system",
    ]);
  });
});

describe("putting an operation", () => {
  const standing = (state: string) => ({ operation_id: "o", state, committed: state === "COMMITTED" });

  it("is repeated under its id until it is committed", async () => {
    const server = await station(
      failing(504, "commit-outcome-unknown", true),
      answering(202, standing("PENDING")),
      answering(202, standing("REPLICATED")),
      answering(200, standing("COMMITTED")),
    );
    const { operations } = createClient({ url: server.url });
    expect((await operations.put("o", { type: "note", payload: 1 })).state).toBe("COMMITTED");
    expect(new Set(server.seen.map(({ method, path, body }) => `${method} ${path} ${body}`))).toEqual(
      new Set(['PUT /api/v1/operations/o {"type":"note","payload":1}']),
    );
    expect(server.seen).toHaveLength(4);
  });

  it("with wait is asked once, and a failed attempt is an error", async () => {
    const server = await station(
      answering(202, standing("PENDING")),
      failing(422, "operation-failed", false),
    );
    const { operations } = createClient({ url: server.url });
    const put = () => operations.put("o", { type: "note", payload: 1 }, { wait: 0 });
    expect((await put()).state).toBe("PENDING");
    expect((await errorOf(put())).code).toBe("operation-failed");
    expect(server.seen.map(({ path }) => path)).toEqual(Array(2).fill("/api/v1/operations/o?wait=0"));
  });
});

describe("on a cluster", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  it("a stream shows every event once and in order, while its replica is reset again and again", async () => {
    const client = createClient({ url: cluster.url });
    const count = 60;
    const { seq: before = 0 } = await client.events.append({ Critical: { First: {} } });
    const reading = (async () => {
      const texts: string[] = [];
      for await (const { id, text } of client.events.stream({ after: before })) {
        expect(id).toBe(String(before + texts.length + 1));
        if (texts.push(text) === count) break;
      }
      return texts;
    })();
    for (let n = 0; n < count; n++) {
      if (n % 20 === 10) await cluster.fault(await leaderOf(cluster), "reset");
      await client.events.append({ Critical: { N: { n } } });
    }
    expect(await reading).toEqual(Array.from({ length: count }, (_, n) => numbered(n)));
    await allHealthy(cluster);
  });

  it("operations are put, looked up, listed, exported and carried out", async () => {
    const { operations, events } = createClient({ url: cluster.url });
    const { last = "" } = await events.list({ include: "system" });
    const first = await operations.put("a", { type: "note", payload: [1] });
    expect(await operations.put("a", { type: "note", payload: [1] })).toMatchObject({
      log_index: first.log_index,
    });
    expect((await operations.put("b", { type: "note", payload: [2] }, { wait: 0 })).state).toBe("PENDING");
    const b = await operations.put("b", { type: "note", payload: [2] });
    expect(await operations.get("b")).toMatchObject({ state: "COMMITTED", payload: [2] });
    const { items } = await operations.list({ state: "COMMITTED", after: first.log_index });
    expect(items.map(({ operation_id }) => operation_id)).toEqual(["b"]);
    const exported: unknown[] = [];
    for await (const { operation_id, payload } of operations.export()) exported.push([operation_id, payload]);
    expect(exported).toEqual([
      ["a", [1]],
      ["b", [2]],
    ]);
    for (const after of [0, Number.parseInt(last, 10), first.log_index]) {
      const due = [first, b].filter(({ log_index }) => log_index > after);
      const seen: number[] = [];
      for await (const { log_index, payload } of operations.committed({ after })) {
        expect(payload).toEqual([log_index === first.log_index ? 1 : 2]);
        if (seen.push(log_index) === due.length) break;
      }
      expect(seen).toEqual(due.map(({ log_index }) => log_index));
    }
  });
});
