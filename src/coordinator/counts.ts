/** Counts of everything, for whoever looks on. Reads the state anew at every access, and computes only what is asked for. */
import type { State } from "./state.ts";
import type { Counts } from "./views.ts";

export class CountsOf implements Counts {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  get tasks(): Counts["tasks"] {
    return this.#state.tasks.by_status;
  }

  get workers(): Counts["workers"] {
    return this.#state.workforce.workers;
  }

  get capacity(): Counts["capacity"] {
    return this.#state.workforce.capacity;
  }

  get backlog(): Counts["backlog"] {
    return this.#state.tasks.backlog;
  }

  get tasks_assigned(): Counts["tasks_assigned"] {
    return this.#state.tasks_assigned;
  }

  get tasks_assigned_before(): number {
    return this.#state.tasks_assigned_before;
  }

  get assignments_failed(): number {
    return this.#state.assignments_failed;
  }

  get commands_refused(): number {
    return this.#state.commands_refused;
  }
}
