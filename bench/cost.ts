/**
 * What a group costs on Cloudflare, counted on the running system: the deployed Worker with counters around whatever is
 * billed (bench/counting), on plain workerd, and the price list applied to what they show.
 *
 *     node bench/cost.ts [--seconds 60] [--idle 5] [--only steady,bursts,idle,retention,profiles]
 *
 * `steady`: tasks one by one, as many a second as make 1, 10 and 100 million a month, through a pool that proves nothing.
 * `bursts`: batches of 100 as fast as they go, then silence. `idle`: `--idle` minutes with the pool connected, after the
 * first. `retention`: what is deleted for its age. `profiles`: ten million a month under each PROFILE. Every count ends
 * with a checkpoint, so that nothing is left unwritten. Loopback only.
 */
import { parseArgs } from "node:util";
import { createClient } from "../src/client/index.ts";
import type { Counts } from "./counting/counts.ts";
import { HttpError, httpTo } from "./generator.ts";
import { REPLICAS } from "./group.ts";
import { startPool } from "./pool.ts";
import { bill, type Meter, MONTH_S, OBJECT_GB, type Used } from "./prices.ts";
import { checkpoint, vkHash } from "./sections/life.ts";
import { startTroika } from "./troika.ts";
import { metric, processorMs } from "./vitals.ts";
import type { Workerd } from "./workerd.ts";
import { live } from "./workloads.ts";

const MILLIONS = [1, 10, 100] as const;
const PROFILES = ["latency", "balanced", "throughput", "geo"] as const;
/** Silence after five seconds; then an object leaves memory. */
const SETTLE_MS = 60_000;
const RETENTION_MS = 5_000;

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    idle: { type: "string", default: "5" },
    only: { type: "string", default: "steady,bursts,idle,retention,profiles" },
  },
});
const seconds = Number(flags.seconds);
const wanted = new Set(flags.only.split(","));

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

interface Sample {
  readonly at_ms: number;
  readonly counts: Counts;
  readonly processor_ms: number;
  readonly database_bytes: number;
}

function counting(variables: Readonly<Record<string, string>> = {}): Promise<Workerd> {
  return startTroika(variables, [], new URL("counting/worker.ts", import.meta.url));
}

async function metrics(url: string, replica: string): Promise<string> {
  return (await fetch(`${url}/replicas/${replica}/metrics`)).text();
}

async function sample({ url, pid }: Workerd): Promise<Sample> {
  const counts = (await (await fetch(`${url}/bench/counts`)).json()) as Counts;
  let database_bytes = 0;
  for (const name of REPLICAS)
    database_bytes += metric(await metrics(url, name), "storage_database_bytes") ?? Number.NaN;
  return { at_ms: performance.now(), counts, processor_ms: processorMs(pid), database_bytes };
}

function less(after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count !== 0),
  );
}

interface Spent extends Omit<Counts, "rows" | "object_requests" | "peer_bytes"> {
  readonly rows: Readonly<Record<string, number>>;
  readonly object_requests: Readonly<Record<string, number>>;
  readonly elapsed_ms: number;
  readonly processor_ms: number;
  readonly database_bytes: number;
}

/** What was spent between two samples. */
function spent(before: Sample, after: Sample): Spent {
  const plain = (name: "worker_requests" | "alarms" | "messages" | "awake_ms") =>
    after.counts[name] - before.counts[name];
  return {
    worker_requests: plain("worker_requests"),
    alarms: plain("alarms"),
    messages: plain("messages"),
    awake_ms: plain("awake_ms"),
    rows: less(after.counts.rows, before.counts.rows),
    object_requests: less(after.counts.object_requests, before.counts.object_requests),
    elapsed_ms: after.at_ms - before.at_ms,
    processor_ms: after.processor_ms - before.processor_ms,
    database_bytes: after.database_bytes - before.database_bytes,
  };
}

/** In the units of the bill. Messages of WebSockets count twenty to a request. */
function used(one: Spent): Used {
  return {
    rows: sum(one.rows),
    object_requests: sum(one.object_requests) + one.alarms + one.messages / 20,
    gigabyte_seconds: (REPLICAS.length * OBJECT_GB * one.awake_ms) / 1_000,
    worker_requests: one.worker_requests,
    worker_cpu_ms: 0,
  };
}

/** With all of the process, replicas included, which is more than the router can have taken: at full speed, not much more. */
function usedAtFullSpeed(one: Spent): Used {
  return { ...used(one), worker_cpu_ms: one.processor_ms };
}

