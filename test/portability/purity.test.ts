/**
 * The protocol and the state machine are pure: they know nothing of each other, of Cloudflare or of any
 * runtime, and neither clock nor chance nor timer reaches them except as an argument. This reads their
 * source; that the same run gives the same transcript everywhere is shown in `runtimes.test.ts`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { describe, expect, test } from "vitest";

const SOURCE = new URL("../../src/", import.meta.url);

/** What may differ between two runs, or between two runtimes. */
const IMPURE = [
  /\bDate\.now\b/,
  /\bDate\(\s*\)/,
  /\bMath\.random\b/,
  /\b(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\b(?:performance|crypto|process|globalThis|navigator|scheduler)\./,
  /\b(?:fetch|structuredClone)\(/,
  /\b(?:await|async)\b/,
  /\bPromise\b/,
  /\b(?:Intl\b|toLocale)/,
];

function impurities(source: string): readonly string[] {
  const { code } = transformSync(source, { loader: "ts", legalComments: "none" });
  return IMPURE.flatMap((pattern) => pattern.exec(code)?.[0] ?? []);
}

/** Everything that is not a file of the same folder, types included. */
function foreignImports(source: string): readonly string[] {
  const named = source.matchAll(/\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g);
  return Array.from(named, ([, name = ""]) => name).filter((name) => !/^\.\/[^/]+\.ts$/.test(name));
}

test("what this looks for is found", () => {
  expect(impurities("const a: number = Date.now() + new Date().getTime() + Math.random();")).toHaveLength(3);
  expect(impurities("globalThis.setTimeout(() => {}, 1); // performance.now")).toHaveLength(2);
  expect(impurities("/** Date.now is for others. */ const at = new Date(now).toISOString();")).toEqual([]);
  const imports = `import type { A } from "./a.ts"; export * from "../b.ts"; import "c"; await import("node:d");`;
  expect(foreignImports(imports)).toEqual(["../b.ts", "c", "node:d"]);
});

describe.each(["raft", "coordinator"])("src/%s", (folder) => {
  const files = readdirSync(new URL(`${folder}/`, SOURCE), { recursive: true, encoding: "utf8" });
  const sources = files.map((file) => readFileSync(new URL(`${folder}/${file}`, SOURCE), "utf8"));

  test("has no folders, and more than one file", () => {
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) expect(file).toMatch(/^[a-z-]+\.ts$/);
  });

  test("imports nothing from outside its folder", () => {
    for (const [place, source] of sources.entries()) {
      expect(foreignImports(source), `${folder}/${files[place]}`).toEqual([]);
    }
  });

  test("reads no clock, rolls no dice, starts no timer and waits for nothing", () => {
    for (const [place, source] of sources.entries()) {
      expect(impurities(source), `${folder}/${files[place]}`).toEqual([]);
    }
  });
});
