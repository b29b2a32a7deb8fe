/**
 * Failures under a steady load of events and proof tasks, with figures: from the failure to the next acknowledged
 * write; and what must be zero: acknowledged writes lost, writes doubled, tasks that finish twice or never, reads older
 * than an acknowledged write (asked at every replica).
 *
 *     node bench/faults.ts [--rounds 20] [--kinds stop,isolate,reset,kill] [--no-tasks]
 *
 * Traffic goes to 127.0.0.1 only; the run ends by itself.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { startWorkerd } from "./workerd.ts";

const REPLICAS = ["coordinator-1", "coordinator-2", "coordinator-3"];
const WRITERS = 4;
const READERS = 3;
const WRITE_PAUSE_MS = 20;
const TASK_EVERY_MS = 1500;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    kinds: { type: "string", default: "stop,isolate,reset,kill" },
    "no-tasks": { type: "boolean", default: false },
  },
});
const rounds = Number(flags.rounds);
const kinds = flags.kinds.split(",");

interface Acknowledged {
  readonly key: string;
  readonly seq: number;
  readonly sentAt: number;
  readonly at: number;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const workerd = await startWorkerd({ LOCAL_PORT_BASE: "8090" });
const acknowledged: Acknowledged[] = [];
const tasks = new Map<string, { submitted: number; digest?: string }>();
const problems: string[] = [];
const statuses = new Map<string, number>();
let staleReads = 0;
let reads = 0;
let stopping = false;

async function call(
  path: string,
  init?: RequestInit,
): Promise<{ status: number; body: Record<string, unknown> } | undefined> {
  try {
    const response = await fetch(workerd.url + path, { ...init, signal: AbortSignal.timeout(15_000) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  } catch {
    // The process is down: exactly what some rounds do.
    return undefined;
  }
}

/** Sends until acknowledged, always under the same key, as the contract tells clients to. */
async function writeEvents(writer: number): Promise<void> {
  for (let count = 0; !stopping; count++) {
    const key = `w${writer}-${count}`;
    const event = { Critical: { ScoreUpdate: { player_id: key, score: count, timestamp: count } } };
    for (let sent = false; !sent; ) {
      const sentAt = performance.now();
      const answer = await call("/events", {
        method: "POST",
        body: JSON.stringify({ event }),
        headers: { "idempotency-key": key },
      });
      statuses.set(
        `event ${answer?.status ?? "no answer"}`,
        (statuses.get(`event ${answer?.status ?? "no answer"}`) ?? 0) + 1,
      );
      if (answer?.status === 200) {
        acknowledged.push({ key, seq: Number(answer.body.seq), sentAt, at: performance.now() });
        sent = true;
      } else if (answer && answer.status < 500) {
        problems.push(`event ${key}: ${answer.status} ${JSON.stringify(answer.body)}`);
        sent = true;
      } else {
        if (stopping && performance.now() - sentAt > 30_000) return;
        await pause(10);
      }
    }
    await pause(WRITE_PAUSE_MS);
  }
}

/** After an acknowledged write, every replica must show it, or say that it cannot answer. */
async function readBack(reader: number): Promise<void> {
  for (let count = reader; !stopping; count++) {
    const last = acknowledged.at(-1);
    const replica = REPLICAS[count % REPLICAS.length];
    if (last) {
      const answer = await call(`/replicas/${replica}/events?after=${last.seq - 1}&limit=1`);
      if (answer?.status === 200) {
        reads++;
        if (!JSON.stringify(answer.body).includes(`"${last.key}"`)) {
          staleReads++;
          problems.push(
            `stale read at ${replica}: ${last.key} seq ${last.seq}: ${JSON.stringify(answer.body)}`,
          );
        }
      }
    }
    await pause(15);
  }
}

async function submitTasks(): Promise<void> {
  for (let count = 0; !stopping; count++) {
    const leaves = [`0x${(count + 1).toString(16)}`, "0xabcdef"];
    for (let sent = false; !sent && !stopping; ) {
      const answer = await call("/api/v1/tasks/merkle", {
        method: "POST",
        body: JSON.stringify({ leaves, leaf_index: 0 }),
        headers: { "idempotency-key": `task-${count}` },
      });
      if (answer && (answer.status === 202 || answer.status === 200)) {
        tasks.set(String(answer.body.task_id), { submitted: performance.now() });
        sent = true;
      } else await pause(20);
    }
    await pause(TASK_EVERY_MS);
  }
}

async function ready(): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const health = await Promise.all(REPLICAS.map((name) => call(`/replicas/${name}/health`)));
    if (
      health.every((answer) => answer?.body.status === "healthy") &&
      (await call("/readyz"))?.status === 200
    )
      return;
    if (performance.now() > deadline)
      throw new Error(`the cluster does not recover: ${JSON.stringify(health.map((h) => h?.body.raft))}`);
    await pause(25);
  }
}

async function leader(): Promise<string> {
  for (;;) {
    const status = await call("/status");
    if (status?.status === 200 && typeof status.body.current_leader === "string")
      return status.body.current_leader;
    await pause(25);
  }
}

