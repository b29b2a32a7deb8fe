/** What can be shown of a deployment without an account: the bundle, what is refused before anything is sent, and tokens. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfiguration } from "../../src/api/configuration.ts";
import { checked } from "../../worker-sim/commands/deploy.ts";

const TROIKA = fileURLToPath(new URL("../../worker-sim/troika.js", import.meta.url));
const WRANGLER = fileURLToPath(new URL("../../wrangler.toml", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "troika-deploy-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function troika(...args: readonly string[]) {
  const environment = { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", TROIKA, ...args], {
    encoding: "utf8",
    env: environment,
  });
  return { status, stdout, stderr };
}

describe("npm run deploy", () => {
  test("-- --dry-run says what would be deployed, and that the bundle can be", () => {
    const { status, stdout, stderr } = troika("deploy", "--dry-run", "--outdir", join(scratch, "bundle"));
    expect([status, stderr]).toEqual([0, expect.not.stringContaining("troika:")]);
    expect(stdout).toMatch(/^Cluster troika: 3 replicas with no LOCATION_HINTS/);
    expect(stdout).toMatch(/env\.REPLICA \(Replica\) +Durable Object/);
    expect(stdout).toContain("--dry-run: exiting now.");
  });

  test("refuses what the configuration says and should not, before anything is sent", () => {
    const config = join(scratch, "wrangler.toml");
    writeFileSync(config, readFileSync(WRANGLER, "utf8").replace("[vars]\n", '[vars]\nFAULTS = "on"\n'));
    const { status, stdout, stderr } = troika("deploy", "--config", config);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^troika: FAULTS is on/m);
  });

  const tokens = JSON.stringify([{ name: "a", role: "operator", sha256: "0".repeat(64) }]);
  test.each([
    [{ FAULTS: "on" }, "FAULTS is on: a deployment must not be one whose replicas can be stopped."],
    [{ BENCH: "on" }, "BENCH is on: a deployment must not accept proofs of nothing."],
    [{ REPLICAS: "4" }, 'REPLICAS is "4", but it must be 1, 3, 5 or 7.'],
    [{ LOCATION_HINTS: "weur,eeur" }, /one for each replica \(REPLICAS is 3\)/],
    [{ TROIKA_TOKENS: tokens }, /^TROIKA_TOKENS is a variable, and it must be a secret/],
  ])("has a sentence against %j", (variables, sentence) => {
    expect(() => checked(variables)).toThrow(sentence);
  });
});

describe("npm run troika -- token", () => {
  const file = join(scratch, "tokens.json");

  test("shows a token once and keeps its hash, in the form that wrangler and the coordinator read", () => {
    const made = troika("token", "ci", "submitter", "--file", file);
    expect([made.status, made.stdout]).toEqual([0, expect.stringMatching(/^[\w-]{43}\n$/)]);
    const ops = JSON.parse(troika("token", "ops", "operator", "--file", file, "--json").stdout) as {
      readonly token: string;
    };
    const text = readFileSync(file, "utf8");
    expect([text.includes(made.stdout.trim()), text.includes(ops.token)]).toEqual([false, false]);
    expect(statSync(file).mode & 0o077).toBe(0);
    const sha256 = (token: string) => createHash("sha256").update(token).digest("hex");
    const { tokens } = parseConfiguration(JSON.parse(text) as Record<string, unknown>);
    expect(tokens).toEqual([
      { name: "ci", role: "submitter", sha256: sha256(made.stdout.trim()) },
      { name: "ops", role: "operator", sha256: sha256(ops.token) },
    ]);
  });

  test("takes no name twice, no other role, and no file that it does not understand", () => {
    expect(troika("token", "ci", "prover", "--file", file).stderr).toContain("has a token ci already");
    const role = troika("token", "x", "admin", "--file", file);
    expect([role.status, role.stderr]).toEqual([2, expect.stringContaining('The role is "admin"')]);
    writeFileSync(join(scratch, "other.json"), '{"TROIKA_TOKENS":"nonsense"}');
    const other = troika("token", "x", "prover", "--file", join(scratch, "other.json"));
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringContaining("TROIKA_TOKENS is not readable"),
    ]);
  });
});