function times(one: Used, factor: number): Used {
  const scaled = Object.entries(one).map(([meter, value]) => [meter, value * factor] as const);
  return Object.fromEntries(scaled) as Record<Meter, number>;
}

const shown = (value: number): string =>
  value === 0
    ? "0"
    : value >= 100
      ? Math.round(value).toLocaleString("en")
      : String(Number(value.toPrecision(3)));
const dollars = (value: number): string => `$${value.toFixed(2)}`;
const row = (...cells: readonly string[]): void => console.log(`| ${cells.join(" | ")} |`);

function heading(title: string, ...columns: readonly string[]): void {
  console.log(`\n${title}\n`);
  row(...columns);
  row(...columns.map(() => "---"));
}

const TASK_COLUMNS = [
  "rows written",
  "requests to replicas, by clients",
  "by replicas to each other",
  "requests to the Worker",
  "awake, ms",
  "processor, ms (all)",
];

/** As {@link TASK_COLUMNS}. */
function taskCells(one: Spent, tasks: number): readonly string[] {
  const { peers = 0 } = one.object_requests;
  const counts = [
    sum(one.rows),
    sum(one.object_requests) - peers,
    peers,
    one.worker_requests,
    one.awake_ms,
    one.processor_ms,
  ];
  return [String(tasks), ...counts.map((count) => shown(count / tasks))];
}

function perTask(name: string, one: Spent, tasks: number): void {
  row(name, ...taskCells(one, tasks));
}

function perMonth(name: string, month: Used): void {
  const { total, worker_cpu_ms, ...costs } = bill(month);
  const cpu = month.worker_cpu_ms === 0 ? [] : [dollars(worker_cpu_ms)];
  row(name, ...Object.values(costs).map(dollars), ...cpu, dollars(total));
}

const METERS = ["rows", "requests to replicas", "duration", "requests to the Worker"];

function expectNotFound(error: unknown): void {
  if (!(error instanceof HttpError && error.status === 404)) throw error;
}

let contents = 0;

/** So many tasks, one by one, evenly; when the last is completed everything is written. */
async function paced(troika: Workerd, per_second: number, tasks: number): Promise<Spent> {
  const client = createClient({ url: troika.url, retry_for_ms: 60_000 });
  const completed = async (): Promise<number> => {
    const text = await (await fetch(`${troika.url}/metrics`)).text();
    return Number(/^troika_tasks\{status="completed"\} (\d+)/m.exec(text)?.[1] ?? 0);
  };
  await checkpoint(troika.url);
  const already = await completed();
  const before = await sample(troika);
  const began = performance.now();
  const submitted: Promise<unknown>[] = [];
  for (let nth = 0; nth < tasks; nth++) {
    await pause(Math.max(0, began + (nth * 1_000) / per_second - performance.now()));
    submitted.push(client.tasks.submit("noop", { data: `paced-${++contents}` }));
  }
  await pause(1_000 / per_second);
  await Promise.all(submitted);
  while ((await completed()) < already + tasks) await pause(5);
  await checkpoint(troika.url);
  return spent(before, await sample(troika));
}

async function withPool<Result>(
  variables: Readonly<Record<string, string>>,
  run: (troika: Workerd) => Promise<Result>,
): Promise<Result> {
  const troika = await counting(variables);
  const pool = startPool(troika.url, "cost-pool", 2);
  try {
    // The pool is there when it has completed its first task.
    await paced(troika, 1, 1);
    return await run(troika);
  } finally {
    await pool.close();
    await troika.close();
  }
}

if (wanted.has("steady")) {
  const found = await withPool({}, async (troika) => {
    const all: { readonly millions: number; readonly tasks: number; readonly one: Spent }[] = [];
    for (const millions of MILLIONS) {
      const per_second = (millions * 1e6) / MONTH_S;
      const tasks = Math.max(10, Math.round(per_second * seconds));
      all.push({ millions, tasks, one: await paced(troika, per_second, tasks) });
    }
    return all;
  });
  heading("Per task, submitted one by one", "evenly over the month", "counted", ...TASK_COLUMNS);
  for (const { millions, tasks, one } of found) perTask(`${millions} million`, one, tasks);
  heading("Dollars a month", "tasks a month, evenly", ...METERS, "with the plan's $5");
  for (const { millions, tasks, one } of found)
    perMonth(`${millions} million`, times(used(one), (millions * 1e6) / tasks));
  const [, ten] = found;
  if (ten !== undefined) {
    heading("Rows per task by statement, at ten million a month", "statement", "rows");
    for (const [kind, count] of Object.entries(ten.one.rows)) row(kind, shown(count / ten.tasks));
    heading("An hour of such load", "meter", "used");
    for (const [meter, amount] of Object.entries(times(used(ten.one), 3_600_000 / ten.one.elapsed_ms)))
      row(meter, shown(amount));
    console.log(
      `\nBytes stored per finished task, per replica: ${shown(ten.one.database_bytes / ten.tasks / REPLICAS.length)}`,
    );
  }
}

