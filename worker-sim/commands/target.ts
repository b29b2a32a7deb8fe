/** Which coordinator a command talks to: `--url` or `TROIKA_URL`, else the local cluster that runs. */
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import { Problem } from "../cluster/problem.ts";
import type { ClusterChoice } from "../flags.ts";
import { requireRunning } from "./running.ts";

export interface Target extends ClusterChoice {
  readonly url: string | undefined;
}

/** The bearer token is the environment's alone: an argument would stand in every list of processes. */
export function clientFor(target: Target, stateRoot: string, retry_for_ms?: number): Client {
  const url =
    target.url ??
    (process.env.TROIKA_URL || undefined) ??
    requireRunning(stateRoot, target.replicas).router_url;
  const token = process.env.TROIKA_TOKEN;
  return createClient({
    url,
    ...(token === undefined || token === "" ? {} : { token }),
    ...(retry_for_ms === undefined ? {} : { retry_for_ms }),
  });
}

/** What the coordinator refused, or that it cannot be reached, as the sentence of a command that failed. */
export async function told<Result>(what: string, call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const id = error.request_id === undefined ? "" : `, request ${error.request_id}`;
    throw new Problem(`${what}: ${error.message} (${error.code}${id}).`);
  }
}
