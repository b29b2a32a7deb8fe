/** Counts of everything, for whoever looks on. */
import type { State } from "./state.ts";
import type { Counts } from "./views.ts";

/** Reads the state anew at every access, and computes only what is asked for. */
export function countsOf(state: State): Counts {
  return {
    get tasks() {
      return state.tasks.by_status;
    },
    get workers() {
      return state.workforce.workers;
    },
    get capacity() {
      return state.workforce.capacity;
    },
    get backlog() {
      return state.tasks.backlog;
    },
    get tasks_assigned() {
      return state.tasks_assigned;
    },
    get tasks_assigned_before() {
      return state.tasks_assigned_before;
    },
    get assignments_failed() {
      return state.assignments_failed;
    },
    get commands_refused() {
      return state.commands_refused;
    },
  };
}
