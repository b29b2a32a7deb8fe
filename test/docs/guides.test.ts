/**
 * Whoever types what the guides say gets what they show: their transcripts are run in a shell against real clusters, with
 * tokens, with provers where they ask for one, and with storages deleted where they speak of that. What needs an account
 * is not run; that it is not is checked.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfiguration } from "../../src/api/configuration.ts";
import { allHealthy, type Cluster, eventually, ready, startCluster } from "../cluster/harness.ts";
import { loseStorage } from "../cluster/storage.ts";
import { follow, openShell, parseGuide, patternOf } from "./guide.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const GUIDES = ["deploy", "operations", "troubleshooting", "disaster"] as const;
const TOKEN = "of-the-operator-who-reads-guides";
const POOL = "guide-pool";

const sources = Object.fromEntries(
  await Promise.all(
    GUIDES.map(async (name) => [name, await readFile(join(ROOT, "docs", `${name}.md`), "utf8")] as const),
  ),
);
const textOf = (name: string): string => sources[name] ?? "";

/** `npm run -s` as the checkout's package.json has it, without the second of CPU that npm itself takes. */
function npmInCheckout(manifest: string): string {
  const { scripts } = JSON.parse(manifest) as { readonly scripts: Readonly<Record<string, string>> };
  const known = Object.entries(scripts).map(([name, script]) => `${name}) ${script} "$@" ;;`);
  return `npm() (
  [ "$1 $2" = "run -s" ] || { echo "npm $*: not in a guide"; exit 2; }
  name=$3; shift 3; [ "$1" != -- ] || shift
  cd ${ROOT} && PATH=${ROOT}/node_modules/.bin:$PATH || exit 2
  case $name in
    ${known.join("\n    ")}
    *) echo "Missing script: $name"; exit 1 ;;
  esac
)`;
}

/** The outside world of one guide. */
class World {
  readonly clusters: Cluster[] = [];
  #pool: ChildProcess | undefined;

  async cluster(): Promise<Cluster> {
    const sha256 = createHash("sha256").update(TOKEN).digest("hex");
    const tokens = JSON.stringify([{ name: "ops", role: "operator", sha256 }]);
    const cluster = await startCluster({ variables: { TROIKA_TOKENS: tokens } });
    this.clusters.push(cluster);
    await ready(cluster);
    await allHealthy(cluster);
    return cluster;
  }

  async startPool(url: string): Promise<void> {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const worker = `${url}/api/v1/workers/${POOL}`;
    this.#pool = spawn(process.execPath, ["--no-warnings", join(ROOT, "worker-sim", "troika.js"), "pool"], {
      env: { ...process.env, TROIKA_URL: url, TROIKA_TOKEN: TOKEN, WORKER_ID: POOL, CONCURRENCY: "1" },
      stdio: "ignore",
    });
    await eventually("the pool works", async () => (await fetch(worker, { headers })).status === 200, 30_000);
  }

  async stopPool(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined || pool.exitCode !== null) return;
    pool.kill("SIGTERM");
    await once(pool, "exit");
  }

  async end(): Promise<void> {
    await this.stopPool();
    await Promise.all(this.clusters.map((cluster) => cluster.stop()));
  }
}

