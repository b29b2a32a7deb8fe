/**
 * A stream of events that goes on where it was cut: the place of the last event that came in is the place to resume at,
 * wherever the next connection leads.
 */
import { type Channel, PAUSE_MS_FIRST, PAUSE_MS_MAX, pause } from "./channel.ts";
import type { EventsOptions, StreamedEvent } from "./client.ts";
import { bodyOf, query } from "./paths.ts";
import { type ServerSentEvent, serverSentEvents } from "./server-sent-events.ts";

/** Heartbeats come every 15 s: without three of them nobody is there any more. */
const IDLE_MS = 45_000;

export async function* followEvents(
  channel: Channel,
  options: EventsOptions = {},
): AsyncGenerator<StreamedEvent, never> {
  const { consistency, include, signal, retry_for_ms } = options;
  let { after } = options;
  for (let pause_ms = PAUSE_MS_FIRST; ; pause_ms = Math.min(2 * pause_ms, PAUSE_MS_MAX)) {
    const path = `/events${query({ after, include, consistency })}`;
    const headers = { accept: "text/event-stream" };
    const response = await channel({ method: "GET", path, headers, streamed: true, signal, retry_for_ms });
    for await (const { id, event, data } of untilCut(bodyOf(response), signal)) {
      after = id ?? after;
      if (data === undefined || event === "end") continue;
      pause_ms = PAUSE_MS_FIRST;
      yield { ...(id === undefined ? {} : { id }), event: JSON.parse(data), text: data };
    }
    await pause(pause_ms, signal);
  }
}

/** Ends however the connection does. */
async function* untilCut(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ServerSentEvent> {
  try {
    yield* serverSentEvents(body, IDLE_MS);
  } catch {
    signal?.throwIfAborted();
  }
}
