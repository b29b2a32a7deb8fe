/**
 * The rows of the contract about streams of events, on real workerd: server-sent events, long polls, the system's own
 * events, Ephemeral ones, and what is no longer kept. What is appended and how exactly it is kept: events.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Appended, EventList } from "../../src/api/events.ts";
import type { ProblemBody } from "../../src/api/problem.ts";
import {
  allHealthy,
  type Cluster,
  event,
  eventually,
  followersOf,
  leaderOf,
  ready,
  settled,
  startCluster,
} from "./harness.ts";
import { openStream, type Received } from "./streams.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ variables: { PARTITION_DETECTION_MS: "500" } });
  await ready(cluster);
});
afterAll(() => cluster.stop());

async function append(kind: string, body: object = {}): Promise<Appended> {
  const reply = await cluster.post<Appended>("/events", event(kind, body));
  expect(reply.status, reply.text).toBe(200);
  return reply.body;
}

const everywhere = () => ["", ...cluster.names.map((name) => `/replicas/${name}`)];
const numbered = (n: number) => JSON.stringify({ Critical: { N: { n } } });
const systemName = ({ data }: Received) =>
  Object.keys((JSON.parse(data) as { System?: object }).System ?? {})[0];

describe("GET /events, Accept: text/event-stream", () => {
  test("sends what is kept, then what comes, with its seq as id, the same at every replica", async () => {
    const before = await append("N", { n: 0 });
    const streams = await Promise.all(everywhere().map((at) => openStream(cluster, `${at}/events`)));
    const last = await append("N", { n: 1 });
    for (const stream of streams) {
      await stream.find("the event that came last", ({ id }) => id === String(last.seq));
      expect(stream.received.map(({ id }) => id)).toEqual(
        Array.from({ length: last.seq ?? 0 }, (_, at) => String(at + 1)),
      );
      expect(stream.received.find(({ id }) => id === String(before.seq))?.data).toBe(numbered(0));
      expect(stream.received.every(({ event }) => event === "message")).toBe(true);
      await stream.close();
    }
  });

  test("Last-Event-ID resumes behind it, at any replica, whatever the address says", async () => {
    const first = await append("N", { n: 1 });
    await append("N", { n: 2 });
    await append("N", { n: 3 });
    for (const at of everywhere()) {
      const stream = await openStream(cluster, `${at}/events?after=0`, {
        "last-event-id": String(first.seq),
      });
      await stream.find("the last event", ({ data }) => data === numbered(3));
      expect(stream.received.map(({ data }) => data)).toEqual([numbered(2), numbered(3)]);
      await stream.close();
    }
  });

  test("after=latest begins with what is yet to come; numbers come as they were written", async () => {
    const stream = await openStream(cluster, "/events?after=latest");
    const text = '{"Critical":{"Big":{"n":9007199254740993,"one":1.0}}}';
    await cluster.post("/events", `{"event":${text}}`);
    await stream.find("the event", () => true);
    expect(stream.received.map(({ data }) => data)).toEqual([text]);
    await stream.close();
  });

  test("is complete and in order while many write, also for a reader who is cut off and resumes all the time", async () => {
    const from = (await append("N", { n: -1 })).seq ?? 0;
    const count = 300;
    const writing = Promise.all(
      Array.from({ length: 10 }, async (_, writer) => {
        for (let n = writer; n < count; n += 10) await append("N", { n });
      }),
    );
    const ids: number[] = [];
    for (let round = 0; ids.length < count; round++) {
      const at = everywhere()[round % 4];
      const stream = await openStream(cluster, `${at}/events`, {
        "last-event-id": String(ids.at(-1) ?? from),
      });
      await stream.find("something", () => true);
      await stream.close();
      ids.push(...stream.received.map(({ id }) => Number(id)));
    }
    await writing;
    expect(ids).toEqual(Array.from({ length: count }, (_, at) => from + at + 1));
  });

  test("ends with a word when its replica is stopped, and goes on elsewhere", async () => {
    const [name = ""] = await followersOf(cluster);
    const stream = await openStream(cluster, `/replicas/${name}/events?after=latest`);
    const first = await append("N", { n: 1 });
    await stream.find("the event", ({ id }) => id === String(first.seq));
    await cluster.fault(name, "stop");
    const end = await stream.find("its end", ({ event }) => event === "end");
    expect(JSON.parse(end.data)).toEqual({ code: "replica-stopped", retryable: true });
    await eventually("it is closed", async () => stream.ended);
    const second = await append("N", { n: 2 });
    const resumed = await openStream(cluster, "/events", { "last-event-id": String(first.seq) });
    const next = await resumed.find("the next event", () => true);
    expect(next).toEqual({ id: String(second.seq), event: "message", data: numbered(2) });
    await resumed.close();
    await cluster.fault(name, "start");
    await allHealthy(cluster);
  });

  test("ends with a word when its replica is reset, and a read that waits there is not refused", async () => {
    const [name = ""] = await followersOf(cluster);
    const stream = await openStream(cluster, `/replicas/${name}/events?after=latest`);
    const { last } = (await cluster.json(`/replicas/${name}/events?after=latest`)).body;
    const waiting = cluster.json(`/replicas/${name}/events?after=${last}&wait=20`);
    await cluster.fault(name, "reset");
    await stream.find("its end", ({ event }) => event === "end");
    await eventually("it is closed", async () => stream.ended);
    await append("N", { n: 1 });
    const { status, body } = await waiting;
    expect([status, body.events]).toEqual([200, [{ Critical: { N: { n: 1 } } }]]);
    await allHealthy(cluster);
  });

  test("is given up when its client goes: no reader is kept that is gone", async () => {
    const leader = await leaderOf(cluster);
    const open = async () => {
      const response = await cluster.fetch(`/replicas/${leader}/metrics`);
      const text = await response.text();
      return Number(/^troika_event_streams\{[^}]*\} (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
    };
    // That a client is gone shows when something is written for it.
    const gone = () =>
      eventually("no stream is open", async () => {
        await append("N", { n: 0 });
        return (await open()) === 0;
      });
    await gone();
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => openStream(cluster, `/replicas/${leader}/events?after=latest`)),
    );
    expect(await open()).toBe(20);
    await Promise.all(streams.map((stream) => stream.close()));
    await gone();
  });

  test("a Last-Event-ID that is none is 400", async () => {
    const reply = await cluster.json<ProblemBody>("/events", {
      headers: { accept: "text/event-stream", "last-event-id": "x" },
    });
    expect(reply.status).toBe(400);
    expect(reply.body.detail).toMatch(/Last-Event-ID must be/);
  });
});

describe("GET /events?after=&wait=", () => {
  test("waits for the next event, and no longer than asked", async () => {
    const { seq = 0 } = await append("N", { n: 1 });
    for (const at of everywhere()) {
      const began = Date.now();
      const empty = await cluster.json<EventList>(`${at}/events?after=${seq}&wait=0.3`);
      expect(empty.body).toEqual({ events: [], count: 0 });
      expect(Date.now() - began).toBeGreaterThanOrEqual(290);
    }
    const waiting = everywhere().map((at) => cluster.json<EventList>(`${at}/events?after=${seq}&wait=20`));
    const next = await append("N", { n: 2 });
    for (const { body, headers } of await Promise.all(waiting)) {
      expect(body).toEqual({ events: [{ Critical: { N: { n: 2 } } }], count: 1 });
      expect(Number(headers.get("x-raft-applied-index"))).toBeGreaterThanOrEqual(next.log_index ?? 0);
    }
  });

  test("after=latest waits for what is yet to come, and says where to go on from", async () => {
    const { seq = 0 } = await append("N", { n: 1 });
    const nothing = await cluster.json<EventList>("/events?after=latest");
    expect(nothing.body).toEqual({ events: [], count: 0, last: String(seq) });
    const system = await cluster.json<EventList>("/events?after=latest&include=system");
    expect(system.body).toEqual({ events: [], count: 0, last: expect.stringMatching(/^\d+\.0$/) });
    await append("N", { n: 2 });
    for (const { body } of [nothing, system]) {
      const { body: next } = await cluster.json<EventList>(
        `/events?after=${body.last}&include=system&wait=20`,
      );
      expect(next.events).toEqual([{ Critical: { N: { n: 2 } } }]);
    }
  });

  test("answers at once when there is something", async () => {
    const { seq = 0 } = await append("N", { n: 1 });
    const began = Date.now();
    const { body } = await cluster.json<EventList>(`/events?after=${seq - 1}&wait=20`);
    expect(body.count).toBe(1);
    expect(Date.now() - began).toBeLessThan(5_000);
  });
});

describe("?include=system", () => {
  test("adds the system's own events to the list, in one order at every replica, also after a restart", async () => {
    await cluster.post("/api/v1/workers", {
      worker_id: "reported",
      boot_id: "b",
      max_concurrent_tasks: 1,
      circuits: [],
    });
    const put = { method: "PUT", body: JSON.stringify({ type: "note", payload: { n: 1 } }) };
    const { body: operation } = await cluster.json("/api/v1/operations/reported", put);
    await append("N", { n: 1 });
    const { text } = await cluster.json<EventList>("/events?include=system");
    const { events, last } = JSON.parse(text) as EventList;
    const names = events.map((each) => Object.keys((each as { System?: object }).System ?? {})[0]);
    expect(names).toContain("worker.registered");
    expect(events).toContainEqual({
      System: {
        "operation.committed": {
          operation_id: "reported",
          type: "note",
          log_index: operation.log_index,
          term: operation.term,
          payload: { n: 1 },
        },
      },
    });
    const { body: critical } = await cluster.json<EventList>("/events");
    expect(critical.events.every((each) => Object.hasOwn(each as object, "Critical"))).toBe(true);
    expect(events.filter((each) => Object.hasOwn(each as object, "Critical"))).toEqual(critical.events);
    const none = await cluster.json<EventList>(`/events?include=system&after=${last}`);
    expect(none.body).toEqual({ events: [], count: 0, last });
    const same = async (): Promise<void> => {
      for (const at of everywhere())
        expect((await cluster.json(`${at}/events?include=system`)).text).toBe(text);
    };
    await same();
    await settled(cluster);
    await cluster.restart();
    await ready(cluster);
    await allHealthy(cluster);
    await same();
  });

  test("a stream of it resumes anywhere: every operation once, in the order of the log", async () => {
    const latest = await cluster.json<EventList>("/events?include=system");
    let resume = latest.body.last ?? "0";
    const seen: string[] = [];
    for (let round = 0; round < 12; round++) {
      const id = `op-${round}`;
      const body = JSON.stringify({ type: "note", payload: round });
      await cluster.json(`/api/v1/operations/${id}`, { method: "PUT", body });
      const at = everywhere()[round % 4];
      const stream = await openStream(cluster, `${at}/events?include=system`, { "last-event-id": resume });
      await stream.find(`the operation ${id}`, ({ data }) => data.includes(`"${id}"`));
      await stream.close();
      seen.push(
        ...stream.received
          .filter((each) => systemName(each) === "operation.committed")
          .map(({ data }) => /"operation_id":"([^"]+)"/.exec(data)?.[1] ?? ""),
      );
      resume = stream.received.findLast(({ id: position }) => position !== undefined)?.id ?? resume;
    }
    expect(seen).toEqual(Array.from({ length: 12 }, (_, round) => `op-${round}`));
  });

  test("what a replica observes appears on its own stream at once and without an id, also without a quorum", async () => {
    const leader = await leaderOf(cluster);
    const at = (name: string) =>
      openStream(cluster, `/replicas/${name}/events?include=system&after=latest&consistency=stale`);
    const isolated = await at(leader);
    const followers = await followersOf(cluster);
    const others = new Map(await Promise.all(followers.map(async (name) => [name, await at(name)] as const)));
    await cluster.fault(leader, "isolate");
    const lost = await isolated.find("the loss", (each) => systemName(each) === "raft.leader_lost");
    expect(lost.id).toBeUndefined();
    await isolated.find("the partition", (each) => systemName(each) === "partition.detected");
    const next = await eventually("another leader", async () => {
      const name = await leaderOf(cluster);
      return name !== leader && name;
    });
    const led = others.get(next);
    if (led === undefined) throw new Error(`${next} leads, and is no follower`);
    const elected = await led.find("its election", (each) => systemName(each) === "raft.leader_elected");
    expect(JSON.parse(elected.data)).toEqual({
      System: { "raft.leader_elected": { leader_id: next, term: expect.any(Number) } },
    });
    // Whoever leads now misses the one that led, and says when it is there again.
    const missed = await led.find("that it is missed", (each) => systemName(each) === "partition.detected");
    expect(JSON.parse(missed.data)).toEqual({
      System: { "partition.detected": { node_id: leader, health: "healthy" } },
    });
    await cluster.fault(leader, "heal");
    await isolated.find("the recovery", (each) => systemName(each) === "partition.recovered");
    const joined = await led.find("its return", (each) => systemName(each) === "member.joined");
    expect([joined.id, JSON.parse(joined.data)]).toEqual([
      undefined,
      { System: { "member.joined": { node_id: leader } } },
    ]);
    await Promise.all([isolated, ...others.values()].map((stream) => stream.close()));
    await allHealthy(cluster);
  });
});

describe("POST /events {event:{Ephemeral:…}}", () => {
  test("reaches the streams that are open at any replica, and is never stored", async () => {
    await allHealthy(cluster);
    const before = await cluster.json<EventList>("/events");
    const streams = await Promise.all(
      everywhere().map((at) => openStream(cluster, `${at}/events?after=latest`)),
    );
    const moved = { PlayerMove: { player_id: 1, x: 0.5, y: 1, z: 2, timestamp: 3 } };
    let sent = 0;
    // A follower says with its next answer that somebody listens there.
    const send = async (): Promise<void> => {
      const reply = await cluster.post<Appended>("/events", { event: { Ephemeral: moved } });
      expect(reply.status, reply.text).toBe(200);
      expect(reply.body).toMatchObject({ success: true, message: expect.any(String), log_index: null });
      sent++;
    };
    await send();
    for (const stream of streams) {
      await eventually("the event", async () => {
        if (stream.received.length === 0) await send();
        return stream.received.length > 0;
      });
      const [received] = stream.received;
      expect(received).toEqual({ event: "message", data: JSON.stringify({ Ephemeral: moved }) });
      expect(stream.received.length).toBeLessThanOrEqual(sent);
    }
    await Promise.all(streams.map((stream) => stream.close()));
    expect((await cluster.json<EventList>("/events")).body).toEqual(before.body);
  });

  test.each<[string, object, RegExp]>([
    [
      "a missing coordinate",
      { PlayerMove: { player_id: 1, x: 1, y: 1, timestamp: 1 } },
      /PlayerMove\.z is missing/,
    ],
    ["a missing action", { PlayerAction: { player_id: 1, timestamp: 1 } }, /PlayerAction\.action/],
    ["two kinds", { A: {}, B: {} }, /Ephemeral must have exactly one field/],
  ])("with %s is 400", async (_, Ephemeral, sentence) => {
    const reply = await cluster.post<ProblemBody>("/events", { event: { Ephemeral } });
    expect(reply.status).toBe(400);
    expect(reply.body.detail).toMatch(sentence);
  });
});

describe("with EVENT_RETENTION=5", () => {
  let small: Cluster;
  beforeAll(async () => {
    const variables = {
      EVENT_RETENTION: "5",
      REPLICAS: "1",
      CHECKPOINT_ENTRIES: "10",
      LOG_TAIL_ENTRIES: "0",
    };
    small = await startCluster({ variables });
    await ready(small);
    for (let n = 1; n <= 8; n++) await small.post("/events", event("N", { n }));
  });
  afterAll(() => small.stop());

  test("the newest five are kept, and counted", async () => {
    const { body } = await small.json<EventList>("/events");
    expect(body.events).toEqual([4, 5, 6, 7, 8].map((n) => ({ Critical: { N: { n } } })));
    expect((await small.json("/status")).body.event_count).toBe(5);
  });

  test("an after below the oldest kept is 410, as a list and as a stream", async () => {
    for (const accept of ["application/json", "text/event-stream"]) {
      const reply = await small.json<ProblemBody>("/events?after=2", { headers: { accept } });
      expect([reply.status, reply.body.code]).toEqual([410, "events-compacted"]);
      expect(reply.body.detail).toMatch(/kept behind seq 3/);
    }
    expect((await small.json<EventList>("/events?after=3")).body.count).toBe(5);
  });

  test("what a replica cuts from its log is log.compacted on its own stream, and loses no event that is kept", async () => {
    const stream = await openStream(small, "/events?include=system&after=latest");
    const compacted = await eventually("the log is cut", async () => {
      await small.post("/events", event("N", { n: 0 }));
      return stream.received.find((each) => systemName(each) === "log.compacted");
    });
    expect(compacted.id).toBeUndefined();
    const { System } = JSON.parse(compacted.data) as { System: { "log.compacted": object } };
    expect(System["log.compacted"]).toEqual({ entries_removed: expect.any(Number) });
    const { body } = await small.json("/status");
    expect(body.first_log_index).toBeGreaterThan(1);
    expect((await small.json<EventList>("/events")).body.count).toBe(5);
    await stream.close();
  });
});
