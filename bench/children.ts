/** Programs that a measurement starts, and what they store: they end with it, however it ends short of `kill -9`. */
import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";

const children = new Set<ChildProcess>();
/** Leaders of process groups: what they start ends with them. */
const leaders = new Set<ChildProcess>();
const directories = new Set<string>();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const leader of leaders) killGroup(leader);
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** `kill -9` of a process that was started `detached`, and of all that it started. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** It is removed then, if it is still there. */
export function directoryEndsWithUs(directory: string): string {
  directories.add(directory);
  return directory;
}

/** For one that was started `detached`. */
export function groupEndsWithUs<Child extends ChildProcess>(leader: Child): Child {
  leaders.add(leader);
  leader.once("exit", () => leaders.delete(leader));
  return leader;
}

export function endsWithUs<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}
