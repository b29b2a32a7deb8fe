/**
 * The alert rules, run by Prometheus' own test tool against series made for the purpose: each fires at the threshold that
 * operators expect, when it has lasted for as long as is said there, and not below. That the names are those which the
 * system exports is shown in test/cluster/metrics.test.ts.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const RULES = fileURLToPath(new URL("../../docs/alerts.yml", import.meta.url));
const INTERVAL_S = 10;
const MIB = 1024 * 1024;

/** Values of a series: from `from` on, more by `by` with every interval. */
type Values = readonly [from: number, by?: number];

interface Case {
  readonly alert: string;
  readonly when: string;
  readonly series: Readonly<Record<string, Values>>;
  /** From when on it fires, in seconds since the series began; absent: never. */
  readonly after_s?: number;
  /** Of how many alerts: one where absent. */
  readonly alerts?: number;
  /** A metric that there must not be. */
  readonly without?: string;
}

/** One series of each of three replicas. */
function replicas(metric: string, ...values: readonly number[]): Record<string, Values> {
  return Object.fromEntries(
    values.map((value, at) => [`${metric}{node="coordinator-${at + 1}"}`, [value] as const]),
  );
}

const nodes = (healthy: number): Record<string, Values> => ({
  ...replicas("cluster_healthy_nodes", healthy, healthy, healthy),
  ...replicas("cluster_total_nodes", 3, 3, 3),
});

/** Commits of which `slow` in a hundred take more than a second. */
const commits = (slow: number): Record<string, Values> => ({
  'raft_commit_latency_seconds_bucket{node="coordinator-1",le="1"}': [0, 100 - slow],
  'raft_commit_latency_seconds_bucket{node="coordinator-1",le="5"}': [0, 100],
  'raft_commit_latency_seconds_bucket{node="coordinator-1",le="+Inf"}': [0, 100],
});

const operations = (failed: number): Record<string, Values> => ({
  'consensus_operations_committed{node="coordinator-1"}': [0, 1_000],
  'consensus_operations_failed{node="coordinator-1"}': [0, failed],
});

const requests = (failed: number): Record<string, Values> => ({
  'http_requests_total{status="200"}': [0, 1_000 - failed],
  'http_requests_total{status="503"}': [0, failed],
});

const work = (pending: number, slots: number): Record<string, Values> => ({
  'troika_tasks{status="pending"}': [pending],
  coordinator_capacity_total: [slots],
});

const cases: readonly Case[] = [
  {
    alert: "TroikaNoLeader",
    when: "nobody leads",
    series: {
      ...nodes(3),
      ...replicas("consensus_is_leader", 0, 0, 0),
      ...replicas("consensus_asleep", 0, 0, 0),
    },
    after_s: 10,
  },
  {
    alert: "TroikaNoLeader",
    when: "one leads",
    series: {
      ...nodes(3),
      ...replicas("consensus_is_leader", 0, 1, 0),
      ...replicas("consensus_asleep", 0, 0, 0),
    },
  },
  {
    alert: "TroikaNoLeader",
    when: "nobody can be asked",
    series: {},
    without: "consensus_is_leader",
    after_s: 10,
  },
  {
    alert: "TroikaNoLeader",
    when: "the group sleeps",
    series: {
      ...nodes(3),
      ...replicas("consensus_is_leader", 0, 0, 0),
      ...replicas("consensus_asleep", 1, 1, 1),
    },
  },
  {
    alert: "TroikaNoLeader",
    when: "one that was just restarted sleeps alone",
    series: {
      ...nodes(3),
      ...replicas("consensus_is_leader", 0, 0, 0),
      ...replicas("consensus_asleep", 1, 0, 0),
    },
    after_s: 10,
  },
  {
    alert: "TroikaTwoLeaders",
    when: "two say that they lead",
    series: replicas("consensus_is_leader", 1, 1, 0),
    after_s: 30,
  },
  { alert: "TroikaTwoLeaders", when: "one does", series: replicas("consensus_is_leader", 1, 0, 0) },
  {
    alert: "TroikaQuorumLost",
    when: "each hears itself alone",
    series: { ...nodes(1), ...replicas("consensus_asleep", 0, 0, 0) },
    after_s: 10,
  },
  {
    alert: "TroikaQuorumLost",
    when: "two of three hear each other",
    series: { ...nodes(2), ...replicas("consensus_asleep", 0, 0, 0) },
  },
  {
    alert: "TroikaQuorumLost",
    when: "the group sleeps",
    series: { ...nodes(1), ...replicas("consensus_asleep", 1, 1, 0) },
  },
  {
    alert: "TroikaPartition",
    when: "one of them is cut off, another recovers",
    series: replicas("consensus_partition_state", 2, 1, 0),
    after_s: 0,
    alerts: 2,
  },
  { alert: "TroikaPartition", when: "none is", series: replicas("consensus_partition_state", 0, 0, 0) },
  {
    alert: "TroikaPartitionLasts",
    when: "it lasts for a minute",
    series: replicas("consensus_partition_state", 2, 0, 0),
    after_s: 60,
  },
  {
    alert: "TroikaPartitionLasts",
    when: "there is none",
    series: replicas("consensus_partition_state", 0, 0, 0),
  },
  {
    alert: "TroikaCommitSlow",
    when: "two commits in a hundred take over a second",
    series: commits(2),
    after_s: 130,
  },
  { alert: "TroikaCommitSlow", when: "one in two hundred does", series: commits(0.5) },
  { alert: "TroikaOperationsFail", when: "1.1 % fail", series: operations(11), after_s: 310 },
  { alert: "TroikaOperationsFail", when: "0.9 % fail", series: operations(9) },
  { alert: "TroikaServerErrors", when: "1.1 % are 5xx", series: requests(11), after_s: 310 },
  { alert: "TroikaServerErrors", when: "0.9 % are 5xx", series: requests(9) },
  {
    alert: "TroikaMemory",
    when: "the state takes 97 MiB of 128",
    series: replicas("coordinator_state_bytes", 97 * MIB, 10 * MIB, 10 * MIB),
    after_s: 300,
  },
  {
    alert: "TroikaMemory",
    when: "it takes 95 MiB",
    series: replicas("coordinator_state_bytes", 95 * MIB, 95 * MIB, 95 * MIB),
  },
  {
    alert: "TroikaPoolMemory",
    when: "a pool takes 501 MB",
    series: { 'process_resident_memory_bytes{job="troika-pool"}': [501e6] },
    after_s: 300,
  },
  {
    alert: "TroikaPoolMemory",
    when: "a pool takes 499 MB, and another program more",
    series: {
      'process_resident_memory_bytes{job="troika-pool"}': [499e6],
      'process_resident_memory_bytes{job="other"}': [9e9],
    },
  },
  { alert: "TroikaNobodyProves", when: "a task waits for nobody", series: work(1, 0), after_s: 300 },
  { alert: "TroikaNobodyProves", when: "a task waits for a busy prover", series: work(1, 1) },
  { alert: "TroikaNobodyProves", when: "nothing waits", series: work(0, 0) },
  {
    alert: "TroikaReplicaUnreachable",
    when: "a replica does not answer",
    series: { 'up{job="troika"}': [0] },
    after_s: 60,
  },
  { alert: "TroikaReplicaUnreachable", when: "all answer", series: { 'up{job="troika"}': [1] } },
];

