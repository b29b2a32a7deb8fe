/**
 * What may be many and large as one body, streamed piece by piece, so that neither its number nor its size matters: a
 * piece is made in one turn of the thread, and is in memory at once.
 */
import { renderOperation } from "../api/render.ts";
import type { Coordinator, FeedCursor, FeedReader } from "../coordinator/index.ts";
import type { Engine } from "./engine.ts";
import type { Compacted, Declined, QueryAnswers, ReadEvents } from "./rpc.ts";
import { SUBSCRIBERS_MAX } from "./subscribers.ts";

const PIECE_EVENTS = 500;
/** A piece is closed when it is longer; an event has at most 1 MiB. */
const PIECE_CHARACTERS = 128 * 1024;
const PIECE_OPERATIONS = 100;

/** @param next the next piece, and whether it is the last one */
function streamed(
  content_type: string,
  appliedIndex: number,
  next: () => { readonly text: string; readonly done: boolean },
  cancel: () => void = () => {},
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
    cancel,
  });
  return new Response(body, {
    headers: { "content-type": content_type, "x-raft-applied-index": String(appliedIndex) },
  });
}

const TOO_MANY: Declined = {
  type: "unavailable",
  code: "overloaded",
  detail: `${SUBSCRIBERS_MAX} streams and waiting reads are open on this replica; ask another, or try again later`,
  retry_after_ms: 5000,
};

/** What was asked for of the events, as a body or as a stream. The read was granted before. */
export async function eventsOf(engine: Engine, asked: ReadEvents): Promise<Response | Compacted | Declined> {
  const { limit, system = false, wait_ms = 0, follow = false } = asked;
  const feed = (): FeedReader => engine.coordinator.feed;
  const after = asked.after === "latest" ? feed().latest(system) : asked.after;
  const cursor = feed().open(after, system);
  if (cursor === undefined) return { type: "compacted", detail: feed().oldest };
  if (follow) {
    const body = engine.subscribers.stream(cursor, after);
    if (body === undefined) return TOO_MANY;
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
    return new Response(body, {
      headers: { ...headers, "x-raft-applied-index": String(engine.appliedIndex) },
    });
  }
  const until = Date.now() + wait_ms;
  for (let left_ms = wait_ms; left_ms > 0 && feed().read(cursor, 1, 1)?.items.length === 0; ) {
    if (!(await engine.subscribers.more(left_ms))) return engine.closed ? { type: "stopped" } : TOO_MANY;
    left_ms = until - Date.now();
  }
  const last = system || asked.after === "latest" ? (after ?? "0") : undefined;
  return streamEvents(feed, engine.appliedIndex, cursor, limit, last);
}

/**
 * What is behind `cursor`, up to the entry `appliedIndex`, as one JSON body.
 *
 * @param limit how many at most, all if absent
 * @param last if given, the body says in `last` from where to go on: from here if there is nothing
 */
export function streamEvents(
  feed: () => FeedReader,
  appliedIndex: number,
  cursor: FeedCursor,
  limit = Number.POSITIVE_INFINITY,
  last?: string,
): Response {
  let at = cursor;
  let count = 0;
  let newest = last;
  return streamed("application/json", appliedIndex, () => {
    // What was forgotten meanwhile is not retained: it goes on with the oldest that is.
    const from = (): FeedCursor | undefined => feed().open(undefined, cursor.ordinal !== undefined);
    const read = (where = from()) =>
      where && feed().read(where, Math.min(PIECE_EVENTS, limit - count), PIECE_CHARACTERS);
    const piece = read(at) ?? read();
    if (piece === undefined)
      throw new Error(`the feed cannot be read from its oldest item on: ${feed().oldest}`);
    const items = piece.items.filter(({ index }) => index <= appliedIndex);
    at = piece.cursor;
    let text = count === 0 ? '{"events":[' : "";
    for (const item of items) {
      text += count > 0 ? `,${item.text}` : item.text;
      count++;
      newest = item.id;
    }
    const done = items.length < piece.items.length || items.length === 0 || count >= limit;
    const where = last === undefined ? "" : `,"last":"${newest}"`;
    if (done) text += `],"count":${count}${where}}`;
    return { text, done };
  });
}

/** Every operation that was applied when it began, one JSON object a line, in the order of the log. */
export function streamOperations(coordinator: () => Coordinator, appliedIndex: number): Response {
  let after = 0;
  return streamed("application/x-ndjson", appliedIndex, () => {
    const query = { type: "operations", after, limit: PIECE_OPERATIONS } as const;
    const { items, next_cursor } = coordinator().query(query) as QueryAnswers["operations"];
    after = Number(next_cursor ?? after);
    const due = items.filter(({ log_index }) => log_index <= appliedIndex);
    const text = due.map((operation) => `${renderOperation(operation)}\n`).join("");
    return { text, done: next_cursor === undefined || due.length < items.length };
  });
}

/** Everything that clients have brought in, as of now, one JSON object a line. */
export function streamExport(engine: Engine, cluster_id: string, export_id: string): Response {
  const { appliedIndex } = engine;
  const exported = engine.coordinator.export({ export_id, cluster_id, applied_index: appliedIndex });
  const next = () => {
    const piece = exported.next(PIECE_CHARACTERS);
    if (piece === undefined)
      throw new Error(
        `export ${export_id} is read too slowly: the state has changed too much since it began`,
      );
    return piece;
  };
  return streamed("application/x-ndjson", appliedIndex, next, () => exported.close());
}
