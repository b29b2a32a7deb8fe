/** `tasks`, `workers`, `cluster` and `events`: what the coordinator knows, as tables or as JSON. */
import type { Health } from "../../src/api/cluster.ts";
import type { ClusterView } from "../../src/api/members.ts";
import { type Client, ClientError, type TaskFilter } from "../../src/client/index.ts";
import type { RemoteInvocation } from "../remote-arguments.ts";
import { printJson, table } from "./output.ts";
import { clientFor, type Target, told } from "./target.ts";

const EVENTS_PAGE = 1_000;

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

async function viewOf(client: Client, name: string): Promise<View> {
  try {
    return { name, health: await client.health(name) };
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === "unreachable") throw error;
    return { name, trouble: error.code === "replica-stopped" ? "stopped" : error.message };
  }
}

function groupRows(group: ClusterView, views: readonly View[]): readonly (readonly string[])[] {
  return group.members.map(({ node_id, role, region, match_index }, at) => {
    const view = views[at];
    const known = [region ?? "", match_index === null ? "" : String(match_index)];
    if (view === undefined || !("health" in view)) return [node_id, view?.trouble ?? role, "", "", ...known];
    const { raft, status } = view.health;
    const shown = role === "learner" ? role : String(raft.role ?? raft.state.toLowerCase());
    return [node_id, shown, String(raft.term), status, ...known];
  });
}

async function showCluster(
  stateRoot: string,
  { json, ...target }: Target & { readonly json: boolean },
): Promise<void> {
  const client = clientFor(target, stateRoot, 0);
  const what = "The cluster cannot be looked at";
  const [health, group] = await told(what, Promise.all([client.health(), client.cluster.get()]));
  const replicas = await told(what, Promise.all(group.members.map(({ node_id }) => viewOf(client, node_id))));
  if (json) {
    printJson({ health, group, replicas });
    return;
  }
  const { status, workers, capacity } = health;
  console.log(`${status}${typeof health.reason === "string" ? `: ${health.reason}` : ""}`);
  if (workers !== undefined && capacity !== undefined) {
    console.log(
      `${workers.active} of ${workers.total} workers active, ${capacity.used} of ${capacity.total} slots in use`,
    );
  }
  const { voters, quorum, failure_tolerance, warnings } = group;
  if (voters !== undefined)
    console.log(`${voters} vote, ${quorum} must agree, ${failure_tolerance} may fail`);
  for (const warning of warnings) console.log(`warning: ${warning}`);
  console.log();
  console.log(
    table([["REPLICA", "ROLE", "TERM", "HEALTH", "REGION", "MATCH"], ...groupRows(group, replicas)]),
  );
}

export interface EventsOptions extends Target {
  readonly after: number;
  readonly follow: boolean;
  /** With the system's own; only where they are followed, since they have no places in the list. */
  readonly system: boolean;
  readonly json: boolean;
}

/** One event a line, as it was submitted, so that it can be piped. */
async function showEvents(
  stateRoot: string,
  { after, follow, system, json, ...target }: EventsOptions,
): Promise<void> {
  const client = clientFor(target, stateRoot);
  const show = (place: string, text: string): void => {
    console.log(json ? text : `${place.padStart(8)}  ${text}`);
  };
  if (follow) {
    const options = { after, ...(system ? { include: "system" as const } : {}) };
    const followed = async (): Promise<void> => {
      for await (const { id = "", text } of client.events.stream(options)) show(id, text);
    };
    await told("The events cannot be followed", followed());
    return;
  }
  for (let seq = after; ; ) {
    const page = client.events.list({ after: seq, limit: EVENTS_PAGE });
    const { events } = await told("The events cannot be read", page);
    for (const event of events) show(String(++seq), JSON.stringify(event));
    if (events.length < EVENTS_PAGE) return;
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
