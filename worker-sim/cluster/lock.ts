/**
 * One launcher for one state directory. The lock names its holder by process id and start time, so that neither a
 * killed launcher nor a reused id locks anybody out; it also tells the other commands where the running cluster is.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Problem } from "./problem.ts";

const lockSchema = z.object({
  v: z.literal(1),
  pid: z.number().int().positive(),
  /** Start of the process in clock ticks since boot, where the system tells (Linux). */
  started: z.string().optional(),
  router_url: z.string(),
  members: z.array(z.object({ name: z.string(), url: z.string() })),
  log_directory: z.string(),
  /** Certificate to trust, with https. */
  certificate: z.string().optional(),
});

export type Running = Omit<z.output<typeof lockSchema>, "v" | "pid" | "started">;

export interface Lock {
  /** True when a launcher that is no longer alive had left its lock. */
  readonly takenOver: boolean;
  release(): void;
}

function lockFile(directory: string): string {
  return join(directory, "lock.json");
}

function startOf(pid: number): string | undefined {
  try {
    // Field 22, counted after the command name, which may contain blanks and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function lives(pid: number, started: string | undefined): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return started === undefined || startOf(pid) === started;
}

function readLock(file: string): z.output<typeof lockSchema> | undefined {
  try {
    return lockSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}

/** The cluster that runs on this state directory, if one does. */
export function runningCluster(directory: string): (Running & { readonly pid: number }) | undefined {
  const held = readLock(lockFile(directory));
  return held !== undefined && lives(held.pid, held.started) ? held : undefined;
}

/** @throws {Problem} when another launcher holds the directory. */
export function takeLock(directory: string, running: Running): Lock {
  mkdirSync(directory, { recursive: true });
  const file = lockFile(directory);
  const own = `${file}.${process.pid}`;
  const started = startOf(process.pid);
  writeFileSync(
    own,
    JSON.stringify({ v: 1, pid: process.pid, ...(started === undefined ? {} : { started }), ...running }),
  );
  let takenOver = false;
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        // A link appears with its content and fails if the name is taken: nobody sees half a lock.
        linkSync(own, file);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const held = readLock(file);
      if ((held !== undefined && lives(held.pid, held.started)) || attempt === 3) {
        throw new Problem(
          `A cluster is already running on ${directory} (process ${held?.pid ?? "unknown"}, ${held?.router_url ?? "address unknown"}): end it with Ctrl-C or \`kill ${held?.pid ?? ""}\` first.`,
        );
      }
      // Moved aside before it is removed, and put back if another launcher had replaced the stale one in between.
      try {
        renameSync(file, `${own}.stale`);
        const moved = readLock(`${own}.stale`);
        if (moved !== undefined && lives(moved.pid, moved.started)) linkSync(`${own}.stale`, file);
        else takenOver = true;
        rmSync(`${own}.stale`, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
  } finally {
    rmSync(own, { force: true });
  }
  return {
    takenOver,
    release() {
      if (readLock(file)?.pid === process.pid) rmSync(file, { force: true });
    },
  };
}
