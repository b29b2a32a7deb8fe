/**
 * Metrics as a running system exports them, and that alert rules and dashboard ask for nothing else. When each alert
 * fires is in test/docs/alerts.test.ts.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { taskStatuses } from "../../src/api/tasks.ts";
import { createProver, type Prover } from "../../worker-sim/prover/index.ts";
import { allHealthy, type Cluster, leaderOf, ready, settled, startCluster } from "./harness.ts";
import { prove, submitTask, TestProver } from "./provers.ts";

const ALERTS = new URL("../../docs/alerts.yml", import.meta.url);
const DASHBOARD = new URL("../../docs/grafana.json", import.meta.url);

/** Not the coordinator's: what every pool's process and Prometheus itself say. */
const FOREIGN: ReadonlySet<string> = new Set(["process_resident_memory_bytes", "up"]);

/** Words of PromQL that are no metrics. */
const LANGUAGE: ReadonlySet<string> = new Set(
  "absent and by count histogram_quantile increase le max min on or rate sum unless node status circuit route job".split(
    " ",
  ),
);

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: ReadonlyMap<string, number>;
}

/** Name of a family, its type and help, and every sample by what stands before its value. */
function families(text: string): ReadonlyMap<string, Family> {
  const found = new Map<string, { type: string; help: string; samples: Map<string, number> }>();
  let current: { type: string; help: string; samples: Map<string, number> } | undefined;
  for (const line of text.trimEnd().split("\n")) {
    const [, name = "", help = ""] = /^# HELP (\S+) (.+)$/.exec(line) ?? [];
    if (name !== "") {
      if (found.has(name)) throw new Error(`${name} is there twice`);
      current = { type: "", help, samples: new Map() };
      found.set(name, current);
      continue;
    }
    const [, typed = "", type = ""] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (typed !== "") {
      if (current === undefined || found.get(typed) !== current)
        throw new Error(`a type without help: ${line}`);
      current.type = type;
      continue;
    }
    const [, sample = "", value = ""] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (sample === "" || current === undefined || Number.isNaN(Number(value)))
      throw new Error(`no sample: ${line}`);
    current.samples.set(sample, Number(value));
  }
  return found;
}

function metricNames(expression: string): readonly string[] {
  const bare = expression.replaceAll(/\{[^}]*\}|"[^"]*"|\[[^\]]*\]/g, " ");
  const words = bare.match(/[a-z_][a-z0-9_]*/gi) ?? [];
  return words.filter((word) => !LANGUAGE.has(word));
}

async function alertExpressions(): Promise<readonly string[]> {
  const text = await readFile(ALERTS, "utf8");
  return Array.from(text.matchAll(/^ +expr: (?:>-\n +)?(.+)$/gm), ([, expression = ""]) => expression);
}

