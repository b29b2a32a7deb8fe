/**
 * A group left alone with its pool connected, seen from outside: lines that a replica's start writes, files of the
 * storage, processor time of workerd. Then the first submission.
 *
 *     node bench/idle.ts [--minutes 60] [--rounds 20]
 *
 * After a minute to settle, nothing must change for `--minutes`. Then `--rounds` times: sleep until the objects have left
 * memory, and the first write. Loopback only.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "../src/client/index.ts";
import { quantile } from "./figure.ts";
import { startPool } from "./pool.ts";
import { processorMs } from "./vitals.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

const SETTLE_MS = 60_000;
/** Silence after five seconds, and ten without events before an object leaves memory. */
const ASLEEP_MS = 25_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function filesOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    });
}

function look(cluster: Workerd) {
  return {
    starts: cluster.logs.filter((line) => line.includes("replica: started")).length,
    lines: cluster.logs.length,
    files: filesOf(join(cluster.directory, "storage")).join("\n"),
    processor_ms: processorMs(cluster.pid),
  };
}

export interface Idle {
  /** Minutes in which a line was logged, a replica started or a file changed. */
  readonly changed: number;
  /** Of workerd, in all these minutes. */
  readonly processor_ms: number;
  /** Milliseconds of each first write after sleep. */
  readonly latencies: readonly number[];
}

export async function idleHours(options: {
  readonly minutes: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}): Promise<Idle> {
  const { minutes, rounds, say } = options;
  const cluster = await startWorkerd({ BENCH: "on" });
  const client = createClient({ url: cluster.url });
  const pool = startPool(cluster.url, "idle-pool");
  let contents = 0;
  const firstWrite = async (): Promise<number> => {
    const began = performance.now();
    await client.tasks.submit("noop", { data: `${Date.now()}-${++contents}` }, { retry_for_ms: 5_000 });
    return performance.now() - began;
  };
  try {
    const { task_id } = await client.tasks.submitMerkle({ leaves: ["1", "2"], leaf_index: 0 });
    const { status } = await client.tasks.wait(task_id, { timeout_ms: 60_000 });
    say(`the pool is connected, its first task is ${status}`);
    await pause(SETTLE_MS);
    const before = look(cluster);
    let last = before;
    let changed = 0;
    for (let minute = 1; minute <= minutes; minute++) {
      await pause(60_000);
      const now = look(cluster);
      const same = now.starts === last.starts && now.lines === last.lines && now.files === last.files;
      if (!same) changed++;
      last = now;
      say(
        `minute ${minute}: ${same ? "nothing changed" : "CHANGED"}, processor time ${now.processor_ms - before.processor_ms} ms in all`,
      );
    }
    if (minutes > 0) {
      const began = performance.now();
      const submitted = await client.tasks.submitMerkle({ leaves: ["3", "4"], leaf_index: 1 });
      const accepted_ms = performance.now() - began;
      const ended = await client.tasks.wait(submitted.task_id, { timeout_ms: 60_000 });
      const total_ms = performance.now() - began;
      say(
        `then a submission: accepted after ${accepted_ms.toFixed(0)} ms, ${ended.status} after ${total_ms.toFixed(0)} ms`,
      );
    }
    const latencies: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await pause(ASLEEP_MS);
      const { starts } = look(cluster);
      latencies.push(await firstWrite());
      if (look(cluster).starts === starts) throw new Error("the group was not asleep");
    }
    return { changed, processor_ms: last.processor_ms - before.processor_ms, latencies };
  } finally {
    await pool.close();
    await cluster.close();
  }
}

if (import.meta.main) {
  const { values: flags } = parseArgs({
    options: {
      minutes: { type: "string", default: "60" },
      rounds: { type: "string", default: "20" },
    },
  });
  const { changed, latencies } = await idleHours({
    minutes: Number(flags.minutes),
    rounds: Number(flags.rounds),
    say: (line) => console.log(line),
  });
  if (latencies.length > 0) {
    const [p50, least, most] = [0.5, 0, 1].map((share) => quantile(latencies, share).toFixed(1));
    console.log(
      `first write after sleep, ${latencies.length} rounds: p50 ${p50} ms, least ${least}, most ${most}`,
    );
  }
  if (changed > 0) process.exitCode = 1;
}
