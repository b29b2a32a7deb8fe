/**
 * `npm run deploy`: `wrangler deploy`, after the variables were read as the Worker will read them. What follows the
 * command is wrangler's.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Configuration, ConfigurationError, parseConfiguration } from "../../src/api/configuration.ts";
import { Problem } from "../cluster/problem.ts";

export interface DeployOptions {
  /** Of the project. */
  readonly root: string;
  /** For wrangler, as they stand. */
  readonly args: readonly string[];
}

/** The variables that a deployment would have; `--var` on the command line is not looked at. */
async function variables(root: string, args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { unstable_readConfig } = await import("wrangler");
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: "string", short: "c" }, env: { type: "string", short: "e" } },
    strict: false,
  });
  const { config, env } = values;
  return unstable_readConfig(
    {
      config: typeof config === "string" ? config : join(root, "wrangler.toml"),
      ...(typeof env === "string" ? { env } : {}),
    },
    { hideWarnings: true },
  ).vars;
}

/** @throws {Problem} for what must not go out. */
export function checked(vars: Readonly<Record<string, unknown>>): Configuration {
  let configuration: Configuration;
  try {
    configuration = parseConfiguration({ ...vars });
  } catch (error) {
    if (error instanceof ConfigurationError) throw new Problem(error.message);
    throw error;
  }
  const { faults, bench, tokens } = configuration;
  if (faults) throw new Problem("FAULTS is on: a deployment must not be one whose replicas can be stopped.");
  if (bench) throw new Problem("BENCH is on: a deployment must not accept proofs of nothing.");
  if (tokens !== undefined)
    throw new Problem(
      "TROIKA_TOKENS is a variable, and it must be a secret: take it out of the configuration.",
    );
  return configuration;
}

/** What wrangler wrote down of its own run. */
function targets(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  const entries = lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const found = entries.find(({ type }) => type === "deploy")?.targets;
  return Array.isArray(found) ? found.map(String) : [];
}

export async function deploy({ root, args }: DeployOptions): Promise<void> {
  const { cluster_id, replicas, location_hints, profile } = checked(await variables(root, args));
  const where =
    location_hints.length === 0
      ? "with no LOCATION_HINTS, so that nothing says they are in different regions"
      : `in ${location_hints.join(", ")}`;
  console.log(`Cluster ${cluster_id}: ${replicas} replicas ${where}; profile ${profile}.`);
  const scratch = mkdtempSync(join(tmpdir(), "troika-deploy-"));
  const output = join(scratch, "output.ndjson");
  try {
    const wrangler = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");
    const child = spawn(process.execPath, ["--no-warnings", wrangler, "deploy", ...args], {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, WRANGLER_OUTPUT_FILE_PATH: output },
    });
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    if (code !== 0)
      throw new Problem(`wrangler ended with ${signal ?? `exit code ${code}`}; what it said stands above.`);
    const urls = targets(output).filter((target) => target.startsWith("https://"));
    for (const url of urls) console.log(`Look at it: TROIKA_TOKEN=… npm run smoke -- ${url}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