const fault = (replica: string, action: string) =>
  call(`/api/v1/faults/${replica}`, { method: "POST", body: JSON.stringify({ action }) });

/**
 * Milliseconds from the failure to the next acknowledgement. A reset strikes a moment after it was asked for, so
 * there the longest time without an acknowledgement counts.
 */
async function recovery(kind: string, since: number): Promise<number> {
  const deadline = since + 30_000;
  if (kind === "reset") await pause(1500);
  for (;;) {
    const after = acknowledged.filter((entry) => entry.sentAt >= since).map((entry) => entry.at);
    const first = after.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
    if (kind !== "reset" && first < deadline) return first - since;
    const gaps = after.toSorted((a, b) => a - b).map((at, index, all) => at - (all[index - 1] ?? since));
    if (kind === "reset" && gaps.length > 0) return Math.max(...gaps);
    if (performance.now() > deadline) return Number.POSITIVE_INFINITY;
    await pause(2);
  }
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

console.log(`cluster on workerd at ${workerd.url}; ${rounds} rounds of each of ${kinds.join(", ")}`);
await ready();
const pool = flags["no-tasks"]
  ? undefined
  : spawn(process.execPath, [new URL("../worker-sim/main.ts", import.meta.url).pathname, "pool"], {
      env: { ...process.env, TROIKA_URL: workerd.url, CONCURRENCY: "1", WORKER_ID: "bench-pool" },
      stdio: ["ignore", "ignore", "inherit"],
    });
const load = [
  ...Array.from({ length: WRITERS }, (_, writer) => writeEvents(writer)),
  ...Array.from({ length: READERS }, (_, reader) => readBack(reader)),
  ...(pool ? [submitTasks()] : []),
];
const figures: Record<string, number[]> = {};
try {
  await pause(2000);
  for (const kind of kinds) {
    const times: number[] = [];
    figures[kind] = times;
    for (let round = 0; round < rounds; round++) {
      const victim = await leader();
      let since = performance.now();
      if (kind === "kill") {
        await workerd.kill();
        since = performance.now();
        await workerd.start();
      } else await fault(victim, kind);
      if (kind === "stop" || kind === "isolate") since = performance.now();
      times.push(await recovery(kind, since));
      await pause(300);
      if (kind === "stop") await fault(victim, "start");
      if (kind === "isolate") await fault(victim, "heal");
      await ready();
      await pause(400);
    }
    const sorted = times.toSorted((a, b) => a - b);
    console.log(
      `${kind.padEnd(8)} rounds ${times.length}  median ${quantile(sorted, 0.5).toFixed(0)} ms  max ${quantile(sorted, 1).toFixed(0)} ms`,
    );
  }
} finally {
  stopping = true;
  await Promise.all(load);
}

await ready();
const deadline = performance.now() + 180_000;
const open = new Set(tasks.keys());
let twice = 0;
while (open.size > 0 && performance.now() < deadline) {
  for (const id of [...open]) {
    const answer = await call(`/api/v1/tasks/${id}`);
    if (answer?.status === 200 && ["completed", "failed"].includes(String(answer.body.status))) {
      if (answer.body.status === "failed") problems.push(`task ${id} failed: ${String(answer.body.error)}`);
      const attempts = await call(`/api/v1/tasks/${id}/attempts`);
      const items = (attempts?.body.items ?? []) as readonly { outcome?: string }[];
      if (items.filter((attempt) => attempt.outcome === "completed").length > 1) twice++;
      open.delete(id);
    }
  }
  await pause(100);
}

let lost = 0;
let doubled = 0;
const orders: string[] = [];
for (const replica of REPLICAS) {
  const answer = await call(`/replicas/${replica}/events`);
  const events = (answer?.body.events ?? []) as readonly {
    Critical?: { ScoreUpdate?: { player_id: string } };
  }[];
  const keys = events.map((event) => event.Critical?.ScoreUpdate?.player_id ?? JSON.stringify(event));
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  lost += acknowledged.filter(({ key }) => !counts.has(key)).length;
  doubled += [...counts.values()].filter((count) => count > 1).length;
  orders.push(keys.join());
}
const differing = new Set(orders).size - 1;
if (pool) {
  const gone = once(pool, "exit");
  pool.kill("SIGTERM");
  await gone;
}
await workerd.close();

console.log(
  `events acknowledged ${acknowledged.length}, lost ${lost}, doubled ${doubled}, replicas with another order ${differing}`,
);
console.log(`tasks acknowledged ${tasks.size}, finished twice ${twice}, never finished ${open.size}`);
console.log(`reads checked ${reads}, older than an acknowledged write ${staleReads}`);
console.log(`answers ${JSON.stringify(Object.fromEntries(statuses))}`);
for (const problem of problems.slice(0, 20)) console.log(`problem: ${problem}`);
const slow = ["stop", "isolate"].flatMap((kind) => figures[kind] ?? []).filter((ms) => ms >= 1000).length;
if (slow > 0) console.log(`${slow} rounds of stop or isolate took a second or more`);
process.exitCode =
  lost + doubled + differing + twice + open.size + staleReads + problems.length + slow > 0 ? 1 : 0;