if (wanted.has("bursts")) {
  const troika = await counting();
  try {
    const http = httpTo(troika.url, 64);
    const vk_hash = await vkHash(troika.url);
    await checkpoint(troika.url);
    const before = await sample(troika);
    const { lives } = await live(http, { provers: 4, slots: 12, seconds, vk_hash });
    await checkpoint(troika.url);
    const one = spent(before, await sample(troika));
    await http.close();
    heading("Per task, in batches of 100 as fast as they go", "", "counted", ...TASK_COLUMNS);
    perTask("bursts", one, lives);
    const columns = [...METERS, "CPU of the Worker, at most", "with the plan's $5"];
    heading("Dollars a month", "tasks a month, in bursts", ...columns);
    for (const millions of MILLIONS)
      perMonth(`${millions} million`, times(usedAtFullSpeed(one), (millions * 1e6) / lives));
    heading("Rows per task by statement, in bursts", "statement", "rows");
    for (const [kind, count] of Object.entries(one.rows)) row(kind, shown(count / lives));
    console.log(
      `\nBytes stored per finished task, per replica: ${shown(one.database_bytes / lives / REPLICAS.length)}`,
    );
  } finally {
    await troika.close();
  }
}

if (wanted.has("idle")) {
  await withPool({}, async (troika) => {
    await pause(SETTLE_MS);
    const before = await sample(troika);
    await pause(Number(flags.idle) * 60_000);
    // Metrics are requests of ours to the replicas, and do not wake them.
    const one = spent(before, await sample(troika));
    const { "/observe": ours = 0, ...object_requests } = one.object_requests;
    const worker_requests = one.worker_requests - ours;
    heading(`${flags.idle} idle minutes with the pool connected, after the first`, "meter", "used");
    for (const [meter, amount] of Object.entries(used({ ...one, object_requests, worker_requests })))
      row(meter, shown(amount));
    row("requests of this measurement itself", shown(ours));
  });
}

if (wanted.has("retention")) {
  // A group that sleeps deletes nothing.
  const troika = await counting({ RETENTION_MS: String(RETENTION_MS), SLEEP_AFTER_MS: "0" });
  try {
    const http = httpTo(troika.url, 64);
    const vk_hash = await vkHash(troika.url);
    const empty = await sample(troika);
    const { lives } = await live(http, { provers: 4, slots: 12, seconds: Math.min(seconds, 5), vk_hash });
    const deadline = performance.now() + 300_000;
    const kept = async (): Promise<number> => {
      const { items } = await http.get<{ readonly items: readonly unknown[] }>("/api/v1/tasks?limit=1");
      return items.length;
    };
    while ((await kept()) > 0) {
      if (performance.now() > deadline) throw new Error("there are tasks that were not deleted");
      // What is old is deleted when there is something to do anyway.
      await http.post(`/api/v1/tasks/${crypto.randomUUID()}/cancel`, {}).catch(expectNotFound);
      await pause(500);
    }
    await http.close();
    await checkpoint(troika.url);
    const one = spent(empty, await sample(troika));
    heading("Per task with everything that is deleted for its age, in bursts", "statement", "rows");
    for (const [kind, count] of Object.entries(one.rows)) row(kind, shown(count / lives));
    row("**all**", shown(sum(one.rows) / lives));
  } finally {
    await troika.close();
  }
}

if (wanted.has("profiles")) {
  heading("Ten million tasks a month, by PROFILE", "PROFILE", "counted", ...TASK_COLUMNS, "dollars a month");
  for (const PROFILE of PROFILES) {
    const per_second = 1e7 / MONTH_S;
    const tasks = Math.round((per_second * seconds) / 2);
    const one = await withPool({ PROFILE }, (troika) => paced(troika, per_second, tasks));
    row(PROFILE, ...taskCells(one, tasks), dollars(bill(times(used(one), 1e7 / tasks)).total));
  }
}
