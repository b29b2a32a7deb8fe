/** The one record of counters: as it is before the first command, and whether anything of it has moved. */
import type { MetaRecord } from "./records.ts";

export const META = "meta";
export const NO_RING = { oldest: 0, next: 0 };

export const FRESH: MetaRecord = {
  v: 1,
  applied_time: 0,
  event_count: 0,
  tasks_assigned: {},
  tasks_assigned_before: 0,
  commands_refused: 0,
  assignments_failed: 0,
  tasks_ended: { completed: 0, failed: 0, cancelled: 0, expired: 0 },
  command_answers: NO_RING,
  key_order: NO_RING,
  operation_order: NO_RING,
  operation_bytes: 0,
  last_sequence: 0,
  ended: NO_RING,
  system_events: NO_RING,
  events_forgotten: { seq: 0, log_index: 0 },
};

export function isSame(one: MetaRecord, other: MetaRecord): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof MetaRecord>;
  return [...names].every((name) => JSON.stringify(one[name]) === JSON.stringify(other[name]));
}
