/**
 * The ordered log of Critical events.
 */
import type { AppendEvent, EntryPlace, Outcome } from "./commands.ts";
import type { EventRecord } from "./records.ts";
import type { State } from "./state.ts";

export function appendEvent(state: State, { kind, body }: AppendEvent, { index }: EntryPlace): Outcome {
  const seq = state.event_count + 1;
  state.event_count = seq;
  state.put("events", String(seq), { v: 1, seq, log_index: index, time: state.now, kind, body });
  return { type: "event-appended", seq, log_index: index };
}

/** Up to `limit` events with a `seq` after `after`, oldest first. */
export function eventsAfter(state: State, after: number, limit: number): readonly EventRecord[] {
  const events: EventRecord[] = [];
  for (let seq = after + 1; seq <= state.event_count && events.length < limit; seq++) {
    const event = state.get("events", String(seq));
    if (event !== undefined) events.push(event);
  }
  return events;
}
