/** The state machine as the log drives it: committed entries in, in order and once each, answers out. */
import type { Command } from "../coordinator/commands.ts";
import { type Coordinator, createCoordinator } from "../coordinator/index.ts";
import type { CommandEntry } from "../raft/index.ts";
import type { LogEntry } from "./codec.ts";
import type { Applied } from "./rpc.ts";
import type { Store } from "./store.ts";
import { WorkTimes } from "./work-times.ts";

export class Application {
  readonly times = new WorkTimes();
  readonly #store: Store;
  #coordinator: Coordinator;
  #index: number;

  /** As of the store's checkpoint: the log behind it is still to be applied. */
  constructor(store: Store) {
    this.#store = store;
    this.#coordinator = createCoordinator({ records: store.openTables() });
    this.#index = store.checkpoint?.last.index ?? 0;
  }

  get coordinator(): Coordinator {
    return this.#coordinator;
  }

  /** The state includes every entry up to here. */
  get index(): number {
    return this.#index;
  }

  /** Another replica's checkpoint has taken the place of this one's. */
  restart(): void {
    this.#coordinator = createCoordinator({ records: this.#store.openTables() });
    this.#index = this.#store.checkpoint?.last.index ?? 0;
  }

  /** @param answered told what became of each command; @param passed told of each entry, once it is applied */
  apply(
    entries: readonly LogEntry[],
    answered: (applied: Applied) => void,
    passed: (entry: LogEntry) => void,
  ): void {
    for (const entry of entries) {
      if (entry.type === "command") answered(this.#command(entry));
      this.#index = entry.index;
      passed(entry);
    }
  }

  #command(entry: CommandEntry<Command>): Applied {
    const { outcome, replayed } = this.coordinator.apply(entry.command, entry);
    const applied: Applied = { type: "applied", index: entry.index, term: entry.term, outcome, replayed };
    this.times.observe(this.coordinator, applied, entry.time);
    return applied;
  }
}
