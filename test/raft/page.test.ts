/**
 * That docs/raft.md keeps its word: every trap it knows is answered by tests that exist under the titles
 * given there, every scenario is listed, and whatever it refers to is there. That the tests would notice is what mutations show.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const PAGE = new URL("../../docs/raft.md", import.meta.url);
const TESTS = new URL("../", import.meta.url);
const TRAPS = 49;

const page = readFileSync(PAGE, "utf8");

/** `| 7 | what goes wrong | file: \`title\`<br>file: \`title\` |` */
const rows = Array.from(
  page.matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm),
  ([, number, trap, answer = ""]) => ({
    number: Number(number),
    trap,
    tests: Array.from(answer.matchAll(/([a-z/-]+): `([^`]+)`/g), ([, file = "", title = ""]) => ({
      file,
      title,
    })),
  }),
).filter(({ tests }) => tests.length > 0);

/** By name of the test file, `elections` for `raft/elections.test.ts` and `replica/birth` for another folder's. */
const sources = new Map(
  ["raft", "replica"].flatMap((folder) =>
    readdirSync(new URL(folder, TESTS))
      .map((file) => `${folder}/${file}`)
      .filter((path) => path.endsWith(".test.ts"))
      .map((path) => [path.replace(/^raft\/|\.test\.ts$/g, ""), readFileSync(new URL(path, TESTS), "utf8")]),
  ),
);

/** A title that is filled in for each case is given without the place for it. */
function hasTest({ file, title }: { readonly file: string; readonly title: string }): boolean {
  const source = sources.get(file) ?? "";
  return [title, `${title} (%s)`].some((name) => source.includes(`${JSON.stringify(name)},`));
}

test("docs/raft.md lists every trap once, in order", () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: TRAPS }, (_, place) => place + 1));
  expect(new Set(rows.map(({ trap }) => trap)).size).toBe(TRAPS);
});

describe.each(rows)("trap $number", ({ number, tests }) => {
  test.each(tests)("is answered by $file: $title", (answer) => {
    expect(answer.title).toMatch(new RegExp(`^trap ${String(number).padStart(2, "0")}: `));
    expect(hasTest(answer)).toBe(true);
  });
});

test("a title that no test has is found out", () => {
  expect(hasTest({ file: "elections", title: "trap 04: a vote binds only for its own term" })).toBe(true);
  expect(hasTest({ file: "elections", title: "trap 04: a vote binds only for its" })).toBe(false);
  expect(hasTest({ file: "nowhere", title: "trap 04: a vote binds only for its own term" })).toBe(false);
});

test("whatever docs/raft.md links to is there", () => {
  const links = Array.from(page.matchAll(/\]\(([^)#]+)\)/g), ([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((link) => !existsSync(new URL(link, PAGE)))).toEqual([]);
});

test("docs/raft.md lists every scenario", () => {
  const scenarios = readdirSync(new URL("raft/scenarios/", TESTS)).filter((name) => name.endsWith(".txt"));
  expect(scenarios.length).toBeGreaterThan(5);
  expect(scenarios.filter((name) => !page.includes(`| [${name}](`))).toEqual([]);
});
