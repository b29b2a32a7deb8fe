/**
 * `npm run smoke -- https://…`: whether a deployment does its work, seen from outside and step by step. Leaves one
 * operation, for a minute, and one task with its proof.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { VERSION } from "../../src/api/version.ts";
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import { circuits } from "../../src/proofs/index.ts";
import { Problem } from "../cluster/problem.ts";
import { createTerminal } from "../cluster/terminal.ts";
import { printJson } from "./output.ts";

export interface SmokeOptions {
  readonly url: string;
  /** Without, only consensus is looked at: no prover is needed. */
  readonly proof: boolean;
  /** For each step that has to wait: the founding, and the proof. */
  readonly timeout_ms: number;
  readonly json: boolean;
}

const POLL_MS = 250;
const OPERATION_TTL_MS = 60_000;
const CIRCUIT = "merkle";

interface Deployment {
  readonly url: string;
  readonly token: string | undefined;
  readonly client: Client;
  readonly options: SmokeOptions;
  /** The members, once they are known. */
  members: readonly string[];
  operation: { readonly id: string; readonly log_index: number } | undefined;
}

/** What was found, in words; whatever is wrong is thrown. */
type Check = (deployment: Deployment) => Promise<string>;

function reachable(url: string, token: string | undefined): Client {
  return createClient({ url, ...(token === undefined ? {} : { token }) });
}

/** Until it gives something, or the time is over: then what was wrong last. */
async function until<Found>(timeout_ms: number, look: () => Promise<Found | string>): Promise<Found> {
  for (const deadline = Date.now() + timeout_ms; ; ) {
    const found = await look();
    if (typeof found !== "string") return found;
    if (Date.now() > deadline) throw new Problem(found);
    await sleep(POLL_MS);
  }
}

const alive: Check = async ({ client }) => {
  const { service, version } = await client.service();
  const other = version === VERSION ? "" : `; this checkout is ${VERSION}`;
  return `${service} ${version}${other}`;
};

const closed: Check = async ({ url }) => {
  try {
    await createClient({ url, retry_for_ms: 0 }).status();
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    if (error.code === "unauthorized") return "without a token it is 401";
    throw error;
  }
  if (isLocal(url)) return "open to anybody on this machine: no tokens are set";
  throw new Problem("Anybody may ask: an answer came without a token.");
};

const ready: Check = async ({ client, options }) => {
  await until(options.timeout_ms, async () => {
    if (await client.ready()) return true;
    const { status, reason } = await client.health();
    return `It is not ready, ${status}: ${String(reason ?? "no leader reaches a majority")}.`;
  });
  return "a write could commit";
};

const replicas: Check = async (deployment) => {
  const { client, options } = deployment;
  const { members } = await client.cluster.get();
  deployment.members = members.map(({ node_id }) => node_id);
  const leader = await until(options.timeout_ms, async () => {
    const leaders = new Set<string>();
    for (const { node_id } of members) {
      const { status, reason, raft } = await client.health(node_id);
      if (status !== "healthy") return `${node_id} is ${status}: ${String(reason ?? "without a reason")}.`;
      leaders.add(String(raft.leader_id));
    }
    const [only] = leaders;
    if (leaders.size !== 1 || only === undefined)
      return `The replicas name different leaders: ${[...leaders].join(", ")}.`;
    return { only };
  });
  const regions = members.map(({ node_id, region }) => `${node_id}${region === null ? "" : ` (${region})`}`);
  return `${regions.join(", ")}; ${leader.only} leads`;
};

const write: Check = async (deployment) => {
  const id = `smoke-${randomUUID()}`;
  const { state, log_index } = await deployment.client.operations.put(id, {
    type: "smoke",
    payload: { id },
    ttl_ms: OPERATION_TTL_MS,
  });
  if (state !== "COMMITTED") throw new Problem(`The operation ${id} is ${state}.`);
  deployment.operation = { id, log_index };
  return `an operation, committed at index ${log_index}`;
};

const read: Check = async ({ url, token, members, operation }) => {
  if (operation === undefined) throw new Error("read before anything was written");
  for (const member of members) {
    const { log_index } = await reachable(`${url}/replicas/${member}`, token).operations.get(operation.id);
    if (log_index !== operation.log_index)
      throw new Problem(`${member} says index ${log_index}, and it was ${operation.log_index}.`);
  }
  return `the same at ${members.length === 1 ? "the one replica" : `each of ${members.length} replicas`}`;
};

const proof: Check = async ({ client, options }) => {
  const { workers } = await client.health();
  if (workers.active === 0) {
    throw new Problem(
      "No prover is connected: run one with this TROIKA_URL and a prover's TROIKA_TOKEN (`npm run troika -- pool`), or leave the proof out with --no-proof.",
    );
  }
  const leaves = [`0x${randomBytes(16).toString("hex")}`, "0x01"];
  const { task_id } = await client.tasks.submit(CIRCUIT, { leaves });
  const task = await client.tasks.wait(task_id, { timeout_ms: options.timeout_ms });
  if (task.status !== "completed") {
    throw new Problem(
      `Task ${task_id} is ${task.status} after ${options.timeout_ms / 1_000} s${task.error === undefined ? "" : `: ${task.error}`}.`,
    );
  }
  // With the key of this checkout: what the deployment says of its own proofs is not asked.
  const inputs = task.public_inputs ?? [];
  const verdict = circuits.get(CIRCUIT)?.verify(task.proof, inputs, inputs);
  if (verdict?.valid !== true) throw new Problem(`The proof of task ${task_id} does not verify here.`);
  return `task ${task_id} by ${task.worker_id}, verified here with the key of this checkout`;
};

function isLocal(url: string): boolean {
  return /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/.test(url);
}

export async function smoke(options: SmokeOptions): Promise<void> {
  const url = options.url.replace(/\/+$/, "");
  if (!isLocal(url) && !url.startsWith("https://"))
    throw new Problem(`${url} is not https: a token would be sent in the clear.`);
  const token = process.env.TROIKA_TOKEN || undefined;
  const client = reachable(url, token);
  const deployment: Deployment = { url, token, client, options, members: [], operation: undefined };
  const checks: readonly (readonly [string, Check])[] = [
    ["alive", alive],
    ["closed", closed],
    ["ready", ready],
    ["replicas", replicas],
    ["write", write],
    ["read", read],
    ...(options.proof ? [["proof", proof] as const] : []),
  ];
  const terminal = createTerminal(Date.now(), options.json ? () => undefined : console.log);
  const results: { readonly check: string; readonly took_ms: number; readonly found: string }[] = [];
  for (const [name, check] of checks) {
    const began = Date.now();
    try {
      const found = await check(deployment);
      results.push({ check: name, took_ms: Date.now() - began, found });
      terminal.step(name, found);
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof ClientError)) throw error;
      if (options.json) printJson({ ok: false, url, checks: results, failed: name, error: error.message });
      throw new Problem(`${name}: ${error.message}`);
    }
  }
  if (options.json) printJson({ ok: true, url, checks: results });
  else terminal.step("passed", `${results.length} of ${checks.length} steps at ${url}`);
}
