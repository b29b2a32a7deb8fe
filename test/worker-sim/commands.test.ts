/** The commands that talk to any coordinator, as processes against a real one with a real prover. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type Cluster, event, ready, startCluster } from "../cluster/harness.ts";

const TROIKA = fileURLToPath(new URL("../../worker-sim/troika.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

let cluster: Cluster;
let pool: ReturnType<typeof spawn>;
let poolLog = "";

function spawned(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return spawn(process.execPath, ["--no-warnings", TROIKA, ...args], {
    env: { ...process.env, TROIKA_URL: cluster.url, ...environment },
  });
}

async function troika(args: readonly string[], input = ""): Promise<Ended> {
  const child = spawned(args);
  child.stdin.end(input);
  const chunks = { output: "", errors: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    chunks.output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    chunks.errors += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...chunks };
}

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, output, errors } = await troika([...args, "--json"]);
  if (code !== 0) throw new Error(`${args.join(" ")}: exit ${code}, ${errors}`);
  expect(output.trimEnd().split("\n")).toHaveLength(1);
  return JSON.parse(output) as Record<string, unknown>;
}

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  pool = spawned(["pool"], { CONCURRENCY: "1", WORKER_ID: "pool-of-the-commands", METRICS_PORT: "0" });
  pool.stdout?.on("data", (chunk: Buffer) => {
    poolLog += chunk.toString();
  });
  pool.stderr?.resume();
});
afterAll(async () => {
  if (pool.exitCode === null) {
    pool.kill("SIGTERM");
    await once(pool, "exit");
  }
  await cluster.stop();
});

test("submit shows a task's way to its proof, and a second time that it is known", async () => {
  const input = '{"leaves":["0x1234","0xfedc"],"leaf_index":1}';
  const first = await troika(["submit", "merkle", input]);
  expect([first.code, first.errors]).toEqual([0, ""]);
  expect(first.output).toMatch(
    /accepted +task [0-9a-f-]{36}\n(.*\n)* *\d+\.\ds +completed +by pool-of-the-commands/,
  );
  expect(first.output).toMatch(/merkle_root +0x[0-9a-f]{64}/);
  const again = await troika(["submit", "merkle", "-"], input);
  expect(again.output).toContain("known already");
});

test("submit --json is the task with its proof, and --no-wait the submission alone", async () => {
  const task = await json("submit", "merkle", '{"leaves":["0x77"]}');
  expect(task).toMatchObject({ status: "completed", circuit: "merkle", proof: { protocol: "groth16" } });
  const submitted = await json("submit", "merkle", '{"leaves":["0x78"]}', "--no-wait");
  expect(submitted).toMatchObject({ success: true, status: "pending" });
  const watched = await json("watch", String(submitted.task_id));
  expect(watched).toMatchObject({ task_id: submitted.task_id, status: "completed" });
  const shown = await json("tasks", String(submitted.task_id));
  expect(shown).toMatchObject({ status: "completed", attempts: [{ attempt: 1, outcome: "completed" }] });
});

test("what goes wrong is one sentence and exit code 1 or 2", async () => {
  const wrong = await troika(["submit", "merkle", '{"leaves":[]}']);
  expect([wrong.code, wrong.output]).toEqual([1, ""]);
  expect(wrong.errors).toMatch(
    /^troika: The task was not accepted: leaves must have at least one leaf \(invalid-request, request \S+\)\.\n$/,
  );
  expect((await troika(["submit", "nothing", "{}"])).errors).toContain("there is no circuit nothing");
  expect(await troika(["submit", "merkle", "{leaves}"])).toMatchObject({
    code: 2,
    errors: expect.stringMatching(/^troika: The input is no JSON/),
  });
  expect((await troika(["watch", "00000000-0000-4000-8000-000000000000"])).errors).toContain(
    "Task not found",
  );
  const away = await troika(["cluster", "--url", "http://127.0.0.1:9"]);
  expect([away.code, away.errors]).toEqual([1, expect.stringContaining("127.0.0.1:9 does not answer")]);
}, 90_000);

test("tasks, workers and cluster show what there is, for people and for programs", async () => {
  const listed = await json("tasks", "--status", "completed", "--limit", "2");
  expect(listed.items).toHaveLength(2);
  expect((await troika(["tasks"])).output).toMatch(/^TASK +STATUS +CIRCUIT +WORKER/);
  expect(await json("workers", "pool-of-the-commands")).toMatchObject({ state: "active" });
  expect((await troika(["workers"])).output).toMatch(/pool-of-the-commands +active +\d\/\d/);
  const seen = await json("cluster");
  expect(seen).toMatchObject({ health: { status: "healthy" }, group: { voters: 3, warnings: [] } });
  expect(seen.replicas).toHaveLength(3);
  const { output } = await troika(["cluster"]);
  expect(output).toMatch(/^healthy\n1 of 1 workers active.*\n3 vote, 2 must agree, 1 may fail\n/);
  expect(output.match(/ leader /g)).toHaveLength(1);
});

test("smoke goes through a deployment step by step, and says at which it fails", async () => {
  const passed = await troika(["smoke", cluster.url]);
  expect([passed.code, passed.errors]).toEqual([0, ""]);
  for (const step of ["alive", "closed", "ready", "replicas", "write", "read", "proof", "passed"])
    expect(passed.output).toMatch(new RegExp(`^ +\\d+\\.\\ds  ${step} `, "m"));
  expect(passed.output).toContain("verified here with the key of this checkout");

  await cluster.fault("coordinator-2", "stop");
  const failed = await troika(["smoke", cluster.url, "--no-proof", "--timeout", "1", "--json"]);
  expect([failed.code, failed.errors]).toEqual([
    1,
    expect.stringMatching(/^troika: replicas: .*coordinator-2/),
  ]);
  expect(JSON.parse(failed.output)).toMatchObject({ ok: false, failed: "replicas" });
  await cluster.fault("coordinator-2", "start");

  const plain = await troika(["smoke", "http://troika.example.com"]);
  expect([plain.code, plain.errors]).toEqual([1, expect.stringContaining("is not https")]);
});

test("events are one a line, from where one left off, and followed as they come", async () => {
  for (const name of ["A", "B", "C"]) {
    expect((await cluster.post("/events", event("Seen", { name }))).status).toBe(200);
  }
  const all = (await troika(["events", "--json"])).output.trimEnd().split("\n");
  expect(all).toHaveLength(3);
  const { output } = await troika(["events", "--after", "2"]);
  expect(output).toBe('       3  {"Critical":{"Seen":{"name":"C"}}}\n');

  const followed = await heard(["--after", "3"], /\n$/, () =>
    cluster.post("/events", event("Seen", { name: "D" })),
  );
  expect(followed).toBe('{"Critical":{"Seen":{"name":"D"}}}\n');
  const system = await heard(["--system"], /"task\.created"/, () =>
    cluster.post("/api/v1/tasks/merkle", { leaves: ["0x79"] }),
  );
  expect(system).toContain('{"System":{"task.created":{');
});

test("the pool counts what it proved, for Prometheus, and says what its process takes", async () => {
  const [, port] = / metrics port=(\d+)/.exec(poolLog) ?? [];
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const value = (sample: string) =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${sample} `))
        ?.split(" ")[1],
    );
  const taken = poolLog.match(/ completed task_id=/g)?.length ?? 0;
  expect(taken).toBeGreaterThan(2);
  expect(value('troika_pool_leases_ended_total{outcome="taken"}')).toBe(taken);
  expect(value('troika_pool_proving_seconds_count{circuit="merkle"}')).toBeGreaterThanOrEqual(taken);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(50_000_000);
  expect([value("troika_pool_slots"), value('troika_pool_leases_ended_total{outcome="failed"}')]).toEqual([
    2, 0,
  ]);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
});

test("the pool's log names tasks and attempts, and neither inputs nor the whole id of a lease", () => {
  expect(poolLog).toMatch(/ assigned task_id=([0-9a-f-]{36}) lease_id=\1\.1 attempt=1\n/);
  expect(poolLog).not.toMatch(/lease_id=[0-9a-f-]{36}\.\d+\./);
  expect(poolLog).not.toMatch(/fedc|leaves|blinding|pi_a/);
});

/** What `events -f` has printed when it fits, `work` having been done meanwhile. */
async function heard(flags: readonly string[], fits: RegExp, work: () => Promise<unknown>): Promise<string> {
  const following = spawned(["events", "-f", "--json", ...flags]);
  let output = "";
  const arrived = new Promise<void>((resolve) => {
    following.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (fits.test(output)) resolve();
    });
  });
  const ended = once(following, "exit");
  onTestFinished(() => void following.kill("SIGKILL"));
  await work();
  await arrived;
  following.kill("SIGTERM");
  await ended;
  return output;
}
