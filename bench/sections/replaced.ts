/**
 * What the systems that Troika replaces publish about themselves, and the same of ours: on plain workerd, and under
 * `wrangler dev` as `npm start` runs it. All replicas share one thread here. No figure of theirs was measured by us.
 */
import type { Bench, Figure, Section } from "../figure.ts";
import { median, quantile } from "../figure.ts";
import { drive, type Http, httpTo, paced } from "../generator.ts";
import { Inspector } from "../inspector.ts";
import { measureAt, startTroika } from "../troika.ts";
import { metric } from "../vitals.ts";
import { freePort } from "../workerd.ts";
import { putOperation, submitMerkle, submitNoop } from "../workloads.ts";
import { startWrangler } from "../wrangler.ts";
import { stopLeaders } from "./failover.ts";
import { checkpoint, vkHash } from "./life.ts";

const REPLICAS = 3;
/** Short loads are decided by a single pause for garbage collection. */
const SUSTAINED_S = 16;
/** Tables are written at the latest when so many records have changed. */
const CHANGES = 500;

type Start = (replicas: 1 | 3) => Promise<{ readonly url: string; close(): Promise<void> }>;

/** From the moment a submission is sent until a worker that waits has the lease. */
async function assignments(url: string, count: number): Promise<readonly number[]> {
  const submitting = httpTo(url, 1);
  const pulling = httpTo(url, 1);
  const worker_id = "bench-assigned";
  const boot_id = crypto.randomUUID();
  const circuits = [{ name: "noop", vk_hash: await vkHash(url) }];
  await pulling.post("/api/v1/workers", {
    worker_id,
    boot_id,
    max_concurrent_tasks: count,
    circuits,
    labels: {},
  });
  const submit = submitNoop(submitting);
  const times: number[] = [];
  for (let nth = 0; nth < count; nth++) {
    const pulled = pulling.post<{ readonly leases: readonly unknown[] } | undefined>(
      `/api/v1/workers/${worker_id}/pull`,
      { boot_id, max: 1, wait: 20 },
    );
    // So that the pull waits there when the task comes.
    await new Promise((resolve) => setTimeout(resolve, 30));
    const sent = performance.now();
    const [answer] = await Promise.all([
      pulled.then((leases) => [leases, performance.now()] as const),
      submit(0),
    ]);
    const [leases, at] = answer;
    if (leases?.leases.length === 1) times.push(at - sent);
  }
  await Promise.all([submitting.close(), pulling.close()]);
  return times;
}

async function timings(bench: Bench, where: string, start: Start): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  const add = (
    name: string,
    unit: string,
    better: Figure["better"],
    published: string,
    samples: readonly number[],
  ) => void figures.push({ name: `${name} (${where})`, unit, better, published, samples });
  const { rounds, seconds } = bench;
  for (const replicas of [1, 3] as const) {
    const nodes = replicas === 1 ? "one node" : "three nodes";
    const { url, close } = await start(replicas);
    try {
      const means: number[] = [];
      const rates: number[] = [];
      const proved: number[] = [];
      for (let round = 0; round < rounds; round++) {
        means.push((await measureAt(url, submitMerkle, { connections: 1, seconds })).mean_ms);
        rates.push((await measureAt(url, submitNoop, { connections: 32, seconds })).per_second);
        proved.push((await measureAt(url, submitMerkle, { connections: 32, seconds })).per_second);
      }
      add(`task submission, ${nodes}, mean`, "ms", "lower", replicas === 1 ? "5 ms" : "8 ms", means);
      const assigned = await assignments(url, bench.quick ? 20 : 100);
      add(`task assignment, ${nodes}, p50`, "ms", "lower", replicas === 1 ? "10 ms" : "15 ms", [
        median(assigned),
      ]);
      const published = replicas === 1 ? "1,000/s" : "800/s";
      add(`tasks without a statement, ${nodes}`, "/s", "higher", published, rates);
      add(`merkle tasks, ${nodes}`, "/s", "higher", published, proved);
      if (replicas === 1) continue;

      const times = await stopLeaders(url, bench.quick ? 5 : 20);
      add("failover, slowest", "ms", "lower", "3–5 s", [quantile(times, 1)]);
    } finally {
      await close();
    }
  }
  // A group of its own: the one above keeps all those tasks, which nobody proves.
  const { url, close } = await start(REPLICAS);
  try {
    const sustained = { connections: 64, seconds: SUSTAINED_S, per_second: 1_000 };
    const slow = await over(url, sustained.connections, (http) => paced(putOperation(http), sustained));
    add("1,000 operations/s sustained: achieved", "/s", "higher", "1,000/s", [slow.per_second]);
    add("1,000 operations/s sustained: commit p95", "ms", "lower", "10–100 ms", [slow.p95_ms]);
    add("1,000 operations/s sustained: p99", "ms", "lower", "below 100 ms", [slow.p99_ms]);
    const peak = { connections: 100, seconds };
    const fast = await over(url, peak.connections, (http) => drive(putOperation(http), peak));
    add("peak with 100 concurrent", "ops/s", "higher", "5,000/s", [fast.per_second]);
    add("peak with 100 concurrent: p99", "ms", "lower", "below 500 ms", [fast.p99_ms]);

    const compactions: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await checkpoint(url);
      await over(url, 16, (http) => many(putOperation(http), CHANGES - 50));
      const began = performance.now();
      await checkpoint(url);
      compactions.push((performance.now() - began) / REPLICAS);
    }
    add(
      "compaction: a checkpoint of 450 operations, asked over HTTP",
      "ms",
      "lower",
      "below 10 ms",
      compactions,
    );
  } finally {
    await close();
  }
  return figures;
}

