/**
 * Whether the npm that started this script is still there. npm runs a script through a shell that passes no signal on,
 * so a script whose npm was ended or killed hears nothing of it and would stay behind.
 */
import { readFileSync } from "node:fs";

const RUNNERS = /npm|npx|yarn|pnpm|bun/;

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The processes between this one and npm, npm included, as far as the system tells (elsewhere than on Linux: the parent). */
function ancestry(): readonly (number | undefined)[] {
  const shell = commandOf(process.ppid)[1] === "-c";
  return shell ? [process.ppid, parentOf(process.ppid)] : [process.ppid];
}

/** Undefined where this process was not started by npm as the script `name`; otherwise tells whether npm has gone. */
export function npmWatch(name: string): (() => boolean) | undefined {
  if (process.env.npm_lifecycle_event !== name) return undefined;
  const first = ancestry();
  const top = first.at(-1);
  // Adopted by init before we looked. In a container npm itself may be process 1.
  const orphaned = top === 1 && !RUNNERS.test(commandOf(1).join(" "));
  return () => {
    if (orphaned) return true;
    const now = ancestry();
    return now.length !== first.length || now.some((pid, index) => pid !== first[index]);
  };
}
