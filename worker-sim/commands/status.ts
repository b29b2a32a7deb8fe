/** `status`: the replicas and workers of the running cluster as a table. Asks every replica for its own view. */
import type { Health, Status } from "../../src/api/cluster.ts";
import type { WorkerView } from "../../src/api/workers.ts";
import { type Client, ClientError, createClient } from "../../src/client/index.ts";
import type { ReplicaCount } from "../cluster/layout.ts";
import { printJson, table } from "./output.ts";
import { requireRunning } from "./running.ts";

export type ReplicaReport =
  | { readonly name: string; readonly url: string; readonly status: Status; readonly health: Health }
  | { readonly name: string; readonly url: string; readonly trouble: string };

async function askReplica(client: Client, name: string, url: string): Promise<ReplicaReport> {
  try {
    const [status, health] = await Promise.all([client.status(name), client.health(name)]);
    return { name, url, status, health };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { name, url, trouble: error.code === "replica-stopped" ? "stopped" : error.message };
  }
}

async function askWorkers(client: Client): Promise<readonly WorkerView[] | string> {
  try {
    return (await client.workers.list({ consistency: "stale", retry_for_ms: 0 })).items;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return error.message;
  }
}

export function replicaRow(report: ReplicaReport): readonly string[] {
  if (!("status" in report)) return [report.name, report.trouble, "", "", "", "", "", report.url];
  const { status, health } = report;
  return [
    report.name,
    typeof health.raft.role === "string" ? health.raft.role : health.raft.state.toLowerCase(),
    String(status.current_term),
    String(status.commit_index),
    String(status.applied_index),
    String(status.log_size),
    status.partition_state,
    report.url,
  ];
}

export async function showStatus(
  stateRoot: string,
  { replicas, json }: { readonly replicas: ReplicaCount | undefined; readonly json: boolean },
): Promise<void> {
  const running = requireRunning(stateRoot, replicas);
  const client = createClient({ url: running.router_url, retry_for_ms: 0 });
  const [reports, workers] = await Promise.all([
    Promise.all(running.members.map(({ name, url }) => askReplica(client, name, url))),
    askWorkers(client),
  ]);
  if (json) return printJson({ replicas: reports, workers });
  console.log(
    table([
      ["REPLICA", "ROLE", "TERM", "COMMIT", "APPLIED", "LOG", "PARTITION", "ADDRESS"],
      ...reports.map(replicaRow),
    ]),
  );
  console.log();
  if (typeof workers === "string") {
    console.log(`The workers cannot be listed: ${workers}`);
    return;
  }
  const rows = workers.map((worker) => [
    worker.worker_id,
    worker.draining ? `${worker.state}, draining` : worker.state,
    `${worker.leases.length}/${worker.max_concurrent_tasks}`,
    worker.circuits.join(","),
    worker.registered_at,
  ]);
  console.log(table([["WORKER", "STATE", "LEASES", "CIRCUITS", "SINCE"], ...rows]));
}