async function over<Result>(
  url: string,
  connections: number,
  run: (http: Http) => Promise<Result>,
): Promise<Result> {
  const http = httpTo(url, connections);
  try {
    return await run(http);
  } finally {
    await http.close();
  }
}

async function many(send: (connection: number) => Promise<void>, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, nth) => send(nth)));
}

/** Bytes between replicas at 1,000 operations/s (scaled up where the machine does fewer), and memory that 10,000 operations leave behind: seen from inside. */
async function insides(bench: Bench): Promise<readonly Figure[]> {
  const port = await freePort();
  const entry = new URL("../counting/worker.ts", import.meta.url);
  const troika = await bench.keep(startTroika({}, [`--inspector-addr=127.0.0.1:${port}`], entry));
  const bytes = async (): Promise<number> => {
    const response = await fetch(`${troika.url}/bench/counts`);
    return ((await response.json()) as { readonly peer_bytes: number }).peer_bytes;
  };
  const load = { connections: 64, seconds: bench.seconds, per_second: 1_000, warmup_seconds: 0 };
  const network: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const before = await bytes();
    const { per_second } = await over(troika.url, load.connections, (http) =>
      paced(putOperation(http), load),
    );
    const per_operation = ((await bytes()) - before) / load.seconds / per_second;
    bench.note(`${per_second.toFixed(0)} operations/s while bytes between replicas were counted`);
    network.push((per_operation * load.per_second) / 1_000 / REPLICAS);
  }
  const heap = async (): Promise<number> => {
    const inspector = await Inspector.open(port);
    await inspector.ask("HeapProfiler.collectGarbage");
    const { usedSize } = await inspector.ask<{ readonly usedSize: number }>("Runtime.getHeapUsage");
    inspector.close();
    return usedSize;
  };
  const before = await heap();
  await over(troika.url, 64, (http) => many(putOperation(http), 10_000));
  await checkpoint(troika.url);
  const memory = ((await heap()) - before) / REPLICAS / 1e6;
  const status = await (await fetch(`${troika.url}/metrics`)).text();
  bench.note(
    `state of a replica, as it estimates itself: ${metric(status, "coordinator_state_bytes")} bytes`,
  );
  return [
    {
      name: "network per replica at 1,000 operations/s (plain workerd)",
      unit: "kB/s",
      better: "lower",
      published: "500 kB/s",
      samples: network,
    },
    {
      name: "memory per replica for 10,000 operations (plain workerd)",
      unit: "MB",
      better: "lower",
      published: "5 MB",
      samples: [memory],
    },
  ];
}

const MAX_BACKLOG = "10000000";

export const plain: Section = {
  name: "plain",
  run: (bench) => timings(bench, "plain workerd", (replicas) => startTroika({ REPLICAS: String(replicas) })),
};

export const dev: Section = {
  name: "wrangler-dev",
  run: (bench) =>
    timings(bench, "wrangler dev", (replicas) => startWrangler(replicas, { BENCH: "on", MAX_BACKLOG })),
};

export const inside: Section = { name: "inside", run: insides };
