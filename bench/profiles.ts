/**
 * What each PROFILE costs and gains, by how far the replicas are apart: the `degrade` fault makes every message between
 * them so late, one way.
 *
 *     node bench/profiles.ts [--profiles latency,balanced,throughput,geo] [--delays 0,10,40,100] [--seconds 5] [--stops 5]
 *
 * For each: single submissions on 32 connections and on one, elections meanwhile, requests that replicas send each other
 * while almost nothing happens, and from a stopped leader to the next acknowledged write. Loopback only.
 */
import { parseArgs } from "node:util";
import type { Counts } from "./counting/counts.ts";
import { median, quantile } from "./figure.ts";
import { httpTo, paced } from "./generator.ts";
import { Group, REPLICAS } from "./group.ts";
import { stopLeaders } from "./sections/failover.ts";
import { measureAt, startTroika } from "./troika.ts";
import { metric } from "./vitals.ts";
import { submitNoop } from "./workloads.ts";

const { values: flags } = parseArgs({
  options: {
    profiles: { type: "string", default: "latency,balanced,throughput,geo" },
    delays: { type: "string", default: "0,10,40,100" },
    seconds: { type: "string", default: "5" },
    stops: { type: "string", default: "5" },
  },
});
const seconds = Number(flags.seconds);

async function term(url: string): Promise<number> {
  const terms = await Promise.all(
    REPLICAS.map(async (name) =>
      metric(await (await fetch(`${url}/replicas/${name}/metrics`)).text(), "raft_term"),
    ),
  );
  return Math.max(...terms.map((one) => one ?? 0));
}

async function peerRequests(url: string): Promise<number> {
  const counts = (await (await fetch(`${url}/bench/counts`)).json()) as Counts;
  return counts.object_requests.peers ?? 0;
}

/** The cells of one row. */
async function measured(PROFILE: string, delay_ms: number): Promise<readonly string[]> {
  const entry = new URL("counting/worker.ts", import.meta.url);
  const troika = await startTroika({ PROFILE }, [], entry);
  const { url } = troika;
  const group = new Group(url);
  try {
    // A message is late at whoever sends it and at whoever receives it.
    for (const replica of REPLICAS)
      if (delay_ms > 0) await group.fault(replica, { action: "degrade", delay_ms: delay_ms / 2 });
    await group.ready();
    const before = await term(url);
    const many = await measureAt(url, submitNoop, { connections: 32, seconds });
    const one = await measureAt(url, submitNoop, { connections: 1, seconds });
    const elections = (await term(url)) - before;

    const http = httpTo(url, 2);
    const trickle = { connections: 2, seconds, per_second: 2, warmup_seconds: 0 };
    const requests = await peerRequests(url);
    await paced(submitNoop(http), trickle);
    const per_second = ((await peerRequests(url)) - requests) / seconds;
    await http.close();

    const times = await stopLeaders(url, Number(flags.stops));
    return [
      many.per_second.toFixed(0),
      many.p50_ms.toFixed(1),
      many.p99_ms.toFixed(0),
      one.p50_ms.toFixed(1),
      one.p99_ms.toFixed(0),
      String(elections),
      per_second.toFixed(0),
      median(times).toFixed(0),
      quantile(times, 1).toFixed(0),
    ];
  } catch (error) {
    // Heartbeats that take longer than a vote does are no group: that is a result as well.
    return [`not usable: ${String(error).slice(0, 120)}`];
  } finally {
    await troika.close();
  }
}

const columns = [
  "PROFILE",
  "delay one way, ms",
  "32 connections, /s",
  "p50, ms",
  "p99, ms",
  "one connection p50, ms",
  "p99, ms",
  "elections under load",
  "requests between replicas, /s, with 2 writes/s",
  "leader stopped → next write, median, ms",
  "slowest, ms",
];
console.log(`| ${columns.join(" | ")} |`);
console.log(`| ${columns.map(() => "---").join(" | ")} |`);
for (const profile of flags.profiles.split(","))
  for (const delay of flags.delays.split(","))
    console.log(`| ${[profile, delay, ...(await measured(profile, Number(delay)))].join(" | ")} |`);
