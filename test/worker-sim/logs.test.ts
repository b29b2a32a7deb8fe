/** Logs: which file a line goes to, that files stay bounded, and reading their end. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { logLine } from "../../src/api/log.ts";
import { logOf, openLogs } from "../../worker-sim/cluster/logs.ts";
import { tail } from "../../worker-sim/commands/logs.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troika-logs-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function contents(name: string): string {
  return readFileSync(join(directory, `${name}.log`), "utf8");
}

test("a line of the Worker's own log goes to the file of its replica, everything else to wrangler's", () => {
  expect(logOf(logLine({ replica: "coordinator-2", message: "raft: election won", term: 3 }, 0))).toBe(
    "coordinator-2",
  );
  expect(logOf(logLine({ replica: "router", path: "/health?replica=coordinator-1" }, 0))).toBe("router");
  expect(logOf("[wrangler:info] GET /replicas/coordinator-2/health 200 OK (3ms)")).toBe("wrangler");
  expect(logOf("    at Replica.fetch (replica.ts:12:3)")).toBe("wrangler");
});

test("lines are found again whole, wherever the output was cut, without colours", async () => {
  const logs = openLogs(directory);
  const output = new PassThrough();
  logs.attach(output, logOf);
  const bytes = Buffer.from(
    "level=info replica=coordinator-1 größer\n\u001b[33mwarning\u001b[39m\nlevel=info replica=router last",
  );
  for (const byte of bytes) output.write(Buffer.from([byte]));
  output.end();
  await finished(output);
  logs.close();
  expect(contents("coordinator-1")).toBe("level=info replica=coordinator-1 größer\n");
  expect(contents("wrangler")).toBe("warning\n");
  expect(contents("router")).toBe("level=info replica=router last\n");
  expect(logs.recent("wrangler", 5)).toEqual(["warning"]);
});

test("a file that has grown too large moves aside, so that two files bound a log", async () => {
  const limit = 10_000;
  for (let round = 0; round < 20; round++) {
    const logs = openLogs(directory, limit);
    for (let i = 0; i < 50; i++) logs.write("router", `round ${round} ${"x".repeat(100)}`);
    logs.close();
  }
  expect(readdirSync(directory).sort()).toEqual(["router.log", "router.log.1"]);
  for (const file of readdirSync(directory))
    expect(statSync(join(directory, file)).size).toBeLessThan(3 * limit);
  expect(contents("router")).toContain("round 19");
});

test("the tail of a file is its last lines, also when it is larger than one block", () => {
  const path = join(directory, "long.log");
  writeFileSync(path, Array.from({ length: 20_000 }, (_, line) => `line ${line}\n`).join(""));
  expect(tail(path, 2)).toEqual({ text: "line 19998\nline 19999\n", end: statSync(path).size });
  expect(tail(path, 0).text).toBe("");
  expect(tail(path, 15_000).text.split("\n")[0]).toBe("line 5000");
  expect(tail(path, 1_000_000).text).toBe(readFileSync(path, "utf8"));
});
