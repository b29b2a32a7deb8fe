/** `stop`, `start` and `restart` of one replica, by the fault routes of the running cluster. */
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultAction } from "../../src/api/cluster.ts";
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import type { ReplicaCount } from "../cluster/layout.ts";
import { Problem } from "../cluster/problem.ts";
import { printJson } from "./output.ts";
import { requireRunning } from "./running.ts";

export interface FaultOptions {
  readonly action: "stop" | "start" | "restart";
  readonly replica: string;
  readonly replicas: ReplicaCount | undefined;
  readonly json: boolean;
}

const CALL_MS = 5_000;
const LEADER_MS = 10_000;
const POLL_MS = 50;

const actionsOf: Readonly<Record<FaultOptions["action"], readonly FaultAction[]>> = {
  stop: ["stop"],
  start: ["start"],
  // A reset aborts the instance and loses its memory; it wakes from storage like after a crash.
  restart: ["reset", "start"],
};

const doneOf: Readonly<Record<FaultOptions["action"], string>> = {
  stop: "refuses everything until it is started again, across a restart of the processes too",
  start: "takes part again",
  restart: "was reset: it lost its memory and came back from storage",
};

async function leader(client: Client, except: string | undefined): Promise<string> {
  const asked = Date.now();
  for (;;) {
    try {
      if (await client.ready()) {
        const { current_leader } = await client.status();
        if (typeof current_leader === "string" && current_leader !== except) return `${current_leader} leads`;
      }
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
    }
    if (Date.now() - asked > LEADER_MS) return "there is no leader: a majority of the replicas is needed";
    await sleep(POLL_MS);
  }
}

export async function setFault(
  stateRoot: string,
  { action, replica, replicas, json }: FaultOptions,
): Promise<void> {
  const running = requireRunning(stateRoot, replicas);
  if (!running.members.some(({ name }) => name === replica)) {
    throw new Problem(
      `The running cluster has no ${replica}: it has ${running.members.map(({ name }) => name).join(", ")}.`,
    );
  }
  const client = createClient({ url: running.router_url, retry_for_ms: CALL_MS });
  try {
    for (const fault of actionsOf[action]) await client.fault(replica, fault);
  } catch (error) {
    if (error instanceof ClientError)
      throw new Problem(`${replica} could not be told to ${action}: ${error.message}`);
    throw error;
  }
  if (json) return printJson({ replica, action });
  console.log(
    `${replica} ${doneOf[action]}; ${await leader(client, action === "stop" ? replica : undefined)}.`,
  );
}
