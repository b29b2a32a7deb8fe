/** Event streams as a client sees them: opened, read as they come, closed. */
import { serverSentEvents } from "../../src/client/server-sent-events.ts";
import { type Cluster, eventually } from "./harness.ts";

export interface Received {
  readonly id?: string;
  readonly event: string;
  readonly data: string;
}

export interface OpenStream {
  readonly status: number;
  readonly received: readonly Received[];
  /** The far side has ended it. */
  readonly ended: boolean;
  /** The first that is received, or has been, for which it holds. */
  find(what: string, wanted: (received: Received) => boolean): Promise<Received>;
  close(): Promise<void>;
}

export async function openStream(
  cluster: Cluster,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<OpenStream> {
  const controller = new AbortController();
  const { signal } = controller;
  const response = await cluster.fetch(path, {
    headers: { accept: "text/event-stream", ...headers },
    signal,
  });
  const { body, status } = response;
  if (body === null || !response.headers.get("content-type")?.startsWith("text/event-stream"))
    throw new Error(`${path} is no stream: ${status} ${await response.text()}`);
  const received: Received[] = [];
  let ended = false;
  const reading = (async () => {
    try {
      for await (const { data, ...event } of serverSentEvents(body))
        if (data !== undefined) received.push({ ...event, data });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    ended = true;
  })();
  return {
    status,
    received,
    get ended() {
      return ended;
    },
    find: (what, wanted) => eventually(what, async () => received.find(wanted)),
    async close() {
      controller.abort();
      await reading;
    },
  };
}
