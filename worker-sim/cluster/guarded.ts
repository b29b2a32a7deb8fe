/** A program that runs under a guard: started, watched and ended as one tree of processes. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { endGroup, type GuardMessage, type GuardOrder } from "./guard.ts";

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started at all. */
  readonly reason?: string;
}

export interface Guarded {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, when no process of the tree is left. */
  readonly ended: Promise<Ended>;
  /** Ends the tree: asks, and kills after the grace period. Resolves when nothing is left. Harmless to repeat. */
  end(): Promise<void>;
  /** Kills the tree at once. */
  kill(): void;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly nice?: number;
  readonly grace_ms: number;
}

/** The guard needs a little longer than the grace it gives. */
const GUARD_MARGIN_MS = 3_000;

export function startGuarded(program: Program): Guarded {
  const order: GuardOrder = {
    command: program.command,
    args: program.args,
    nice: program.nice ?? 0,
    grace_ms: program.grace_ms,
  };
  // Detached: Ctrl-C in a terminal reaches the launcher alone, which ends its programs in the right order.
  const guard: ChildProcess = spawn(
    process.execPath,
    ["--no-warnings", fileURLToPath(new URL("./guard.ts", import.meta.url)), JSON.stringify(order)],
    { cwd: program.cwd, env: program.env, stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true },
  );
  const { stdout, stderr } = guard;
  if (stdout === null || stderr === null) throw new Error("the guard was started without pipes");

  let group: number | undefined;
  let ending = false;
  let outcome: Ended | undefined;
  guard.on("message", (message: GuardMessage) => {
    if (message.type === "running") group = message.group;
    else if (message.type === "failed") outcome = { code: 1, signal: null, reason: message.reason };
    else outcome = { code: message.code, signal: message.signal };
  });
  const ended = new Promise<Ended>((resolve) => {
    guard.on("error", (error) => resolve({ code: 1, signal: null, reason: error.message }));
    guard.on("exit", (code, signal) => {
      // A guard that was killed could not end its group: that falls to us.
      const swept = group === undefined ? Promise.resolve() : endGroup(group, ending ? program.grace_ms : 0);
      void swept.then(() => resolve(outcome ?? { code, signal }));
    });
  });
  const kill = () => {
    ending = true;
    if (group !== undefined) void endGroup(group, 0);
    guard.kill("SIGTERM");
  };
  return {
    stdout,
    stderr,
    ended,
    kill,
    async end() {
      ending = true;
      guard.kill("SIGTERM");
      const timer = setTimeout(kill, program.grace_ms + GUARD_MARGIN_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
