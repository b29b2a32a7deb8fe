/** The state machine as the log drives it: committed entries in, in order and once each, answers out. */
import type { Command } from "../coordinator/commands.ts";
import { type Coordinator, createCoordinator, type MemberRole } from "../coordinator/index.ts";
import type { CommandEntry, Membership } from "../raft/index.ts";
import type { LogEntry } from "./codec.ts";
import { nameOf } from "./names.ts";
import type { Applied } from "./rpc.ts";
import type { Store } from "./store.ts";
import { WorkTimes } from "./work-times.ts";

function rolesOf({ voters, learners }: Membership): readonly MemberRole[] {
  const of = (ids: readonly string[], role: MemberRole["role"]): readonly MemberRole[] =>
    ids.map((replica_id) => ({ replica_id, node_id: nameOf(replica_id), role }));
  return [...of(voters, "voter"), ...of(learners, "learner")];
}

export class Application {
  readonly times = new WorkTimes();
  readonly #store: Store;
  #coordinator: Coordinator;
  #index: number;

  /**
   * As of the store's checkpoint: the log behind it is still to be applied.
   *
   * @param founded the members before the first entry
   */
  constructor(store: Store, founded: Membership) {
    this.#store = store;
    this.#coordinator = createCoordinator({ records: store.openTables() });
    this.#coordinator.configure(rolesOf(founded), 0);
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
    this.coordinator.foresee(entries.flatMap((entry) => (entry.type === "command" ? entry.command : [])));
    for (const entry of entries) {
      if (entry.type === "command") answered(this.#command(entry));
      else if (entry.type === "configuration" && entry.configuration.type === "stable") {
        this.coordinator.configure(rolesOf(entry.configuration), entry.index);
      }
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