describe("every line of a guide", () => {
  const worlds: World[] = [];
  afterAll(async () => {
    for (const world of worlds) await world.end();
  });

  test.each(GUIDES)("docs/%s.md does what it says", { timeout: 240_000 }, async (name) => {
    const world = new World();
    worlds.push(world);
    const cluster = await world.cluster();
    const scratch = await mkdtemp(join(tmpdir(), "troika-guide-"));
    const shell = openShell(scratch, { TROIKA_TOKEN: TOKEN, TROIKA_URL: cluster.url });
    try {
      // The reader stands in the checkout; files that he makes go elsewhere.
      await shell.run(npmInCheckout(await readFile(join(ROOT, "package.json"), "utf8")));
      const { steps } = parseGuide(textOf(name));
      for (const step of steps) {
        if (step.type === "command") {
          const wrong = await follow(shell, step);
          if (wrong !== undefined) throw new Error(`docs/${name}.md, line ${step.line}: ${wrong}`);
          continue;
        }
        const [what, ...names] = step.words;
        if (what === "pool") await world.startPool(cluster.url);
        else if (what === "no") await world.stopPool();
        else if (what === "another") {
          const other = await world.cluster();
          await shell.run(`export NEW_URL=${other.url}`);
        } else if (what === "lose") {
          await cluster.restart(() => loseStorage(cluster, names));
          await shell.run(`export TROIKA_URL=${cluster.url}`);
        } else
          throw new Error(`docs/${name}.md, line ${step.line}: nobody knows how to ${step.words.join(" ")}`);
      }
      expect(steps.length).toBeGreaterThan(3);
    } finally {
      await shell.end();
      await rm(scratch, { recursive: true, force: true });
      await world.end();
    }
  });
});

test("what is not run needs an account, stays up, or only sets the scene", () => {
  const needs =
    /^(export |git clone |npm install$|npx wrangler |npm run deploy |npm run troika -- token |TROIKA_TOKEN=)/;
  for (const name of GUIDES) {
    for (const { line, command } of parseGuide(textOf(name)).unrun)
      expect(`${name}.md:${line} ${command}`).toMatch(new RegExp(`^\\S+ ${needs.source.slice(1)}`));
  }
});

test("every alert leads to a chapter that exists, and so does every link between the guides", async () => {
  const slug = (heading: string) => heading.toLowerCase().replaceAll(" ", "-");
  const chapters = new Map(GUIDES.map((name) => [`${name}.md`, parseGuide(textOf(name)).headings]));
  const alerts = await readFile(join(ROOT, "docs", "alerts.yml"), "utf8");
  const runbooks = Array.from(alerts.matchAll(/runbook: "docs\/(\S+), (.+)"/g));
  expect(runbooks.length).toBeGreaterThanOrEqual(10);
  for (const [, file = "", chapter] of runbooks)
    expect([file, chapters.get(file)]).toEqual([file, expect.arrayContaining([chapter])]);
  for (const name of GUIDES) {
    for (const [, file = "", anchor = ""] of textOf(name).matchAll(/\]\((\w+\.md)#([\w-]+)\)/g))
      expect([name, file, chapters.get(file)?.map(slug)]).toEqual([
        name,
        file,
        expect.arrayContaining([anchor]),
      ]);
  }
});

test("the table of profiles is what the profiles are", () => {
  const rows = textOf("operations").matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm);
  const profiles = ["latency", "balanced", "throughput", "geo"] as const;
  let compared = 0;
  for (const [, variable = "", cells = ""] of rows) {
    const key = variable.toLowerCase();
    const real = profiles.map((PROFILE) => {
      const value: unknown = Reflect.get(parseConfiguration({ PROFILE }), key);
      return Array.isArray(value) ? value.join("-") : String(value);
    });
    expect([variable, cells.split(" | ")]).toEqual([variable, real]);
    compared++;
  }
  expect(compared).toBe(9);
});

test("a transcript is compared word by word, and … stands for what differs", () => {
  expect(patternOf('{"a":…,"b":2}').test('{"a":17,"b":2}\n')).toBe(true);
  expect(patternOf('{"a":…,"b":2}').test('{"a":17,"b":3}\n')).toBe(false);
  expect(patternOf("one\n…\nfour").test("one\ntwo\nthree\nfour\n")).toBe(true);
  expect(patternOf("one\n…\nfour").test("one\ntwo\nthree\n")).toBe(false);
  expect(patternOf("").test("\n")).toBe(true);
  expect(patternOf("").test("something\n")).toBe(false);
  expect(() => parseGuide("```console\noutput\n```")).toThrow("line 2 is output of no command");
});
