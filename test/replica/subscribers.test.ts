/** Live readers of one replica: bounded in number and in what waits for each, and told when they are cut off. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type ServerSentEvent, serverSentEvents } from "../../src/client/server-sent-events.ts";
import { HEARTBEAT_MS, SUBSCRIBERS_MAX, Subscribers } from "../../src/replica/subscribers.ts";
import { Machine } from "../coordinator/machine.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Listened {
  readonly machine = new Machine();
  readonly subscribers = new Subscribers({ feed: () => this.machine.coordinator.feed, now: Date.now });

  append(n: number): void {
    this.machine.apply({ type: "append-event", kind: "N", body: String(n), retain: 3 });
    this.subscribers.applied();
  }

  open({ system = false, after = "0" } = {}): ReadableStream<Uint8Array> {
    const cursor = this.machine.coordinator.feed.open(after, system);
    const body = cursor && this.subscribers.stream(cursor);
    if (body === undefined) throw new Error("no stream was opened");
    return body;
  }
}

async function take(reading: AsyncGenerator<ServerSentEvent>, count: number): Promise<readonly unknown[]> {
  const taken: unknown[] = [];
  while (taken.length < count) {
    const { value, done } = await reading.next();
    if (done) break;
    taken.push([value.event, value.id, value.data]);
  }
  return taken;
}

const end = (code: string) => ["end", undefined, JSON.stringify({ code, retryable: true })];
const ephemeral = (n: number) => JSON.stringify({ Ephemeral: { E: { n } } });

describe("a stream", () => {
  test("shows what the log has and what is only live, the system's own observations to those who want them", async () => {
    const listened = new Listened();
    const reading = serverSentEvents(listened.open());
    const system = serverSentEvents(listened.open({ system: true }));
    listened.append(1);
    listened.subscribers.ephemeral([ephemeral(1)]);
    const lost = { type: "raft.leader_lost", leader_id: "a", term: 2 } as const;
    listened.subscribers.observed(lost);
    expect(await take(reading, 2)).toEqual([
      ["message", undefined, ephemeral(1)],
      ["message", "1", "1"],
    ]);
    expect(await take(system, 3)).toEqual([
      ["message", undefined, ephemeral(1)],
      ["message", undefined, '{"System":{"raft.leader_lost":{"leader_id":"a","term":2}}}'],
      ["message", "1.0", "1"],
    ]);
    listened.append(2);
    expect(await take(reading, 1)).toEqual([["message", "2", "2"]]);
  });

  test("gets a comment when nothing has happened for a while", async () => {
    const reader = new Listened().open().getReader();
    const decoder = new TextDecoder();
    expect(decoder.decode((await reader.read()).value)).toMatch(/^retry: \d+\n: connected\n\n$/);
    const next = reader.read();
    await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
    expect(decoder.decode((await next).value)).toBe(": heartbeat\n\n");
  });

  test("whose client is too slow for what is only live is cut off and says so; the others are not", async () => {
    const listened = new Listened();
    const slow = serverSentEvents(listened.open());
    const quick = serverSentEvents(listened.open());
    for (let n = 1; n <= 1_500; n++) {
      listened.subscribers.ephemeral([ephemeral(n)]);
      if (n % 100 === 0) expect(await take(quick, 100)).toHaveLength(100);
    }
    expect(await take(slow, 2)).toEqual([end("subscriber-too-slow")]);
    expect(listened.subscribers.streams).toBe(1);
  });

  test("that is bound in bytes as well", async () => {
    const listened = new Listened();
    const slow = serverSentEvents(listened.open());
    for (let n = 0; n < 10; n++) listened.subscribers.ephemeral([`"${"x".repeat(100_000)}"`]);
    expect(await take(slow, 1)).toEqual([end("subscriber-too-slow")]);
  });

  test("whose client is so slow that events behind it are no longer kept ends with a word", async () => {
    const listened = new Listened();
    const reading = serverSentEvents(listened.open());
    listened.append(1);
    expect(await take(reading, 1)).toEqual([["message", "1", "1"]]);
    for (let n = 2; n <= 10; n++) listened.append(n);
    expect(await take(reading, 2)).toEqual([end("events-compacted")]);
  });

  test("ends when its replica stops, and none is opened after that", async () => {
    const listened = new Listened();
    const reading = serverSentEvents(listened.open());
    const waiting = take(reading, 2);
    await vi.advanceTimersByTimeAsync(1);
    listened.subscribers.close();
    expect(await waiting).toEqual([end("replica-stopped")]);
    expect(() => listened.open()).toThrow("no stream");
    expect(await listened.subscribers.more(1_000)).toBe(false);
  });
});

test("there are so many and no more; one whose client takes nothing for four heartbeats makes room", async () => {
  const listened = new Listened();
  const bodies = Array.from({ length: SUBSCRIBERS_MAX }, () => listened.open());
  expect(() => listened.open()).toThrow("no stream");
  expect(await listened.subscribers.more(1_000)).toBe(false);
  const [first] = bodies;
  await first?.cancel();
  expect(listened.subscribers.streams).toBe(SUBSCRIBERS_MAX - 1);
  listened.open();
  await vi.advanceTimersByTimeAsync(4 * HEARTBEAT_MS + 1);
  listened.open();
  expect(listened.subscribers.streams).toBe(1);
});

test("a read that waits is woken by whatever is new, and by its time", async () => {
  const listened = new Listened();
  const woken = listened.subscribers.more(60_000);
  listened.append(1);
  expect(await woken).toBe(true);
  const late = listened.subscribers.more(500);
  await vi.advanceTimersByTimeAsync(500);
  expect(await late).toBe(true);
});
