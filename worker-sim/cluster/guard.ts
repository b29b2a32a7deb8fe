/**
 * A process between the launcher and one of its programs, so that nothing outlives the launcher: it runs the program in
 * a process group of its own, and ends that whole group when it is told to, when the program itself ends (a killed
 * wrangler leaves its workerd behind), and when the channel to the launcher breaks, which also happens when the
 * launcher is killed with SIGKILL. Started by guarded.ts alone.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

export interface GuardOrder {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the program's niceness: every thread of it inherits. */
  readonly nice: number;
  /** Between asking the group to end and killing it. */
  readonly grace_ms: number;
}

/** `group` is the process group of the program, and the process id of its first process. */
export type GuardMessage =
  | { readonly type: "running"; readonly group: number }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "ended"; readonly code: number | null; readonly signal: string | null };

const POLL_MS = 40;
/** With the launcher gone nobody needs what a program would still finish. */
const ORPHAN_GRACE_MS = 1_000;
const KILL_WAIT_MS = 2_000;

/** Whether any process of the group is left that does anything. */
export function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return process.platform !== "linux" || groupRuns(group);
}

/** In a container without an init the dead stay in the table as zombies, and would be waited for in vain. */
function groupRuns(group: number): boolean {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(pgrp) === group && state !== "Z" && state !== "X") return true;
    } catch {
      // It ended while we looked.
    }
  }
  return false;
}

export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group is gone, which is what signals here are for.
  }
}

/** Asks the group to end, and kills what is left of it after `grace_ms`. */
export async function endGroup(group: number, grace_ms: number): Promise<void> {
  signalGroup(group, "SIGTERM");
  const asked = Date.now();
  while (groupLives(group) && Date.now() - asked < grace_ms) await sleep(POLL_MS);
  signalGroup(group, "SIGKILL");
  const killed = Date.now();
  while (groupLives(group) && Date.now() - killed < KILL_WAIT_MS) await sleep(POLL_MS);
}

function report(message: GuardMessage): void {
  if (process.connected) process.send?.(message, () => {});
}

function guard(order: GuardOrder): void {
  if (order.nice > 0) setPriority(order.nice);
  const child = spawn(order.command, order.args, { stdio: ["ignore", "inherit", "inherit"], detached: true });
  let ending: Promise<void> | undefined;
  const end = (grace_ms: number) => {
    if (child.pid === undefined) process.exit(1);
    ending ??= endGroup(child.pid, grace_ms);
    return ending;
  };
  child.on("spawn", () => report({ type: "running", group: child.pid ?? 0 }));
  child.on("error", (error) => {
    report({ type: "failed", reason: error.message });
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    void end(order.grace_ms).then(() => {
      report({ type: "ended", code, signal });
      process.exit(code ?? 1);
    });
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => void end(order.grace_ms));
  }
  const orphaned = () => void end(Math.min(order.grace_ms, ORPHAN_GRACE_MS));
  process.on("disconnect", orphaned);
  if (!process.connected) orphaned();
}

if (import.meta.main) guard(JSON.parse(process.argv[2] ?? "") as GuardOrder);
