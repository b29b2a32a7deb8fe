/**
 * The limits of the backlog. Only whoever is about to append a command asks: what was appended is applied.
 */
import { holderOf } from "./apply-tasks.ts";
import { hasEnded } from "./attempts.ts";
import type { Command, SubmitTask } from "./commands.ts";
import type { State } from "./state.ts";
import type { Backlog } from "./views.ts";

const NOTHING: Backlog = { tasks: 0, bytes: 0 };
const UNKNOWN: Backlog = { tasks: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** Why there is no room for the tasks that a command would open, in words; undefined if there is, or none are needed. */
export function noRoom(state: State, command: Command, limits: Backlog): string | undefined {
  const { tasks, bytes } = state.counts.backlog;
  const most = atMost(command);
  if (tasks + most.tasks <= limits.tasks && bytes + most.bytes <= limits.bytes) return undefined;
  const more = opened(state, command);
  if (more.tasks === 0) return undefined;
  if (tasks + more.tasks > limits.tasks) {
    const several = more.tasks === 1 ? "" : `, ${more.tasks} more are submitted at once`;
    return `${tasks} tasks wait or are being proved${several}, and ${limits.tasks} are allowed`;
  }
  if (bytes + more.bytes <= limits.bytes) return undefined;
  const these = more.tasks === 1 ? "this one has" : `these ${more.tasks} have`;
  return `the inputs of ${tasks} tasks that wait or are being proved have ${bytes} bytes, ${these} ${more.bytes}, and ${limits.bytes} are allowed`;
}

function opened(state: State, command: Command): Backlog {
  switch (command.type) {
    case "submit-task":
      return newOnes(state, [command.task]);
    case "submit-batch":
      return newOnes(
        state,
        command.items.map(({ task }) => task),
      );
    case "retry-task":
      return endedOnes(state, [command.task_id]);
    case "change-tasks":
      return command.action === "retry" ? endedOnes(state, command.task_ids) : NOTHING;
    default:
      return NOTHING;
  }
}

/** Also of those that are known already. */
function atMost(command: Command): Backlog {
  switch (command.type) {
    case "submit-task":
      return sum([command.task]);
    case "submit-batch":
      return sum(command.items.map(({ task }) => task));
    case "retry-task":
    case "change-tasks":
      return UNKNOWN;
    default:
      return NOTHING;
  }
}

function newOnes(state: State, tasks: readonly SubmitTask["task"][]): Backlog {
  const contents = new Set<string>();
  return sum(
    tasks.filter((task) => {
      const known = state.task(task.task_id) !== undefined || holderOf(state, task) !== undefined;
      if (known || contents.has(task.content_hash)) return false;
      contents.add(task.content_hash);
      return true;
    }),
  );
}

function endedOnes(state: State, task_ids: readonly string[]): Backlog {
  const tasks = task_ids.map((task_id) => state.task(task_id)).filter((task) => task !== undefined);
  return sum(tasks.filter(({ status }) => hasEnded(status) && status !== "completed"));
}

function sum(tasks: readonly { readonly input_bytes?: number }[]): Backlog {
  return { tasks: tasks.length, bytes: tasks.reduce((bytes, { input_bytes = 0 }) => bytes + input_bytes, 0) };
}
