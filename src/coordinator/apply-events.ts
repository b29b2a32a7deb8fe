/**
 * The ordered log of Critical events, from the oldest that is kept to the newest.
 */
import type { AppendEvent, EntryPlace } from "./commands.ts";
import type { Outcome } from "./outcomes.ts";
import type { EventRecord } from "./records.ts";
import type { State } from "./state.ts";

/** Events that one entry may forget: after the retention was made shorter, it takes some entries to get there. */
const FORGOTTEN_AT_ONCE_MAX = 100;

export function appendEvent(
  state: State,
  { kind, body, retain }: AppendEvent,
  { index }: EntryPlace,
): Outcome {
  const seq = state.event_count + 1;
  state.event_count = seq;
  state.put("events", String(seq), { v: 1, seq, log_index: index, time: state.now, kind, body });
  if (retain !== undefined) forgetUpTo(state, seq - retain);
  return { type: "event-appended", seq, log_index: index };
}

function forgetUpTo(state: State, last: number): void {
  const first = state.events_forgotten.seq + 1;
  for (let seq = first; seq <= last && seq < first + FORGOTTEN_AT_ONCE_MAX; seq++) {
    const event = state.get("events", String(seq));
    if (event === undefined) throw new Error(`event ${seq} is missing of ${state.event_count}`);
    state.delete("events", String(seq));
    state.events_forgotten = { seq, log_index: event.log_index };
  }
}

/** Up to `limit` events with a `seq` after `after`, oldest first. */
export function eventsAfter(state: State, after: number, limit: number): readonly EventRecord[] {
  const events: EventRecord[] = [];
  const first = Math.max(after, state.events_forgotten.seq) + 1;
  for (let seq = first; seq <= state.event_count && events.length < limit; seq++) {
    const event = state.get("events", String(seq));
    if (event !== undefined) events.push(event);
  }
  return events;
}
