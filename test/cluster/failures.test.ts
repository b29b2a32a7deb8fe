/**
 * One failure of the leader of each kind under a light load of events and submissions. Shown is what must survive: every
 * acknowledged write, once, in one order. How long the group takes to go on is measured by the benchmarks.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  acknowledged,
  allHealthy,
  type Cluster,
  event,
  eventually,
  leaderOf,
  ready,
  settled,
  startCluster,
} from "./harness.ts";
import { taskOf } from "./provers.ts";

const WRITERS = 3;
/** A replica without a leader says so only after the contract's 5 s: nobody waits for that here. */
const READ_MS = 1_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

interface Written {
  readonly key: string;
  readonly seq: number;
  readonly log_index: number;
  readonly sent_at: number;
}
const written: Written[] = [];
const tasks: { readonly key: string; readonly task_id: string }[] = [];

const reads: Promise<"seen" | "missed" | "refused">[] = [];

/** Whether a replica that answers shows a write that was acknowledged before it was asked. */
async function readBack(key: string, seq: number, name: string): Promise<"seen" | "missed" | "refused"> {
  try {
    const path = `/replicas/${name}/events?after=${seq - 1}&limit=1`;
    const { status, text } = await cluster.json(path, { signal: AbortSignal.timeout(READ_MS) });
    if (status !== 200) return "refused";
    return text.includes(`"${key}"`) ? "seen" : "missed";
  } catch {
    return "refused";
  }
}

/** Writes until `done`. */
async function load(name: string, done: () => boolean): Promise<void> {
  for (let count = 0; !done(); count++) {
    const key = `${name}-${count}`;
    const sent_at = performance.now();
    const { seq, log_index } = await acknowledged(cluster, "/events", event("Written", { key }), key);
    written.push({ key, seq: Number(seq), log_index: Number(log_index), sent_at });
    reads.push(readBack(key, Number(seq), cluster.names[count % cluster.names.length] ?? ""));
    if (count % 10 > 0) continue;
    const leaves = [Buffer.from(key).toString("hex")];
    const { task_id } = await acknowledged(cluster, "/api/v1/tasks/merkle", { leaves }, key);
    tasks.push({ key, task_id: String(task_id) });
  }
}

/** Runs `failure` under load, and returns once writes that were sent after it are acknowledged. */
async function underLoad(name: string, failure: () => Promise<void>): Promise<void> {
  let done = false;
  const writers = Array.from({ length: WRITERS }, (_, writer) => load(`${name}${writer}`, () => done));
  const began = written.length;
  await eventually("the load runs", async () => written.length > began + 10);
  await failure();
  const failed_at = performance.now();
  await eventually("writes go on", async () => written.some(({ sent_at }) => sent_at > failed_at));
  done = true;
  await Promise.all(writers);
}

interface Listed {
  readonly events: readonly { readonly Critical: { readonly Written: { readonly key: string } } }[];
  readonly count: number;
}

async function keysAt(prefix: string): Promise<readonly string[]> {
  const { status, body, text } = await cluster.json<Listed>(`${prefix}/events`);
  if (status !== 200) throw new Error(`events at ${prefix}: ${status} ${text}`);
  expect(body.count).toBe(body.events.length);
  return body.events.map(({ Critical }) => Critical.Written.key);
}

/** At every replica: everything acknowledged, each once, in the order of the log; and no read missed a write. */
async function expectNothingLost(): Promise<void> {
  const answers = await Promise.all(reads);
  expect(answers).toContain("seen");
  expect(answers).not.toContain("missed");
  await allHealthy(cluster);
  await settled(cluster);
  const keys = await keysAt("");
  expect(new Set(keys).size).toBe(keys.length);
  for (const { key, seq } of written) expect(keys[seq - 1]).toBe(key);
  const in_order = written.toSorted((a, b) => a.seq - b.seq).map(({ log_index }) => log_index);
  expect(in_order).toEqual(in_order.toSorted((a, b) => a - b));
  for (const name of cluster.names) expect(await keysAt(`/replicas/${name}`)).toEqual(keys);
  expect(new Set(tasks.map(({ task_id }) => task_id)).size).toBe(tasks.length);
  for (const { task_id } of tasks)
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "pending" });
}

describe("nothing that was acknowledged is lost, doubled or reordered when", () => {
  test("the leader is stopped, and another one leads until it is back", async () => {
    const before = await leaderOf(cluster);
    await underLoad("stop", () => cluster.fault(before, "stop"));
    expect(await leaderOf(cluster)).not.toBe(before);
    await cluster.fault(before, "start");
    await expectNothingLost();
  });

  test("the leader is isolated, while clients still reach it", async () => {
    const before = await leaderOf(cluster);
    await underLoad("isolate", () => cluster.fault(before, "isolate"));
    expect(await leaderOf(cluster)).not.toBe(before);
    await cluster.fault(before, "heal");
    await expectNothingLost();
  });

  test("the leader is reset and loses its memory", async () => {
    const before = await leaderOf(cluster);
    await underLoad("reset", () => cluster.fault(before, "reset"));
    const started = new RegExp(`replica=${before} replica: started last_index=[1-9]`);
    expect(cluster.logs.filter((line) => started.test(line)).length).toBeGreaterThan(0);
    await expectNothingLost();
  });

  test("a follower is stopped and comes back behind the others", async () => {
    const leader = await leaderOf(cluster);
    const [follower = ""] = cluster.names.filter((name) => name !== leader);
    await underLoad("follower", () => cluster.fault(follower, "stop"));
    await cluster.fault(follower, "start");
    await expectNothingLost();
  });

  test("all replicas are reset at once", async () => {
    await underLoad("all", async () => {
      await Promise.all(cluster.names.map((name) => cluster.fault(name, "reset")));
    });
    await expectNothingLost();
  });
});

describe("an isolated leader", () => {
  test("serves no read that is older than a write acknowledged elsewhere", async () => {
    const isolated = await leaderOf(cluster);
    const [other = ""] = cluster.names.filter((name) => name !== isolated);
    const before = (await keysAt("")).length;
    await cluster.fault(isolated, "isolate");

    const key = "behind-its-back";
    const write = acknowledged(cluster, `/replicas/${other}/events`, event("Written", { key }), key);
    // Begun while it may still believe that it leads: these must not be answered from its own belief either.
    const early = Array.from({ length: 5 }, () =>
      cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`),
    );
    const { seq } = await write;
    expect(seq).toBe(before + 1);
    const late = Array.from({ length: 5 }, () =>
      cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`),
    );
    const stale = await cluster.json<Listed>(
      `/replicas/${isolated}/events?consistency=stale&after=${before}`,
    );
    expect([stale.status, stale.body.events]).toEqual([200, []]);
    expect(Number(stale.headers.get("x-raft-applied-index"))).toBeGreaterThan(0);
    for (const read of await Promise.all([...early, ...late])) {
      expect([read.status, (read.body as { code?: string }).code], read.text).toEqual([503, "no-leader"]);
    }

    await cluster.fault(isolated, "heal");
    await allHealthy(cluster);
    const healed = await cluster.json<Listed>(`/replicas/${isolated}/events?after=${before}`);
    expect(healed.body.events).toEqual([{ Critical: { Written: { key } } }]);
  });
});
