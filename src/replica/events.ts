/**
 * The retained Critical events as one JSON body, streamed piece by piece, so that neither their number nor their size
 * matters: a piece is made in one turn of the thread, and is in memory at once.
 */
import type { Coordinator } from "../coordinator/index.ts";

const PIECE_EVENTS = 500;
/** A piece is closed when it is longer; an event has at most 1 MiB. */
const PIECE_CHARACTERS = 128 * 1024;

/** @param after sequence number after which to begin; @param limit how many at most, all if absent */
export function streamEvents(
  coordinator: Coordinator,
  appliedIndex: number,
  after: number,
  limit: number | undefined,
): Response {
  const last = Math.min(coordinator.eventCount, after + (limit ?? Number.POSITIVE_INFINITY));
  const encoder = new TextEncoder();
  let sent = after;
  let started = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const page = coordinator.events(sent, Math.min(PIECE_EVENTS, last - sent));
      let text = started ? "" : '{"events":[';
      for (const event of page) {
        text += sent > after ? `,${event.body}` : event.body;
        sent = event.seq;
        if (text.length > PIECE_CHARACTERS) break;
      }
      started = true;
      const done = sent >= last || page.length === 0;
      if (done) text += `],"count":${Math.max(0, sent - after)}}`;
      controller.enqueue(encoder.encode(text));
      if (done) controller.close();
    },
  });
  return new Response(body, {
    headers: { "content-type": "application/json", "x-raft-applied-index": String(appliedIndex) },
  });
}
