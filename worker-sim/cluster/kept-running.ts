/** A guarded program that is started again when it ends by itself, until that happens too often. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Ended, type Guarded, type Program, startGuarded } from "./guarded.ts";
import { Problem } from "./problem.ts";

/** More restarts than these within the window mean that restarting does not help. */
const RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;
const RESTART_PAUSE_MS = 500;

export interface KeptRunning {
  /** Rejects with a {@link Problem} when the program ended too often; stays pending otherwise. */
  readonly failed: Promise<never>;
  /** Ends the program's tree of processes, to start it again. */
  restart(reason: string): void;
  /** Ends the program's tree of processes for good. */
  end(): Promise<void>;
  /** The same without waiting for anybody. */
  kill(): void;
}

export interface KeptRunningOptions {
  /** As a person would call it: `the worker pool`. */
  readonly title: string;
  readonly program: Program;
  /** Connects the output of each new process. */
  readonly attach: (process: Guarded) => void;
  /** Said to the person at the terminal. */
  readonly say: (line: string) => void;
}

function how(ended: Ended): string {
  return ended.reason ?? ended.signal ?? `exit code ${ended.code}`;
}

export function keepRunning({ title, program, attach, say }: KeptRunningOptions): KeptRunning {
  let ending = false;
  /** Why we ended the current process ourselves. */
  let ailment: string | undefined;
  const launch = () => {
    const started = startGuarded(program);
    attach(started);
    return started;
  };
  let current = launch();

  const watch = async (): Promise<never> => {
    const ends: number[] = [];
    for (;;) {
      const ended = await current.ended;
      const cause = ailment ?? `ended by itself (${how(ended)})`;
      ailment = undefined;
      const now = Date.now();
      ends.push(now);
      while ((ends[0] ?? now) < now - RESTART_WINDOW_MS) ends.shift();
      if (!ending && ends.length > RESTARTS_MAX) {
        throw new Problem(
          `${title} had to be started ${ends.length} times within a minute; the last time it ${cause}.`,
        );
      }
      if (!ending) {
        say(`${title} ${cause} and is started again`);
        await sleep(RESTART_PAUSE_MS);
      }
      // Looked at after the pause too: the launcher may have begun to end everything meanwhile.
      if (ending) return new Promise<never>(() => {});
      current = launch();
    }
  };
  const failed = watch();
  // The launcher awaits it beside its work; while it is ending nobody does.
  failed.catch(() => {});
  return {
    failed,
    restart(reason) {
      ailment = reason;
      void current.end();
    },
    async end() {
      ending = true;
      await current.end();
    },
    kill() {
      ending = true;
      current.kill();
    },
  };
}
