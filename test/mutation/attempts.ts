/**
 * One fault against what should notice it, in a process of its own: a core that no longer ends its
 * loops must not take the others with it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Killer, Mutation } from "./mutation.ts";

export type Attempt =
  | { readonly type: "killed"; readonly by: string }
  | { readonly type: "survived" }
  /** It says nothing about the fault: nothing ran, or it did not come to an end. */
  | { readonly type: "failed"; readonly why: string };

export interface Finding {
  readonly seed?: number;
  readonly invariant?: string;
}

interface TestResult {
  readonly title: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly TestResult[];
  }[];
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TIME_LIMIT_MS = 180_000;

/** Runs Node in the project. What it printed; throws if it did not end in time. */
function node(args: readonly string[], mutation?: string): Promise<{ code: number | null; output: string }> {
  const { MUTATION: _, ...environment } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...environment, ...(mutation !== undefined && { MUTATION: mutation }) },
    stdio: ["ignore", "pipe", "pipe"],
    // With its workers it is one group, and ends as one.
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      reject(new Error(`no end within ${TIME_LIMIT_MS / 1_000} s`));
    }, TIME_LIMIT_MS);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(limit);
      resolve({ code, output });
    });
  });
}

/** The tests of `files` whose full name matches `pattern`, if given. */
async function vitest(
  files: readonly string[],
  pattern?: RegExp,
  mutation?: string,
): Promise<Report["testResults"]> {
  const directory = mkdtempSync(join(tmpdir(), "mutation-"));
  const outcome = join(directory, "report.json");
  try {
    const { output } = await node(
      [
        "node_modules/vitest/vitest.mjs",
        "run",
        ...["--config", "test/mutation/vitest.config.ts"],
        ...["--reporter", "json", "--outputFile", outcome],
        ...(pattern === undefined ? [] : ["--testNamePattern", pattern.source]),
        ...files.map((file) => `test/raft/${file}`),
      ],
      mutation,
    );
    try {
      return (JSON.parse(readFileSync(outcome, "utf8")) as Report).testResults;
    } catch {
      throw new Error(`vitest left no report:\n${output}`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Matches the titles under which the tests of a `killer` run. */
export function patternOf(title: string): RegExp {
  const literal = title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`${literal.replace(/%[sid]/g, ".+")}$`);
}

/** Why a killer cannot be trusted, for each that a sound core does not satisfy. */
export async function unsound(killers: readonly Killer[]): Promise<readonly string[]> {
  const tests = killers.filter((killer) => killer.type === "test");
  const results = tests.length === 0 ? [] : await vitest([...new Set(tests.map(({ file }) => file))]);
  const complaints: string[] = [];
  for (const { file, title } of tests) {
    const found = (results.find(({ name }) => name.endsWith(`/${file}`))?.assertionResults ?? []).filter(
      (test) => patternOf(title).test(test.title),
    );
    if (found.length === 0) complaints.push(`${file} has no test "${title}"`);
    else if (found.some(({ status }) => status !== "passed")) complaints.push(`"${title}" fails by itself`);
  }
  const seeds = Math.max(0, ...killers.map((killer) => (killer.type === "simulator" ? killer.seeds : 0)));
  const { seed, invariant } = await sought(seeds);
  if (seed !== undefined) complaints.push(`seed ${seed} by itself breaks "${invariant}"`);
  return complaints;
}

/** The first of the first `seeds` runs of the simulation that breaks an invariant. */
export async function sought(seeds: number, mutation?: Mutation): Promise<Finding> {
  if (seeds === 0) return {};
  const { code, output } = await node([
    "test/mutation/seek.ts",
    ...["--seeds", `${seeds}`],
    ...(mutation === undefined ? [] : ["--mutation", mutation.id]),
  ]);
  if (code !== 0) throw new Error(output);
  return JSON.parse(output) as Finding;
}

/** What the simulation makes of a fault by itself; a run that does not end is found out, too. */
export async function found(seeds: number, mutation: Mutation): Promise<Finding> {
  try {
    return await sought(seeds, mutation);
  } catch (error) {
    return { invariant: error instanceof Error ? error.message : String(error) };
  }
}

export async function attempt(mutation: Mutation): Promise<Attempt> {
  const { id, killer } = mutation;
  try {
    if (killer.type === "simulator") {
      const { seed, invariant } = await sought(killer.seeds, mutation);
      return seed === undefined ? { type: "survived" } : { type: "killed", by: `seed ${seed}: ${invariant}` };
    }
    const [suite] = await vitest([killer.file], patternOf(killer.title), id);
    const ran = (suite?.assertionResults ?? []).filter(({ status }) => status !== "skipped");
    if (ran.length === 0) return { type: "failed", why: suite?.message || "no test ran" };
    const noticed = ran.find(({ status }) => status === "failed");
    if (noticed === undefined) return { type: "survived" };
    return { type: "killed", by: noticed.failureMessages[0]?.split("\n")[0] ?? noticed.title };
  } catch (error) {
    return { type: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}
