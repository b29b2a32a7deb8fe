/** `logs`: the last lines of one log of a local cluster, running or not, and what follows them. */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReplicaCount } from "../cluster/layout.ts";
import { runningCluster } from "../cluster/lock.ts";
import { Problem } from "../cluster/problem.ts";

export interface LogsOptions {
  readonly name: string;
  readonly follow: boolean;
  readonly lines: number;
  readonly replicas: ReplicaCount | undefined;
}

const BLOCK_BYTES = 64 * 1024;
const FOLLOW_POLL_MS = 200;

/** The last `lines` lines of a file, read from its end. */
export function tail(path: string, lines: number): { readonly text: string; readonly end: number } {
  const descriptor = openSync(path, "r");
  try {
    const end = fstatSync(descriptor).size;
    let start = end;
    let bytes = Buffer.alloc(0);
    const breaks = () => bytes.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
    while (lines > 0 && start > 0 && breaks() <= lines) {
      const length = Math.min(BLOCK_BYTES, start);
      start -= length;
      const block = Buffer.alloc(length);
      readSync(descriptor, block, 0, length, start);
      bytes = Buffer.concat([block, bytes]);
    }
    const all = bytes.toString("utf8").split("\n");
    const complete = all.at(-1) === "" ? all.slice(0, -1) : all;
    const kept = lines === 0 ? [] : complete.slice(-lines);
    return { text: kept.map((line) => `${line}\n`).join(""), end };
  } finally {
    closeSync(descriptor);
  }
}

/** The log directory meant: of the running cluster if there is one, else of the one that wrote last. */
function logDirectory(stateRoot: string, replicas: ReplicaCount | undefined): string {
  const names =
    replicas !== undefined ? [String(replicas)] : existsSync(stateRoot) ? readdirSync(stateRoot) : [];
  const candidates = names
    .map((name) => join(stateRoot, name))
    .filter((path) => existsSync(join(path, "logs")))
    .map((path) => ({
      logs: join(path, "logs"),
      rank: (runningCluster(path) === undefined ? 0 : 1e15) + statSync(join(path, "logs")).mtimeMs,
    }))
    .sort((a, b) => b.rank - a.rank);
  const [first] = candidates;
  if (first === undefined) throw new Problem("There are no logs yet: begin a cluster with `npm start`.");
  return first.logs;
}

export async function showLogs(
  stateRoot: string,
  { name, follow, lines, replicas }: LogsOptions,
): Promise<void> {
  const directory = logDirectory(stateRoot, replicas);
  const path = join(directory, `${name}.log`);
  if (!existsSync(path)) {
    const names = readdirSync(directory)
      .filter((file) => file.endsWith(".log"))
      .map((file) => file.slice(0, -4))
      .sort();
    throw new Problem(`There is no log of ${name} in ${directory}: there are ${names.join(", ") || "none"}.`);
  }
  const { text, end } = tail(path, lines);
  process.stdout.write(text);
  if (follow) await followFile(path, end);
}

/** Until the process is ended; goes on in the new file when the old one is moved aside. */
async function followFile(path: string, from: number): Promise<void> {
  let position = from;
  const block = Buffer.alloc(BLOCK_BYTES);
  for (;;) {
    await sleep(FOLLOW_POLL_MS);
    if (!existsSync(path)) continue;
    const descriptor = openSync(path, "r");
    try {
      if (fstatSync(descriptor).size < position) position = 0;
      for (let read = 1; read > 0; position += read) {
        read = readSync(descriptor, block, 0, block.length, position);
        writeSync(process.stdout.fd, block, 0, read);
      }
    } finally {
      closeSync(descriptor);
    }
  }
}
