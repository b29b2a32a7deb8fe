/** The state machine as the log drives it: committed entries in, in order and once each, answers out. */
import type { Command } from "../coordinator/commands.ts";
import {
  type Coordinator,
  createCoordinator,
  createMemoryRecords,
  type MemberRole,
} from "../coordinator/index.ts";
import type { CommandEntry, Membership } from "../raft/index.ts";
import type { LogEntry } from "./codec.ts";
import { nameOf } from "./names.ts";
import type { Applied } from "./rpc.ts";

function rolesOf({ voters, learners }: Membership): readonly MemberRole[] {
  const of = (ids: readonly string[], role: MemberRole["role"]): readonly MemberRole[] =>
    ids.map((replica_id) => ({ replica_id, node_id: nameOf(replica_id), role }));
  return [...of(voters, "voter"), ...of(learners, "learner")];
}

export class Application {
  readonly coordinator: Coordinator;
  readonly #checkpoint_entries: number;
  /** The state includes every entry up to here. */
  index = 0;
  #sinceChanges = 0;

  /** @param founded the members before the first entry */
  constructor(checkpoint_entries: number, founded: Membership) {
    this.#checkpoint_entries = checkpoint_entries;
    this.coordinator = createCoordinator({ records: createMemoryRecords() });
    this.coordinator.configure(rolesOf(founded), { index: 0, term: 0, time: 0 });
  }

  /** @param answered told what became of each command; @param passed told of each entry, once it is applied */
  apply(
    entries: readonly LogEntry[],
    answered: (applied: Applied) => void,
    passed: (entry: LogEntry) => void,
  ): void {
    for (const entry of entries) {
      if (entry.type === "command") answered(this.#command(entry));
      else if (entry.type === "configuration" && entry.configuration.type === "stable") {
        this.coordinator.configure(rolesOf(entry.configuration), entry);
      }
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
    return { type: "applied", index: entry.index, term: entry.term, outcome, replayed };
  }
}
