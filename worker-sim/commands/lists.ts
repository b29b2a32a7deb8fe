/** `tasks`, `workers`, `cluster` and `events`: what the coordinator knows, as tables or as JSON. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Health } from "../../src/api/cluster.ts";
import { type Client, ClientError, type TaskFilter } from "../../src/client/index.ts";
import type { RemoteInvocation } from "../remote-arguments.ts";
import { printJson, table } from "./output.ts";
import { clientFor, type Target, told } from "./target.ts";

const FOLLOW_PAUSE_MS = 300;
const EVENTS_PAGE = 1_000;
const REPLICAS_MAX = 9;

export interface TasksOptions extends Target {
  readonly task_id: string | undefined;
  readonly filter: Pick<TaskFilter, "status" | "circuit" | "worker_id" | "limit">;
  readonly json: boolean;
}

async function showTasks(
  stateRoot: string,
  { task_id, filter, json, ...target }: TasksOptions,
): Promise<void> {
  const client = clientFor(target, stateRoot);
  if (task_id !== undefined) {
    const [task, attempts] = await told(
      `Task ${task_id} cannot be shown`,
      Promise.all([client.tasks.get(task_id), client.tasks.attempts(task_id)]),
    );
    if (json) return printJson({ ...task, attempts: attempts.items });
    const fields = Object.entries(task).filter(([name]) => name !== "success" && name !== "request_id");
    console.log(
      table(
        fields.map(([name, value]) => [
          name,
          typeof value === "object" ? JSON.stringify(value) : String(value),
        ]),
      ),
    );
    if (attempts.items.length === 0) return;
    console.log();
    console.log(
      table([
        ["ATTEMPT", "WORKER", "GRANTED", "ENDED", "OUTCOME", "ERROR"],
        ...attempts.items.map((each) => [
          String(each.attempt),
          each.worker_id,
          each.granted_at,
          each.ended_at ?? "",
          each.outcome ?? "under way",
          each.error ?? "",
        ]),
      ]),
    );
    return;
  }
  const page = await told("The tasks cannot be listed", client.tasks.list(filter));
  if (json) return printJson(page);
  console.log(
    table([
      ["TASK", "STATUS", "CIRCUIT", "WORKER", "CREATED", "COMPLETED"],
      ...page.items.map((task) => [
        task.task_id,
        task.status,
        task.circuit,
        task.worker_id ?? "",
        task.created_at,
        task.completed_at ?? "",
      ]),
    ]),
  );
  if (page.next_cursor !== undefined) console.log("and more: raise --limit, or narrow with --status");
}

async function showWorkers(
  stateRoot: string,
  { worker_id, json, ...target }: Target & { readonly worker_id: string | undefined; readonly json: boolean },
): Promise<void> {
  const client = clientFor(target, stateRoot);
  const items =
    worker_id === undefined
      ? (await told("The workers cannot be listed", client.workers.list({ limit: 500 }))).items
      : [await told(`Worker ${worker_id} cannot be shown`, client.workers.get(worker_id))];
  if (json) return printJson(worker_id === undefined ? { items } : items[0]);
  console.log(
    table([
      ["WORKER", "STATE", "LEASES", "CIRCUITS", "SINCE"],
      ...items.map((worker) => [
        worker.worker_id,
        worker.draining ? `${worker.state}, draining` : worker.state,
        `${worker.leases.length}/${worker.max_concurrent_tasks}`,
        worker.circuits.join(","),
        worker.registered_at,
      ]),
    ]),
  );
}

type View =
  | { readonly name: string; readonly health: Health }
  | { readonly name: string; readonly trouble: string };

/** The replicas that the router knows: their names are consecutive. */
async function replicaViews(client: Client): Promise<readonly View[]> {
  const views: View[] = [];
  for (let number = 1; number <= REPLICAS_MAX; number++) {
    const name = `coordinator-${number}`;
    try {
      views.push({ name, health: await client.health(name) });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      if (error.code === "replica-unknown") break;
      if (error.code === "unreachable") throw error;
      views.push({ name, trouble: error.code === "replica-stopped" ? "stopped" : error.message });
    }
  }
  return views;
}

async function showCluster(
  stateRoot: string,
  { json, ...target }: Target & { readonly json: boolean },
): Promise<void> {
  const client = clientFor(target, stateRoot, 0);
  const what = "The cluster cannot be looked at";
  const [health, replicas] = [await told(what, client.health()), await told(what, replicaViews(client))];
  if (json) return printJson({ health, replicas });
  const { status, workers, capacity } = health;
  console.log(`${status}${typeof health.reason === "string" ? `: ${health.reason}` : ""}`);
  if (workers !== undefined && capacity !== undefined) {
    console.log(
      `${workers.active} of ${workers.total} workers active, ${capacity.used} of ${capacity.total} slots in use`,
    );
  }
  console.log();
  console.log(
    table([
      ["REPLICA", "ROLE", "TERM", "HEALTH", "LEADER"],
      ...replicas.map((view) =>
        "health" in view
          ? [
              view.name,
              String(view.health.raft.role ?? view.health.raft.state.toLowerCase()),
              String(view.health.raft.term),
              view.health.status,
              String(view.health.raft.leader_id ?? ""),
            ]
          : [view.name, view.trouble],
      ),
    ]),
  );
}

export interface EventsOptions extends Target {
  readonly after: number;
  readonly follow: boolean;
  readonly json: boolean;
}

/** One event a line, as it was submitted; `--json` is the same text, so that both can be piped. */
async function showEvents(
  stateRoot: string,
  { after, follow, json, ...target }: EventsOptions,
): Promise<void> {
  const client = clientFor(target, stateRoot);
  for (let seq = after; ; ) {
    const { events } = await told(
      "The events cannot be read",
      client.events.list({ after: seq, limit: EVENTS_PAGE }),
    );
    for (const event of events) {
      seq += 1;
      if (json) printJson(event);
      else console.log(`${String(seq).padStart(8)}  ${JSON.stringify(event)}`);
    }
    if (events.length === EVENTS_PAGE) continue;
    if (!follow) return;
    await sleep(FOLLOW_PAUSE_MS);
  }
}

export type ListInvocation = Extract<
  RemoteInvocation,
  { readonly type: "tasks" | "workers" | "cluster" | "events" }
>;

export async function showList(stateRoot: string, invocation: ListInvocation): Promise<void> {
  switch (invocation.type) {
    case "tasks":
      return showTasks(stateRoot, invocation);
    case "workers":
      return showWorkers(stateRoot, invocation);
    case "cluster":
      return showCluster(stateRoot, invocation);
    case "events":
      return showEvents(stateRoot, invocation);
  }
}
