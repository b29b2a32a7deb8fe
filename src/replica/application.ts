/** The state machine as the log drives it: committed entries in, in order and once each, answers out. */
import type { Command } from "../coordinator/commands.ts";
import { type Coordinator, createCoordinator, createMemoryRecords } from "../coordinator/index.ts";
import type { CommandEntry } from "../raft/index.ts";
import type { LogEntry } from "./codec.ts";
import type { Applied } from "./rpc.ts";
import { WorkTimes } from "./work-times.ts";

export class Application {
  readonly coordinator: Coordinator;
  readonly times = new WorkTimes();
  readonly #checkpoint_entries: number;
  /** The state includes every entry up to here. */
  index = 0;
  #sinceChanges = 0;

  constructor(checkpoint_entries: number) {
    this.#checkpoint_entries = checkpoint_entries;
    this.coordinator = createCoordinator({ records: createMemoryRecords() });
  }

  /** @param answered told what became of each command; @param passed told of each entry, once it is applied */
  apply(
    entries: readonly LogEntry[],
    answered: (applied: Applied) => void,
    passed: (entry: LogEntry) => void,
  ): void {
    for (const entry of entries) {
      if (entry.type === "command") answered(this.#command(entry));
      this.index = entry.index;
      passed(entry);
    }
    // Nothing is checkpointed yet: what changed is only kept from piling up.
    this.#sinceChanges += entries.length;
    if (this.#sinceChanges < this.#checkpoint_entries) return;
    this.#sinceChanges = 0;
    this.coordinator.takeChanges();
  }

  #command(entry: CommandEntry<Command>): Applied {
    const { outcome, replayed } = this.coordinator.apply(entry.command, entry);
    const applied: Applied = { type: "applied", index: entry.index, term: entry.term, outcome, replayed };
    this.times.observe(this.coordinator, applied, entry.time);
    return applied;
  }
}
