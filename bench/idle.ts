/**
 * A group left alone with its pool connected, seen from outside: lines that a replica's start writes, files of the
 * storage, processor time of workerd. Then the first submission.
 *
 *     node bench/idle.ts [--minutes 60] [--rounds 20]
 *
 * After a minute to settle, nothing must change for `--minutes`. Then `--rounds` times: sleep until the objects have left
 * memory, and the first write. Loopback only.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "../src/client/index.ts";
import { startWorkerd } from "./workerd.ts";

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    rounds: { type: "string", default: "20" },
  },
});
const minutes = Number(flags.minutes);
const rounds = Number(flags.rounds);
const SETTLE_MS = 60_000;
/** Silence after five seconds, and ten without events before an object leaves memory. */
const ASLEEP_MS = 20_000;
const TICK_MS = 1_000 / 100;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const cluster = await startWorkerd({ BENCH: "on" });
const client = createClient({ url: cluster.url });
const pool = spawn(process.execPath, ["--no-warnings", "worker-sim/troika.js", "pool"], {
  env: { ...process.env, TROIKA_URL: cluster.url, CONCURRENCY: "1", WORKER_ID: "idle-pool" },
  stdio: ["ignore", "ignore", "inherit"],
});

function filesOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    });
}

/** Of all threads, user and system. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function look() {
  return {
    starts: cluster.logs.filter((line) => line.includes("replica: started")).length,
    lines: cluster.logs.length,
    files: filesOf(join(cluster.directory, "storage")).join("\n"),
    processor_ms: processorMs(cluster.pid),
  };
}

let contents = 0;
async function firstWrite(): Promise<number> {
  const began = performance.now();
  await client.tasks.submit("noop", { data: `${Date.now()}-${++contents}` }, { retry_for_ms: 5_000 });
  return performance.now() - began;
}

try {
  const { task_id } = await client.tasks.submitMerkle({ leaves: ["1", "2"], leaf_index: 0 });
  const { status } = await client.tasks.wait(task_id, { timeout_ms: 60_000 });
  console.log(`the pool is connected, its first task is ${status}`);
  await pause(SETTLE_MS);
  const before = look();
  let changes = 0;
  for (let minute = 1; minute <= minutes; minute++) {
    await pause(60_000);
    const now = look();
    const same = now.starts === before.starts && now.lines === before.lines && now.files === before.files;
    if (!same) changes++;
    const processor_ms = now.processor_ms - before.processor_ms;
    console.log(
      `minute ${minute}: ${same ? "nothing changed" : "CHANGED"}, processor time ${processor_ms} ms in all`,
    );
  }
  if (minutes > 0) {
    const began = performance.now();
    const submitted = await client.tasks.submitMerkle({ leaves: ["3", "4"], leaf_index: 1 });
    const accepted_ms = performance.now() - began;
    const ended = await client.tasks.wait(submitted.task_id, { timeout_ms: 60_000 });
    const total_ms = performance.now() - began;
    console.log(
      `then a submission: accepted after ${accepted_ms.toFixed(0)} ms, ${ended.status} after ${total_ms.toFixed(0)} ms`,
    );
  }
  const latencies: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await pause(ASLEEP_MS);
    const { starts } = look();
    latencies.push(await firstWrite());
    if (look().starts === starts) throw new Error("the group was not asleep");
  }
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  if (rounds > 0) {
    console.log(
      `first write after sleep, ${rounds} rounds: p50 ${at(0.5).toFixed(1)} ms, least ${at(0).toFixed(1)}, most ${at(1).toFixed(1)}`,
    );
  }
  if (changes > 0) process.exitCode = 1;
} finally {
  if (pool.exitCode === null) {
    const gone = once(pool, "exit");
    pool.kill("SIGTERM");
    await gone;
  }
  await cluster.close();
}
