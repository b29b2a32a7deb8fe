/** What a pool is told through its environment. */
import { randomBytes } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import { identifier } from "../../src/api/fields.ts";
import { UsageProblem } from "../cluster/problem.ts";
import { servedCircuits } from "../prover/index.ts";

export interface PoolConfiguration {
  /** The router's or any replica's, tried in turn. */
  readonly urls: readonly string[];
  readonly token?: string;
  readonly worker_id: string;
  /** Proofs at the same time. */
  readonly threads: number;
  /** Leases held beyond what the threads prove; 1 where absent. */
  readonly prefetch?: number;
  /** Names of the circuits to serve; every one that the prover knows where absent. */
  readonly circuits?: readonly string[];
  /** How long the proofs under way may take when the pool is told to end; one lease period where absent. */
  readonly drain_ms?: number;
  /** Where `/metrics` is served; 0 is any free port, and nowhere where absent. */
  readonly metrics_port?: number;
}

const DEFAULT_URL = "http://localhost:8080";
const THREADS_MAX = 256;
const DRAIN_MS_MAX = 3_600_000;
const PORT_MAX = 65_535;

function wholeNumber(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
  throw new UsageProblem(`${name} is "${text}", but it must be a whole number from ${min} to ${max}.`);
}

function addresses(name: string, text: string): readonly string[] {
  const urls = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  for (const url of urls) {
    const protocol = URL.parse(url)?.protocol;
    if (protocol !== "http:" && protocol !== "https:") {
      throw new UsageProblem(`${name} is "${text}", but "${url}" in it is not an http or https address.`);
    }
  }
  if (urls.length === 0)
    throw new UsageProblem(`${name} is "${text}", but it must be an address or a comma list of them.`);
  return urls;
}

/** The host says whose it is, the random part keeps two pools of one host apart. */
function madeUpId(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, "-")
    .slice(0, 40);
  return `pool-${host}-${randomBytes(3).toString("hex")}`;
}

function circuitNames(text: string | undefined): readonly string[] | undefined {
  if (!text) return undefined;
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  const unknown = names.find((name) => !servedCircuits.includes(name));
  if (unknown === undefined) return names;
  throw new UsageProblem(
    `CIRCUITS is "${text}", but "${unknown}" in it is none of ${servedCircuits.join(", ")}.`,
  );
}

/** @throws {UsageProblem} one sentence that names variable, value and what is allowed. */
export function readPoolConfiguration(env: NodeJS.ProcessEnv): PoolConfiguration {
  const variable = env.TROIKA_URL ? "TROIKA_URL" : "MASTER_URL";
  const urls = addresses(variable, env.TROIKA_URL || env.MASTER_URL || DEFAULT_URL);
  const worker_id = env.WORKER_ID || madeUpId();
  const checked = identifier.safeParse(worker_id);
  if (!checked.success) {
    throw new UsageProblem(`WORKER_ID is "${worker_id}", but it ${checked.error.issues[0]?.message}.`);
  }
  const prefetch = wholeNumber("PREFETCH", env.PREFETCH, 0, THREADS_MAX);
  const drain_ms = wholeNumber("DRAIN_MS", env.DRAIN_MS, 0, DRAIN_MS_MAX);
  const circuits = circuitNames(env.CIRCUITS);
  const metrics_port = wholeNumber("METRICS_PORT", env.METRICS_PORT, 0, PORT_MAX);
  return {
    urls,
    worker_id,
    threads: wholeNumber("CONCURRENCY", env.CONCURRENCY, 1, THREADS_MAX) ?? availableParallelism(),
    ...(env.TROIKA_TOKEN ? { token: env.TROIKA_TOKEN } : {}),
    ...(prefetch === undefined ? {} : { prefetch }),
    ...(drain_ms === undefined ? {} : { drain_ms }),
    ...(circuits === undefined ? {} : { circuits }),
    ...(metrics_port === undefined ? {} : { metrics_port }),
  };
}
