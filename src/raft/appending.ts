/**
 * What changes besides the log when entries are appended, overwritten, committed or replaced by a
 * snapshot: the configuration in force, the wait for a leader, what a leader keeps count of.
 */
import type { Entry } from "./entries.ts";
import type { Configuration } from "./membership.ts";
import type { ReplicaState } from "./state.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import type { LogIndex, Millis } from "./vocabulary.ts";

/** For the leader's next entry: never less than its predecessor's, whoever wrote that. */
export function entryTime<Command>({ now, log }: ReplicaState<Command>): Millis {
  return Math.max(now, log.lastTime);
}

/** The leader's own entries. */
export function append<Command>(state: ReplicaState<Command>, entries: readonly Entry<Command>[]): void {
  state.log.append(entries);
  if (state.role.type === "leader") state.role.leadership.active(state.now);
  state.trace("appended");
}

/** A leader's own change of membership, in force at once. */
export function appendConfiguration<Command>(
  state: ReplicaState<Command>,
  configuration: Configuration,
): void {
  const { term, now, log, configurations } = state;
  const index = log.last.index + 1;
  append(state, [{ type: "configuration", term, index, time: entryTime(state), configuration }]);
  configurations.append(index, configuration);
  if (state.role.type === "leader") state.role.leadership.reconfigured(now);
  state.trace("configured");
}

/** A leader's entries, already in this replica's log; `replaced` if others stood in their place. */
export function adopt<Command>(
  state: ReplicaState<Command>,
  added: readonly Entry<Command>[],
  replaced: boolean,
): void {
  const { configurations } = state;
  const [first] = added;
  if (first === undefined) return;
  if (replaced) state.trace("truncated");
  state.trace("appended");
  let reconfigured = replaced && configurations.truncateFrom(first.index);
  for (const entry of added) {
    if (entry.type !== "configuration") continue;
    configurations.append(entry.index, entry.configuration);
    reconfigured = true;
  }
  if (!reconfigured) return;
  state.waitForLeader();
  state.trace("configured");
}

export function commitTo<Command>(state: ReplicaState<Command>, index: LogIndex): void {
  if (!state.log.commitTo(index)) return;
  state.trace("committed");
  if (state.role.type === "leader") state.role.leadership.committed(index);
}

/** Log and state machine are replaced, and with them whatever this replica campaigned for. */
export function install<Command>(state: ReplicaState<Command>, snapshot: SnapshotDescriptor): void {
  if (state.role.type !== "follower") state.becomeFollower(state.term, undefined);
  state.log.install(snapshot.last);
  state.configurations.restart(snapshot.last.index, snapshot.configuration);
  state.snapshot = snapshot;
  state.outbox.install(snapshot);
  if (state.mayCampaign !== (state.electionDueAt !== undefined)) state.waitForLeader();
  state.trace("restored");
}
