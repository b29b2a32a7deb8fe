/** The state directory of a local cluster: whose it is, who uses it, and what is refused. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Layout, layoutOf } from "../../worker-sim/cluster/layout.ts";
import { runningCluster, takeLock } from "../../worker-sim/cluster/lock.ts";
import { emptyState, openState, requireDirectory } from "../../worker-sim/cluster/state.ts";

let root: string;
let layout: Layout;

function layoutFor(replicas: 1 | 3): Layout {
  return layoutOf({ stateRoot: root, replicas, port: 8080, https: false });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "troika-state-"));
  layout = layoutFor(3);
  mkdirSync(layout.directory, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function describeCluster(description: unknown): void {
  const text = typeof description === "string" ? description : JSON.stringify(description);
  writeFileSync(join(layout.directory, "cluster.json"), text);
}

const VALID = { v: 1, cluster_id: "troika", replicas: 3, founded_at: "2026-11-01T00:00:00.000Z" };

describe("whose state it is", () => {
  test("an empty directory is founded, and found again", () => {
    const first = openState(layout);
    expect(first.founded).toBe(true);
    expect(openState(layout)).toEqual({ founded: false, foundedAt: first.foundedAt });
  });

  test("every number of replicas has a directory and a cluster id of its own", () => {
    const single = layoutFor(1);
    expect([layout.clusterId, single.clusterId]).toEqual(["troika", "troika-1"]);
    expect(single.directory).not.toBe(layout.directory);
  });

  test.each([
    ["text that is no JSON", "{", "cannot be read as the description of a cluster"],
    ["a description without its fields", { v: 1 }, "cannot be read as the description of a cluster"],
    ["another version", { ...VALID, v: 2 }, "has version 2, and this Troika reads version 1"],
    [
      "another number of replicas",
      { ...VALID, replicas: 5 },
      "cluster troika with 5 replicas, not of troika with 3",
    ],
    [
      "another cluster",
      { ...VALID, cluster_id: "other" },
      "cluster other with 3 replicas, not of troika with 3",
    ],
  ])("%s is refused in a sentence that says the way out", (_, description, expected) => {
    describeCluster(description);
    expect(() => openState(layout)).toThrow(expected);
    expect(() => openState(layout)).toThrow("--fresh");
  });

  test("storage without its description is refused, not founded over", () => {
    mkdirSync(layout.persistDirectory, { recursive: true });
    expect(() => openState(layout)).toThrow("has lost its cluster.json");
  });

  test("a file in the way of the directory is a sentence", () => {
    rmSync(layout.directory, { recursive: true });
    writeFileSync(layout.directory, "");
    expect(() => requireDirectory(layout)).toThrow("a file is in its way");
  });

  test("emptying removes state and logs, so that the next start founds", () => {
    openState(layout);
    mkdirSync(layout.persistDirectory);
    mkdirSync(layout.logDirectory);
    emptyState(layout);
    expect(existsSync(layout.persistDirectory)).toBe(false);
    expect(openState(layout).founded).toBe(true);
  });
});

describe("one launcher for one directory", () => {
  const running = { router_url: "http://localhost:8080", members: [], log_directory: "/logs" };

  test("a second launcher is told who holds the directory", () => {
    const lock = takeLock(layout.directory, running);
    expect(() => takeLock(layout.directory, running)).toThrow(
      `process ${process.pid}, http://localhost:8080`,
    );
    expect(runningCluster(layout.directory)).toMatchObject(running);
    lock.release();
    expect(runningCluster(layout.directory)).toBeUndefined();
    expect(takeLock(layout.directory, running).takenOver).toBe(false);
  });

  test("the lock of a launcher that was killed is taken over", async () => {
    const dead = spawn(process.execPath, ["-e", "0"]);
    await once(dead, "exit");
    const file = join(layout.directory, "lock.json");
    writeFileSync(file, JSON.stringify({ v: 1, pid: dead.pid, ...running }));
    expect(runningCluster(layout.directory)).toBeUndefined();
    expect(takeLock(layout.directory, running).takenOver).toBe(true);
    expect(JSON.parse(readFileSync(file, "utf8")).pid).toBe(process.pid);
  });

  test.runIf(process.platform === "linux")(
    "a lock whose process id another process has by now is taken over",
    () => {
      writeFileSync(
        join(layout.directory, "lock.json"),
        JSON.stringify({ v: 1, pid: process.pid, started: "1", ...running }),
      );
      expect(takeLock(layout.directory, running).takenOver).toBe(true);
    },
  );

  test("half a lock, left by a full disk, is taken over", () => {
    writeFileSync(join(layout.directory, "lock.json"), '{"v":1,"pi');
    expect(takeLock(layout.directory, running).takenOver).toBe(true);
  });

  test("releasing leaves the lock of a successor alone", () => {
    const lock = takeLock(layout.directory, running);
    const file = join(layout.directory, "lock.json");
    writeFileSync(file, JSON.stringify({ v: 1, pid: 1, ...running }));
    lock.release();
    expect(existsSync(file)).toBe(true);
  });
});
