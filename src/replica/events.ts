/** The retained Critical events as one JSON body, streamed page by page so that their number does not matter. */
import type { Coordinator } from "../coordinator/index.ts";

const PAGE = 500;

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
      const page = coordinator.events(sent, Math.min(PAGE, last - sent));
      let text = started ? "" : '{"events":[';
      for (const event of page) {
        text += sent > after ? `,${event.body}` : event.body;
        sent = event.seq;
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
