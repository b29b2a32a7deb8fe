/**
 * Writes under way at the moment when the majority goes: what each answer promises. The moment is hit by many writes at
 * once, so that some are acknowledged, some refused and some caught between.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, event, eventually, leaderOf, ready, settled, startCluster } from "./harness.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
});
afterAll(() => cluster.stop());

test("while the majority goes away, a write is acknowledged and kept, or refused and never seen, or said to be unknown", async () => {
  const leader = await leaderOf(cluster);
  const others = cluster.names.filter((name) => name !== leader);
  const writes: Promise<{ kind: string; status: number }>[] = [];
  let acknowledged = 0;
  const write = async (kind: string) => {
    const { status } = await cluster.post("/events", event(kind, {}));
    if (status === 200) acknowledged += 1;
    return { kind, status };
  };
  let over = false;
  const load = (async () => {
    for (let count = 0; !over; count++) {
      writes.push(write(`Racing${count}`));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await eventually("writes are acknowledged", async () => acknowledged > 10);
  await Promise.all(others.map((name) => cluster.fault(name, "stop")));
  await eventually("the cluster is not ready", async () => (await cluster.fetch("/readyz")).status === 503);
  const refused = write("RefusedForSure");
  over = true;
  await load;
  const answers = await Promise.all([...writes, refused]);
  expect(answers.filter(({ status }) => ![200, 503, 504].includes(status))).toEqual([]);

  for (const name of others) await cluster.fault(name, "start");
  await ready(cluster);
  await settled(cluster);
  const { body } = await cluster.json<{ events: { Critical: object }[] }>("/events");
  const kinds = body.events.map(({ Critical }) => Object.keys(Critical)[0] ?? "");
  expect(new Set(kinds).size).toBe(kinds.length);
  const seen = new Set(kinds);
  for (const { kind, status } of answers) {
    if (status === 200) expect(seen, `${kind} was acknowledged`).toContain(kind);
    if (status === 503) expect(seen, `${kind} was refused`).not.toContain(kind);
  }
  expect((await refused).status).toBe(503);
});