async function dashboardExpressions(): Promise<readonly string[]> {
  const { panels } = JSON.parse(await readFile(DASHBOARD, "utf8")) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

let cluster: Cluster;
let prover: Prover;
let leaders: ReadonlyMap<string, Family>;

beforeAll(async () => {
  cluster = await startCluster();
  prover = createProver({ threads: 1 });
  await ready(cluster);
  await allHealthy(cluster);
  const worker = new TestProver(cluster, "measured", 2);
  await worker.register();
  await submitTask(cluster);
  await submitTask(cluster);
  const [good, other] = await worker.take(2);
  if (good === undefined || other === undefined) throw new Error("two leases were due");
  const proved = await prove(prover, good);
  expect((await worker.complete(other.lease_id, proved)).status).toBe(422);
  expect((await worker.complete(good.lease_id, proved)).status).toBe(200);
  expect((await worker.complete(good.lease_id, proved)).body.duplicate).toBe(true);
  await settled(cluster);
  leaders = families(await (await cluster.fetch("/metrics")).text());
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

function count(from: ReadonlyMap<string, Family>, family: string, labels = ""): number | undefined {
  return from.get(family)?.samples.get(`${family}_count${labels}`);
}

describe("the metrics of a system that has worked", () => {
  it("each have a type and a sentence that says what they are", () => {
    expect(leaders.size).toBeGreaterThan(40);
    for (const [name, { type, help }] of leaders) {
      expect([name, type]).toEqual([name, expect.stringMatching(/^(counter|gauge|histogram)$/)]);
      expect([name, help]).toEqual([name, expect.stringMatching(/^[A-Z0-9].{5,}\.$/)]);
    }
  });

  it("measure what a task goes through, the same at every replica and without its repeats", async () => {
    for (const name of cluster.names) {
      const own = families(await (await cluster.fetch(`/replicas/${name}/metrics`)).text());
      expect([name, count(own, "troika_queue_wait_seconds")]).toEqual([name, 2]);
      expect([name, count(own, "troika_proving_seconds", '{circuit="merkle"}')]).toEqual([name, 1]);
    }
    expect(
      leaders.get("troika_proving_seconds")?.samples.get('troika_proving_seconds_sum{circuit="merkle"}'),
    ).toBeGreaterThan(0.05);
  });

  it("measure what the router does: requests by route, and verifications by verdict", () => {
    const verified = (valid: boolean) =>
      count(leaders, "troika_verification_seconds", `{circuit="merkle",valid="${valid}"}`);
    // The repeat is verified too: only then is it known to be the same proof.
    expect([verified(true), verified(false)]).toEqual([2, 1]);
    const labels = '{method="POST",route="/api/v1/leases/:lease_id/complete"}';
    expect(count(leaders, "http_request_duration_seconds", labels)).toBe(3);
  });

  it("estimate the memory of the state, which grows with what is kept", async () => {
    const node = await leaderOf(cluster);
    const bytes = async () =>
      families(await (await cluster.fetch("/metrics")).text())
        .get("coordinator_state_bytes")
        ?.samples.get(`coordinator_state_bytes{node="${node}"}`) ?? Number.NaN;
    const before = await bytes();
    const leaves = Array.from({ length: 500 }, (_, at) => at.toString(16).padStart(64, "0"));
    expect((await cluster.post("/api/v1/tasks/merkle", { leaves })).status).toBe(202);
    const grown = (await bytes()) - before;
    expect(before).toBeGreaterThan(5_000);
    expect(grown).toBeGreaterThan(60_000);
    expect(grown).toBeLessThan(200_000);
  });
});

describe("GET /metrics and GET /replicas/{id}/metrics", () => {
  it("have every name that the contract lists, at every replica", async () => {
    for (const name of cluster.names) {
      const text = await (await cluster.fetch(`/replicas/${name}/metrics`)).text();
      for (const metric of [
        "coordinator_workers_total",
        "coordinator_workers_active",
        "coordinator_workers_suspect",
        "coordinator_workers_dead",
        "coordinator_capacity_total",
        "coordinator_capacity_used",
        "coordinator_scheduler_assignments_failed",
        "coordinator_scheduler_poll_cycles",
        "cluster_healthy_nodes",
        "cluster_total_nodes",
      ]) {
        expect(text).toMatch(new RegExp(`^${metric} \\d+$`, "m"));
      }
      for (const metric of [
        "consensus_operations_replicated",
        "consensus_operations_committed",
        "consensus_operations_failed",
        "consensus_log_size",
        "consensus_partitions_detected",
        "consensus_is_leader",
        "consensus_current_term",
        "consensus_partition_state",
        "consensus_asleep",
        "coordinator_state_bytes",
        "raft_term",
        "raft_commit_index",
        "raft_applied_index",
        "raft_elections_won_total",
        "raft_append_latency_seconds_count",
        "raft_commit_latency_seconds_count",
        "storage_rows_written_total",
        "storage_database_bytes",
      ]) {
        expect(text).toMatch(new RegExp(`^${metric}\\{node="${name}"\\} \\d+$`, "m"));
      }
      expect(text).toMatch(/^consensus_leader_id\{node="[^"]+",leader_id="coordinator-\d"\} 1$/m);
      expect(text).toMatch(/^coordinator_scheduler_tasks_assigned\{worker="measured"\} 2$/m);
      for (const status of taskStatuses)
        expect(text).toMatch(new RegExp(`^troika_tasks\\{status="${status}"\\} \\d+$`, "m"));
      expect(text.match(/^raft_state\{node="[^"]+",state="[a-z-]+"\} 1$/gm)).toHaveLength(1);
    }
  });

  it("show at the leader how far each follower is behind, and at the router what it counts itself", async () => {
    const text = await (await cluster.fetch("/metrics")).text();
    const leader = await leaderOf(cluster);
    for (const name of cluster.names) {
      const lag = new RegExp(`^raft_peer_lag\\{node="${leader}",peer="${name}"\\} \\d+$`, "m");
      expect([name, lag.test(text)]).toEqual([name, name !== leader]);
    }
    expect(text).toMatch(/^http_requests_total\{method="POST",route="\/api\/v1\/workers",status="201"\} 1$/m);
    const own = await (await cluster.fetch(`/replicas/${leader}/metrics`)).text();
    expect(own).not.toContain("http_requests_total");
  });

  it("count how long a commit took in buckets that only grow", async () => {
    await cluster.post("/events", { event: { Critical: { A: {} } } });
    const text = await (await cluster.fetch("/metrics")).text();
    const counts = Array.from(
      text.matchAll(/^raft_commit_latency_seconds_bucket\{node="[^"]+",le="([^"]+)"\} (\d+)$/gm),
      ([, le, count]) => [le, Number(count)] as const,
    );
    expect(counts.at(-1)?.[0]).toBe("+Inf");
    expect(counts.at(-1)?.[1]).toBeGreaterThan(0);
    expect(counts.map(([, count]) => count)).toEqual(
      counts.map(([, count]) => count).toSorted((a, b) => a - b),
    );
  });

  it("count commands that were refused, the same at every replica", async () => {
    const failed = async (name: string) => {
      const text = await (await cluster.fetch(`/replicas/${name}/metrics`)).text();
      return Number(/^consensus_operations_failed\{.*\} (\d+)$/m.exec(text)?.[1]);
    };
    const leader = await leaderOf(cluster);
    const before = await failed(leader);
    expect((await cluster.post("/api/v1/workers/nobody/drain", {})).status).toBe(404);
    await settled(cluster);
    for (const name of cluster.names) expect([name, await failed(name)]).toEqual([name, before + 1]);
  });
});

describe("alert rules and dashboard", () => {
  it("ask for names that the system exports, and for no others", async () => {
    const exported = new Set(
      [...leaders].flatMap(([name, { type }]) =>
        type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
    const alerts = await alertExpressions();
    const panels = await dashboardExpressions();
    expect([alerts.length >= 10, panels.length >= 20]).toEqual([true, true]);
    for (const expression of [...alerts, ...panels]) {
      const names = metricNames(expression);
      expect([expression, names.length > 0]).toEqual([expression, true]);
      const unknown = names.filter((name) => !exported.has(name) && !FOREIGN.has(name));
      expect([expression, unknown]).toEqual([expression, []]);
    }
  });
});
