/** What the command line understands, and that everything else is one sentence and exit code 2. */
import { describe, expect, test } from "vitest";
import { readArguments } from "../../worker-sim/arguments.ts";
import { UsageProblem } from "../../worker-sim/cluster/problem.ts";

function sentence(...argv: string[]): string {
  try {
    readArguments(argv);
  } catch (error) {
    if (error instanceof UsageProblem && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

describe("commands", () => {
  test("start alone is three replicas on 8080 with a pool, keeping its state", () => {
    expect(readArguments(["start"])).toMatchObject({
      type: "start",
      demo: false,
      replicas: 3,
      port: 8080,
      https: false,
      fresh: false,
      pool: true,
    });
  });

  test("demo takes the flags of start", () => {
    const argv = [
      "demo",
      "--replicas",
      "1",
      "--fresh",
      "--https",
      "--no-pool",
      "--threads",
      "2",
      "--port=9000",
    ];
    expect(readArguments(argv)).toMatchObject({
      type: "start",
      demo: true,
      replicas: 1,
      port: 9000,
      https: true,
      fresh: true,
      pool: false,
      threads: 2,
    });
  });

  test("start with the name of a replica ends its fault instead of starting a cluster", () => {
    expect(readArguments(["start", "coordinator-2"])).toMatchObject({
      type: "fault",
      action: "start",
      replica: "coordinator-2",
    });
  });

  test("stop, restart and logs name their replica", () => {
    expect(readArguments(["stop", "coordinator-3"])).toMatchObject({
      action: "stop",
      replica: "coordinator-3",
    });
    expect(readArguments(["restart", "coordinator-3"])).toMatchObject({ action: "restart" });
    expect(readArguments(["logs", "coordinator-2", "-f", "--lines", "7"])).toMatchObject({
      type: "logs",
      name: "coordinator-2",
      follow: true,
      lines: 7,
    });
  });
});

describe("what is refused", () => {
  test.each([
    [[], "A command is missing."],
    [["strat"], 'There is no command "strat".'],
    [["start", "--foo"], "Unknown option '--foo'."],
    [["start", "now"], '"now" is one argument too many.'],
    [["start", "--replicas", "2"], '--replicas is "2", but it must be 1, 3, 5 or 7.'],
    [["start", "--port", "80x"], '--port is "80x", but it must be a whole number from 1 to 65500.'],
    [["start", "--port", "70000"], '--port is "70000", but it must be a whole number from 1 to 65500.'],
    [["demo", "--threads", "0"], '--threads is "0", but it must be a whole number from 1 to 256.'],
    [["stop"], "It must be said which replica to stop, for example coordinator-2."],
    [["stop", "two"], '"two" is no replica: they are called coordinator-1, coordinator-2 and so on.'],
    [["logs"], "It must be said whose logs, for example coordinator-2."],
  ])("%j: %s", (argv, expected) => {
    expect(sentence(...argv)).toBe(expected);
  });
});
