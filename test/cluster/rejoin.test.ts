/**
 * A replica that the log cannot help any more comes back while everybody writes: one that was down while the log was
 * compacted three times, and one whose disk was lost and that a learner of the same name replaces. What they hold then
 * equals what the leader holds, record by record, at the same index. It does not prove how long that takes: that is
 * measured in docs/benchmarks.md.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { differences } from "../support/records.ts";
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
import { loseStorage, recordsIn } from "./storage.ts";

const CHECKPOINT_ENTRIES = 40;
const COMPACTIONS = 3;
const MEMBERS = "/api/v1/cluster/members";
const PATIENCE_MS = 50_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    variables: {
      CHECKPOINT_ENTRIES: String(CHECKPOINT_ENTRIES),
      LOG_TAIL_ENTRIES: "10",
      MAX_LOG_ENTRIES: "2000",
      BENCH: "on",
    },
  });
  await ready(cluster);
});
afterAll(() => cluster.stop());

let count = 0;

/** A write of some kind, small or large, that must be accepted: a task, ended tasks, an event. */
async function write(): Promise<number> {
  const nth = ++count;
  if (nth % 4 === 0) {
    const items = Array.from({ length: 5 }, (_, at) => ({
      circuit: "noop",
      input: { data: `${nth}/${at}` },
    }));
    const { status, body } = await cluster.post<{ items: readonly { task_id: string }[] }>(
      "/api/v1/tasks/batch",
      { items },
    );
    const [cancelled] = status === 201 || status === 200 ? body.items : [];
    if (cancelled !== undefined) await cluster.post(`/api/v1/tasks/${cancelled.task_id}/cancel`, {});
    return status;
  }
  const text = "x".repeat(nth % 5 === 0 ? 30_000 : 100);
  return (await cluster.post("/events", event("Written", { nth, text }))).status;
}

/** Writers that never pause, until they are stopped; then what they were answered other than success. */
function startLoad(
  writers: number,
): () => Promise<{ readonly written: number; readonly refused: readonly number[] }> {
  let going = true;
  let written = 0;
  const refused: number[] = [];
  const writing = Array.from({ length: writers }, async () => {
    while (going) {
      const status = await write();
      if (status < 300) written++;
      else refused.push(status);
    }
  });
  return async () => {
    going = false;
    await Promise.all(writing);
    return { written, refused };
  };
}

async function indexesOf(name: string): Promise<{ first: number; applied: number; checkpoint: number }> {
  const { body } = await cluster.json(`/replicas/${name}/status`);
  return {
    first: Number(body.first_log_index),
    applied: Number(body.applied_index),
    checkpoint: Number(body.checkpoint_index),
  };
}

const snapshotsOf = (name: string): number =>
  cluster.logs.filter((line) => line.includes(name) && line.includes("snapshot: taken in")).length;

async function caughtUp(name: string): Promise<void> {
  const { applied } = await indexesOf(await leaderOf(cluster));
  await eventually(
    `${name} has applied ${applied}`,
    async () => (await indexesOf(name)).applied >= applied,
    PATIENCE_MS,
  );
}

/** Nobody writes any more: checkpoints at one index, and the files say the same. */
async function expectEqualRecords(): Promise<void> {
  await settled(cluster);
  await cluster.post("/api/v1/cluster/checkpoint", {});
  const checkpoints = await Promise.all(
    cluster.names.map(async (name) => (await indexesOf(name)).checkpoint),
  );
  expect(new Set(checkpoints).size, String(checkpoints)).toBe(1);
  await cluster.restart(async () => {
    const [first, ...others] = await Promise.all(
      cluster.names.map((name) => recordsIn(cluster.directory, name)),
    );
    if (first === undefined) throw new Error("there are no replicas");
    expect(first.size).toBeGreaterThan(200);
    for (const other of others) expect(differences(first, other)).toEqual([]);
  });
  await ready(cluster);
}

/** Stopped until the others have cut their log so often, and then until it has taken a snapshot in. */
async function missesCompactions(away: string, compactions: number): Promise<void> {
  const mine = await indexesOf(away);
  const taken = snapshotsOf(away);
  await cluster.fault(away, "stop");
  const leader = await eventually("another one leads", async () => {
    const name = await leaderOf(cluster);
    return name === away ? undefined : name;
  });
  const before = await indexesOf(leader);
  let cuts = 0;
  let first = before.first;
  await eventually(
    `the log was cut ${compactions} times`,
    async () => {
      const now = await indexesOf(leader);
      if (now.first > first) cuts++;
      first = now.first;
      const checkpoint = before.checkpoint + compactions * CHECKPOINT_ENTRIES;
      return cuts >= compactions && now.checkpoint > checkpoint && first > mine.applied + 1;
    },
    PATIENCE_MS,
  );
  await cluster.fault(away, "start");
  await eventually("a snapshot was taken in", async () => snapshotsOf(away) > taken, PATIENCE_MS);
  await caughtUp(away);
}

describe("under load, by a snapshot, to the same records as the leader", () => {
  test("a replica comes back that was down during three compactions", async () => {
    const [away = ""] = await followersOf(cluster);
    const stop = startLoad(4);
    await missesCompactions(away, COMPACTIONS);
    const { written, refused } = await stop();
    expect(refused).toEqual([]);
    expect(written).toBeGreaterThan(COMPACTIONS * CHECKPOINT_ENTRIES);
    await expectEqualRecords();
  });

  test("a replica comes back that has sent its own tables before: nothing holds them any more", async () => {
    const sender = await leaderOf(cluster);
    const [away = ""] = await followersOf(cluster);
    const stop = startLoad(4);
    await missesCompactions(away, 1);
    expect(await leaderOf(cluster)).toBe(sender);
    await missesCompactions(sender, 1);
    await stop();
    await expectEqualRecords();
  });

  test("a learner replaces one whose disk was lost", async () => {
    const [lost = ""] = await followersOf(cluster);
    await cluster.restart(() => loseStorage(cluster, [lost]));
    await ready(cluster);
    const taken = snapshotsOf(lost);
    const stop = startLoad(4);
    const added = await eventually(
      `${lost} is a learner`,
      async () => {
        const { status, text } = await cluster.post(MEMBERS, { node_id: lost });
        return status < 300 ? text : undefined;
      },
      PATIENCE_MS,
    );
    expect(added).toContain(lost);
    await eventually("a snapshot was taken in", async () => snapshotsOf(lost) > taken, PATIENCE_MS);
    await caughtUp(lost);
    await eventually(
      `${lost} votes`,
      async () => (await cluster.post(`${MEMBERS}/${lost}/promote`, {})).status < 300,
      PATIENCE_MS,
    );
    const { refused } = await stop();
    expect(refused).toEqual([]);
    await expectEqualRecords();
  });
});
