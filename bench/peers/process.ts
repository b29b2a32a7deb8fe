/** A program of the system that is started for a measurement, and ends with it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endsWithUs } from "../children.ts";

const READY_MS = 20_000;

export interface Started {
  close(): Promise<void>;
}

/** Rejects with the end of what the program wrote if it ends, or is not ready in time. */
export async function startProgram(
  program: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
): Promise<Started> {
  const child = endsWithUs(spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] }));
  let written = "";
  const keep = (chunk: Buffer): void => {
    written = (written + chunk.toString()).slice(-4_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  let failure: string | undefined;
  child.once("error", (error) => {
    failure = `${program} does not start: ${error.message}`;
  });
  child.once("exit", (code, signal) => {
    failure ??= `${program} ended with ${code ?? signal}:\n${written}`;
  });
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null || failure !== undefined) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const deadline = performance.now() + READY_MS;
  for (;;) {
    if (failure !== undefined) throw new Error(failure);
    if (await ready().catch(() => false)) return { close };
    if (performance.now() > deadline) {
      await close();
      throw new Error(`${program} is not ready after ${READY_MS} ms:\n${written}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
