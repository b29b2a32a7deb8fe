/**
 * The commands of the README as processes: what they print, how they exit, and that they leave nothing behind. Real
 * wrangler, real replicas, real proofs, in a state directory and on ports of their own.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { portState } from "../../worker-sim/cluster/ports.ts";

const TROIKA = fileURLToPath(new URL("../../worker-sim/troika.js", import.meta.url));
const UP_MS = 60_000;

let state: string;
let port: number;
const processes: ChildProcess[] = [];

interface Command {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function troika(...args: readonly string[]): Command {
  const child = spawn(process.execPath, ["--no-warnings", TROIKA, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(child);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exit = once(child, "close").then(([code]) => code as number | null);
  return { process: child, output: () => output, exit };
}

function start(...flags: readonly string[]): Command {
  return troika("start", "--state", state, "--port", String(port), "--threads", "1", ...flags);
}

/** Runs to its end: exit code and everything it printed. */
async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly output: string }> {
  const { exit, output } = troika(...args);
  return { code: await exit, output: output() };
}

async function until(
  what: string,
  condition: () => boolean,
  command: Command,
  timeout_ms = UP_MS,
): Promise<void> {
  const asked = Date.now();
  while (!condition()) {
    const over = command.process.exitCode !== null || Date.now() - asked > timeout_ms;
    if (over) throw new Error(`not seen: ${what}; printed:\n${command.output()}`);
    await sleep(50);
  }
}

function poolLog(): string {
  const path = join(state, "3", "logs", "pool.log");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** What is left of this test's clusters: wrangler and its guard carry the state directory, pools log who they are. */
function left(): readonly string[] {
  const rows = execFileSync("ps", ["-A", "-ww", "-o", "pid=,args="], { encoding: "utf8" }).split("\n");
  const pools = new Set([...poolLog().matchAll(/ started .* pid=(\d+)$/gm)].map(([, pid]) => pid));
  return rows.filter((row) => {
    const pid = row.trim().split(" ")[0];
    return row.includes(state) || (row.includes("troika.js pool") && pools.has(pid));
  });
}

async function portsFree(): Promise<boolean> {
  const states = await Promise.all([port, port + 10, port + 11, port + 12].map(portState));
  return states.every((found) => found === "free");
}

async function nothingLeft(): Promise<void> {
  const asked = Date.now();
  while (left().length > 0 || !(await portsFree())) {
    if (Date.now() - asked > 15_000) throw new Error(`still there:\n${left().join("\n")}`);
    await sleep(50);
  }
}

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "troika-launcher-"));
  do {
    // Below what the system gives to connections (Linux: from 32768), so that nobody takes them meanwhile.
    port = 20_000 + Math.floor(Math.random() * 12_000);
  } while (!(await portsFree()));
});
afterAll(async () => {
  for (const child of processes) if (child.exitCode === null) child.kill("SIGTERM");
  await nothingLeft();
  rmSync(state, { recursive: true, force: true });
});

test("the demo proves the sample task, says so step by step, exits 0 and leaves nothing behind", async () => {
  const { code, output } = await run(
    "demo",
    "--state",
    state,
    "--port",
    String(port),
    "--replicas",
    "1",
    "--threads",
    "1",
  );
  expect(output).toMatch(
    /starting .*ready .*accepted .*assigned .*proved .*verified .*committed .*on 1 of 1 replicas.*pi_a.*ended /s,
  );
  expect(code).toBe(0);
  expect(left()).toEqual([]);
  expect(await portsFree()).toBe(true);
});

test("a wrong flag is a sentence, the usage and exit code 2", async () => {
  const { code, output } = await run("demo", "--replicas", "two");
  expect(code).toBe(2);
  expect(output).toMatch(/^troika: --replicas is "two", but it must be 1, 3, 5 or 7\.\n\nusage:/);
});

test("a port in use is a sentence and exit code 1", async () => {
  const squatter = createServer().listen(port + 11, "127.0.0.1");
  await once(squatter, "listening");
  const { exit, output } = start();
  expect(await exit).toBe(1);
  expect(output()).toMatch(
    `troika: Port ${port + 11}, which coordinator-2 needs, is in use by another program`,
  );
  squatter.close();
  await once(squatter, "close");
});

test("commands without a running cluster say so", async () => {
  expect(await run("status", "--state", state)).toMatchObject({
    code: 1,
    output: expect.stringContaining("No local cluster is running: begin one with `npm start`."),
  });
});

test.runIf(process.platform === "linux").each(["SIGTERM", "SIGKILL"] as const)(
  "npm start leaves nothing behind when npm alone is ended with %s",
  async (signal) => {
    const flags = ["--state", state, "--port", String(port), "--replicas", "1", "--no-pool"];
    const npm = spawn("npm", ["start", "--", ...flags], { cwd: join(TROIKA, "../.."), stdio: "ignore" });
    processes.push(npm);
    const asked = Date.now();
    while ((await portState(port)) === "free" && Date.now() - asked < UP_MS) await sleep(50);
    npm.kill(signal);
    await once(npm, "exit");
    await nothingLeft();
  },
);

test("a cluster stays up, takes commands, survives kill -9 with its state, and ends at SIGTERM", async () => {
  const first = start();
  await until("ready for commands", () => first.output().includes("Try next"), first);
  expect(first.output()).toContain("on 3 of 3 replicas");

  const second = start();
  expect(await second.exit).toBe(1);
  expect(second.output()).toContain(
    `A cluster is already running on ${state}/3 (process ${first.process.pid}`,
  );

  const table = await run("status", "--state", state);
  expect(table.output).toMatch(/coordinator-1 .*\n.*coordinator-2 .*\n.*coordinator-3 /);
  expect(table.output.match(/ leader /g)).toHaveLength(1);
  expect(table.output).toMatch(/pool-\S+ +active +0\/2 +merkle/);

  expect(await run("stop", "coordinator-2", "--state", state)).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^coordinator-2 refuses everything .*; coordinator-[13] leads\.\n$/),
  });
  expect((await run("status", "--state", state)).output).toMatch(/coordinator-2 +stopped/);
  const stopped = await fetch(`http://127.0.0.1:${port + 11}/health`);
  expect(stopped.status).toBe(503);
  expect(await stopped.json()).toMatchObject({ code: "replica-stopped" });

  const logs = await run("logs", "coordinator-2", "--state", state, "--lines", "1000");
  expect(logs.code).toBe(0);
  expect(logs.output).toContain("replica=coordinator-2 ");
  expect(logs.output).not.toContain("replica=coordinator-1 ");

  first.process.kill("SIGKILL");
  await nothingLeft();

  const again = start();
  await until("ready for commands", () => again.output().includes("Try next"), again);
  expect(again.output()).toContain("this task is already proved");
  // A stopped replica stays stopped until somebody starts it.
  expect(again.output()).toContain("on 2 of 3 replicas");
  expect((await run("start", "coordinator-2", "--state", state)).code).toBe(0);
  expect((await run("restart", "coordinator-2", "--state", state)).code).toBe(0);
  expect((await fetch(`http://127.0.0.1:${port + 11}/health`)).status).toBe(200);

  again.process.kill("SIGTERM");
  expect(await again.exit).toBe(0);
  expect(left()).toEqual([]);
  expect(poolLog().trimEnd()).toMatch(/ ended$/);
}, 180_000);
