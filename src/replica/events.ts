/**
 * What may be many and large as one body, streamed piece by piece, so that neither its number nor its size matters: a
 * piece is made in one turn of the thread, and is in memory at once.
 */
import { renderOperation } from "../api/render.ts";
import type { Coordinator } from "../coordinator/index.ts";
import type { QueryAnswers } from "./rpc.ts";

const PIECE_EVENTS = 500;
/** A piece is closed when it is longer; an event has at most 1 MiB. */
const PIECE_CHARACTERS = 128 * 1024;
const PIECE_OPERATIONS = 100;

/** @param next the next piece, and whether it is the last one */
function streamed(
  content_type: string,
  appliedIndex: number,
  next: () => { readonly text: string; readonly done: boolean },
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      // A pull that gives nothing is not followed by another one.
      let piece = next();
      while (piece.text === "" && !piece.done) piece = next();
      if (piece.text !== "") controller.enqueue(encoder.encode(piece.text));
      if (piece.done) controller.close();
    },
  });
  return new Response(body, {
    headers: { "content-type": content_type, "x-raft-applied-index": String(appliedIndex) },
  });
}

/**
 * The retained Critical events as one JSON body.
 *
 * @param after sequence number after which to begin; @param limit how many at most, all if absent
 */
export function streamEvents(
  coordinator: Coordinator,
  appliedIndex: number,
  after: number,
  limit: number | undefined,
): Response {
  const last = Math.min(coordinator.eventCount, after + (limit ?? Number.POSITIVE_INFINITY));
  let sent = after;
  let started = false;
  return streamed("application/json", appliedIndex, () => {
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
    return { text, done };
  });
}

/** Every operation that was applied when it began, one JSON object a line, in the order of the log. */
export function streamOperations(coordinator: Coordinator, appliedIndex: number): Response {
  let after = 0;
  return streamed("application/x-ndjson", appliedIndex, () => {
    const query = { type: "operations", after, limit: PIECE_OPERATIONS } as const;
    const { items, next_cursor } = coordinator.query(query) as QueryAnswers["operations"];
    after = Number(next_cursor ?? after);
    const due = items.filter(({ log_index }) => log_index <= appliedIndex);
    const text = due.map((operation) => `${renderOperation(operation)}\n`).join("");
    return { text, done: next_cursor === undefined || due.length < items.length };
  });
}
