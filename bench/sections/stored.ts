/**
 * Throughput of a group that has finished a million tasks, against an empty one, in turn. The million are brought in as an
 * export of them would be (`POST /api/v1/cluster/import`), through the log like everything: one task that really ran is
 * exported, and its line repeated with an identity of its own.
 */
import type { Bench, Section } from "../figure.ts";
import { HttpError, httpTo } from "../generator.ts";
import { measureAt, startTroika } from "../troika.ts";
import { live, submitNoop, whenNotTooBusy } from "../workloads.ts";
import { checkpoint, vkHash } from "./life.ts";

const PART_LINES = 20_000;

interface TaskLine {
  readonly type: "task";
  readonly record: {
    readonly task_id: string;
    readonly sequence: number;
    readonly content_hash: string;
    readonly input: unknown;
    readonly attempts: readonly { readonly lease_id: string }[];
  };
}
type Line = TaskLine | { readonly type: "export"; readonly export_id: string } | { readonly type: "end" };

/** The first line of an export, and the line of a task that was completed. */
async function exported(bench: Bench): Promise<readonly [head: string, task: TaskLine]> {
  const source = await bench.keep(startTroika());
  const http = httpTo(source.url, 8);
  await live(http, { provers: 1, slots: 4, seconds: 0.2, vk_hash: await vkHash(source.url) });
  await http.close();
  const response = await fetch(`${source.url}/api/v1/cluster/export`);
  const lines = (await response.text()).trimEnd().split("\n");
  const task = lines.map((line) => JSON.parse(line) as Line).find((line) => line.type === "task");
  await source.close();
  if (lines[0] === undefined || task?.type !== "task") throw new Error("the export has no task in it");
  return [lines[0], task];
}

/** Line of the task that was the `nth`, told apart by its id, its leases and its contents. */
function lineOf({ type, record }: TaskLine, nth: number): string {
  const number = nth.toString(16).padStart(12, "0");
  const task_id = record.task_id.slice(0, -12) + number;
  return JSON.stringify({
    type,
    record: {
      ...record,
      task_id,
      sequence: nth,
      content_hash: record.content_hash.slice(0, -12) + number,
      input: { data: `stored-${nth}` },
      attempts: record.attempts.map((attempt) => ({
        ...attempt,
        lease_id: attempt.lease_id.replace(record.task_id, task_id),
      })),
    },
  });
}

async function fill(bench: Bench, url: string, tasks: number): Promise<void> {
  const [head, task] = await exported(bench);
  const { export_id } = JSON.parse(head) as { readonly export_id: string };
  const send = async (lines: readonly string[], from_line: number): Promise<void> => {
    const path = `/api/v1/cluster/import?export_id=${encodeURIComponent(export_id)}&from_line=${from_line}`;
    const body = `${lines.join("\n")}\n`;
    // What was taken in already is passed over when it comes again.
    await whenNotTooBusy(async () => {
      const response = await fetch(url + path, { method: "POST", body });
      const text = await response.text();
      if (!response.ok) throw new HttpError(response.status, `import: ${response.status} ${text}`);
    });
  };
  const began = performance.now();
  await send([head], 1);
  for (let from = 1; from <= tasks; from += PART_LINES) {
    const count = Math.min(PART_LINES, tasks + 1 - from);
    await send(
      Array.from({ length: count }, (_, nth) => lineOf(task, from + nth)),
      from + 1,
    );
  }
  await send([JSON.stringify({ type: "end", lines: tasks + 2 })], tasks + 2);
  await checkpoint(url);
  const seconds = (performance.now() - began) / 1_000;
  bench.note(`${tasks} finished tasks were imported in ${seconds.toFixed(0)} s`);
}

export const stored: Section = {
  name: "stored",
  async run(bench) {
    const tasks = bench.quick ? 50_000 : 1_000_000;
    const full = await bench.keep(startTroika());
    await fill(bench, full.url, tasks);
    const empty = await bench.keep(startTroika());
    const load = { connections: 32, seconds: bench.seconds };
    const samples: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const with_tasks = await measureAt(full.url, submitNoop, load);
      const without = await measureAt(empty.url, submitNoop, load);
      samples.push(with_tasks.per_second / without.per_second);
    }
    const name = `throughput with ${tasks.toLocaleString("en")} finished tasks stored, against an empty store`;
    return [{ name, unit: "x", better: "higher", must: 0.9, goal: 1, samples }];
  },
};
