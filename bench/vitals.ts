/** What a running group takes: memory of its process and of its isolate, its log, its tables, and who leads. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { REPLICAS } from "./group.ts";
import { Inspector } from "./inspector.ts";
import type { Workerd } from "./workerd.ts";

/** Null where nobody answered: the replica is stopped, or the process is just starting. */
export interface Vitals {
  /** Of workerd, by the kernel (`VmRSS`). */
  readonly rss_bytes: number | null;
  /** Of the one isolate that the router and all three replicas share, by V8, garbage included. */
  readonly heap_bytes: number | null;
  /** The same after a full collection, where one was asked for. */
  readonly live_heap_bytes: number | null;
  readonly processor_ms: number | null;
  /** Of all files of the storage. */
  readonly file_bytes: number;
  /** One for each replica. */
  readonly log_entries: readonly (number | null)[];
  readonly database_bytes: readonly (number | null)[];
  readonly term: number | null;
}

interface HeapUsage {
  readonly usedSize: number;
}

const TICK_MS = 1_000 / 100;

/** Of all threads, user and system. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function rssBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1_024;
}

/** Files come and go while they are counted. */
function fileBytes(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** A sample of Prometheus text by its name, whatever its labels. */
export function metric(text: string, name: string): number | null {
  const value = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "m").exec(text)?.[1];
  return value === undefined ? null : Number(value);
}

async function orNull<Value>(what: () => Value | Promise<Value>): Promise<Value | null> {
  try {
    return await what();
  } catch {
    return null;
  }
}

async function heap(port: number, collect: boolean): Promise<{ used: number; live: number | null }> {
  const inspector = await Inspector.open(port);
  try {
    const { usedSize: used } = await inspector.ask<HeapUsage>("Runtime.getHeapUsage");
    if (!collect) return { used, live: null };
    await inspector.ask("HeapProfiler.collectGarbage");
    return { used, live: (await inspector.ask<HeapUsage>("Runtime.getHeapUsage")).usedSize };
  } finally {
    inspector.close();
  }
}

/** @param inspector the port of `--inspector-addr` */
export async function vitalsOf(workerd: Workerd, inspector: number, collect: boolean): Promise<Vitals> {
  const metrics = await Promise.all(
    REPLICAS.map((name) =>
      orNull(async () => {
        const signal = AbortSignal.timeout(2_000);
        const response = await fetch(`${workerd.url}/replicas/${name}/metrics`, { signal });
        const text = await response.text();
        return response.ok ? text : null;
      }),
    ),
  );
  const of = (name: string) => metrics.map((text) => (text === null ? null : metric(text, name)));
  const used = await orNull(() => heap(inspector, collect));
  const terms = of("raft_term").filter((term) => term !== null);
  return {
    rss_bytes: await orNull(() => rssBytes(workerd.pid)),
    heap_bytes: used?.used ?? null,
    live_heap_bytes: used?.live ?? null,
    processor_ms: await orNull(() => processorMs(workerd.pid)),
    file_bytes: fileBytes(join(workerd.directory, "storage")),
    log_entries: of("consensus_log_size"),
    database_bytes: of("storage_database_bytes"),
    term: terms.length === 0 ? null : Math.max(...terms),
  };
}
