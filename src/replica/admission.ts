/** Which commands are not even proposed, and what their clients are told: then nothing was accepted. */
import type { Configuration } from "../api/configuration.ts";
import type { Command } from "../coordinator/commands.ts";
import { type Coordinator, knows } from "../coordinator/index.ts";
import { declinedBy } from "./core.ts";
import type { Declined } from "./rpc.ts";

export interface Leading {
  readonly coordinator: Coordinator;
  readonly configuration: Configuration;
  /** Entries of the log that are in no checkpoint. */
  readonly uncovered: number;
  readonly reachesMajority: boolean;
  readonly notLeader: () => Declined;
}

type Unavailable = Extract<Declined, { readonly type: "unavailable" }>;

/** Of any replica. */
export function unknownVersion(command: Command): Unavailable | undefined {
  if (knows(command)) return undefined;
  const detail = `this replica does not know ${command.type} of version ${command.v}: upgrade it, it runs older code than the router`;
  return { type: "unavailable", code: "version-unknown", detail, retry_after_ms: 1000 };
}

/** Of a replica whose reign is established. */
export function noAdmission(command: Command, leading: Leading): Declined | undefined {
  const { coordinator, configuration, uncovered, reachesMajority, notLeader } = leading;
  const { max_backlog: tasks, max_backlog_bytes: bytes, max_log_entries } = configuration;
  const full = coordinator.noRoom(command, { tasks, bytes });
  if (full !== undefined) {
    const detail = `${full}; nothing was accepted, try again when some have ended`;
    return { type: "unavailable", code: "overloaded", detail, retry_after_ms: 5000 };
  }
  if (uncovered >= max_log_entries) {
    const detail = `${uncovered} entries of the log are in no checkpoint, and ${max_log_entries} are allowed: nothing was accepted`;
    return { type: "unavailable", code: "overloaded", detail, retry_after_ms: 1000 };
  }
  // What this replica calls ready is what it accepts writes by.
  return reachesMajority ? undefined : declinedBy({ type: "quorum-silent" }, notLeader());
}
