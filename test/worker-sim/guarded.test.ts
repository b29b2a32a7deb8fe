/**
 * Programs under guard, with real processes: whoever is killed, and however, nothing stays behind. A program and the
 * child that it starts carry a mark in their arguments, by which the test finds what is left of them.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { getPriority } from "node:os";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Program, startGuarded } from "../../worker-sim/cluster/guarded.ts";

const GUARDED = new URL("../../worker-sim/cluster/guarded.ts", import.meta.url).href;

let mark: string;

beforeEach(() => {
  mark = `troika-test-${randomUUID()}`;
});
afterEach(() => {
  for (const { pid } of marked()) process.kill(pid, "SIGKILL");
});

/** A program that starts a child, says so, and lives until it is ended. */
function program(
  more: { readonly stubborn?: boolean; readonly nice?: number; readonly grace_ms?: number } = {},
): Program {
  const child = `setInterval(() => {}, 1000); process.argv.push("child")`;
  const parent = `
    ${more.stubborn ? 'for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => {});' : ""}
    require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}, process.argv[1]], { stdio: "ignore" })
      .on("spawn", () => console.log("up " + process.pid));
    setInterval(() => {}, 1000);`;
  return {
    command: process.execPath,
    args: ["-e", parent, mark],
    cwd: process.cwd(),
    env: process.env,
    grace_ms: more.grace_ms ?? 3_000,
    ...(more.nice === undefined ? {} : { nice: more.nice }),
  };
}

function marked(): readonly { readonly pid: number; readonly guard: boolean }[] {
  const rows = execFileSync("ps", ["-A", "-ww", "-o", "pid=,args="], { encoding: "utf8" }).split("\n");
  return rows
    .filter((row) => row.includes(mark))
    .map((row) => ({ pid: Number(row.trim().split(" ")[0]), guard: row.includes("guard.ts") }));
}

async function nothingLeft(): Promise<void> {
  const asked = Date.now();
  while (marked().length > 0) {
    if (Date.now() - asked > 10_000) throw new Error(`still there: ${JSON.stringify(marked())}`);
    await sleep(50);
  }
}

/** The process id that the program printed. */
async function up(output: Readable): Promise<number> {
  for await (const line of createInterface({ input: output })) {
    const [word, pid] = line.split(" ");
    if (word === "up") return Number(pid);
  }
  throw new Error("the program did not come up");
}

test("ending a program ends its children too", async () => {
  const guarded = startGuarded(program());
  await up(guarded.stdout);
  expect(marked().filter(({ guard }) => !guard)).toHaveLength(2);
  await guarded.end();
  expect(marked()).toEqual([]);
});

test("a program that does not listen is killed after its grace", async () => {
  const guarded = startGuarded(program({ stubborn: true, grace_ms: 200 }));
  await up(guarded.stdout);
  await guarded.end();
  expect(await guarded.ended).toEqual({ code: null, signal: "SIGKILL" });
  expect(marked()).toEqual([]);
});

test("a program that is killed leaves no children behind", async () => {
  const guarded = startGuarded(program());
  process.kill(await up(guarded.stdout), "SIGKILL");
  expect(await guarded.ended).toEqual({ code: null, signal: "SIGKILL" });
  expect(marked()).toEqual([]);
});

test("a guard that is killed is replaced by the launcher, which ends what it guarded", async () => {
  const guarded = startGuarded(program());
  await up(guarded.stdout);
  const guard = marked().find((found) => found.guard);
  process.kill(guard?.pid ?? 0, "SIGKILL");
  await guarded.ended;
  expect(marked()).toEqual([]);
});

test("a program that cannot be started is an answer, not a crash", async () => {
  const guarded = startGuarded({ ...program(), command: "/nowhere/at/all" });
  expect(await guarded.ended).toMatchObject({ code: 1, reason: expect.stringContaining("ENOENT") });
});

test("a program and its children run at the niceness they were given", async () => {
  const guarded = startGuarded(program({ nice: 7 }));
  await up(guarded.stdout);
  for (const { pid } of marked()) expect(getPriority(pid)).toBe(7);
  await guarded.end();
});

function launch(): ReturnType<typeof spawn> {
  const script = `import(${JSON.stringify(GUARDED)}).then(({ startGuarded }) => {
    startGuarded(${JSON.stringify(program())}).stdout.pipe(process.stdout);
  });`;
  return spawn(process.execPath, ["--no-warnings", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
}

test("a launcher that is killed leaves nothing behind", async () => {
  const launcher = launch();
  await up(launcher.stdout as Readable);
  launcher.kill("SIGKILL");
  await nothingLeft();
});

test("a launcher that is killed while it starts leaves nothing behind", async () => {
  for (const after_ms of [40, 80, 120, 160, 200]) {
    const launcher = launch();
    await sleep(after_ms);
    launcher.kill("SIGKILL");
    await once(launcher, "exit");
    await nothingLeft();
  }
});