/** Longer than any alert waits. */
const LAST_S = 400;

/** Those that have no metric in common can be looked at together. */
function together(all: readonly Case[]): readonly (readonly Case[])[] {
  const metrics = ({ series, without = "" }: Case) => [
    without,
    ...Object.keys(series).map((name) => name.replace(/\{.*/, "")),
  ];
  const groups: Case[][] = [];
  for (const one of all) {
    const own = metrics(one);
    const group = groups.find(
      (others) => !others.flatMap(metrics).some((name) => name !== "" && own.includes(name)),
    );
    if (group === undefined) groups.push([one]);
    else group.push(one);
  }
  return groups;
}

/** What fires when. */
function expectations({ alert, after_s, alerts = 1 }: Case): readonly object[] {
  const at = (seconds: number, firing: number) => ({
    expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
    eval_time: `${seconds}s`,
    exp_samples: [{ labels: "{}", value: firing }],
  });
  if (after_s === undefined) return [at(LAST_S, 0)];
  const before = after_s === 0 ? [] : [at(after_s - INTERVAL_S, 0)];
  return [...before, at(after_s, alerts), at(LAST_S, alerts)];
}

/** In the form that promtool reads; JSON is YAML. */
function ruleTest(group: readonly Case[]): object {
  const all = group.flatMap(({ series }) => Object.entries(series));
  return {
    name: group.map(({ alert, when }) => `${alert}: ${when}`).join("; "),
    interval: `${INTERVAL_S}s`,
    input_series: all.map(([series, [from, by = 0]]) => ({
      series,
      values: `${from}+${by}x${LAST_S / INTERVAL_S}`,
    })),
    promql_expr_test: group.flatMap(expectations),
  };
}

test("there is a case for every alert in which it fires, and one in which it does not", async () => {
  const names = Array.from((await readFile(RULES, "utf8")).matchAll(/alert: (\w+)/g), ([, name]) => name);
  const firing = new Set(cases.filter(({ after_s }) => after_s !== undefined).map(({ alert }) => alert));
  const quiet = new Set(cases.filter(({ after_s }) => after_s === undefined).map(({ alert }) => alert));
  expect([...firing].toSorted()).toEqual(names.toSorted());
  expect([...quiet].toSorted()).toEqual(names.toSorted());
});

const promtool = spawnSync("promtool", ["--version"]).error === undefined;
describe.skipIf(!promtool)("by promtool (skipped where it is absent: Debian package prometheus)", () => {
  test("the rules are rules", () => {
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", RULES], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
  });

  test("each alert fires when it should, as late as it should, and not otherwise", async () => {
    const directory = await mkdtemp(join(tmpdir(), "troika-alerts-"));
    try {
      const file = join(directory, "cases.json");
      const content = {
        rule_files: [RULES],
        evaluation_interval: `${INTERVAL_S}s`,
        tests: together(cases).map(ruleTest),
      };
      await writeFile(file, JSON.stringify(content));
      const { stdout } = await promisify(execFile)("promtool", ["test", "rules", file]);
      expect(stdout).toContain("SUCCESS");
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
