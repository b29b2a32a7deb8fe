/**
 * Operations as a client puts, reads and carries them out. A PUT is repeated under its id until it is known what became
 * of it; who carries operations out reads them in the order of the log, from a place that he keeps.
 */
import type { OperationAnswer, OperationView } from "../api/operations.ts";
import type { List } from "../api/tasks.ts";
import { type Channel, PAUSE_MS_FIRST, pause, RETRY_FOR_MS } from "./channel.ts";
import type {
  CallOptions,
  ClientOptions,
  CommittedOperation,
  OperationCalls,
  OperationFilter,
  ReadOptions,
} from "./client.ts";
import { ClientError } from "./errors.ts";
import { followEvents } from "./event-stream.ts";
import { at, bodyOf, json, query } from "./paths.ts";

const OPERATIONS = "/api/v1/operations";
const PAGE = 500;

export function operationCalls(channel: Channel, client: ClientOptions): OperationCalls {
  function read(path: string, { signal, retry_for_ms }: CallOptions): Promise<Response> {
    return channel({ method: "GET", path, signal, retry_for_ms });
  }

  function page({ state, after, limit, consistency, ...options }: OperationFilter): Promise<Response> {
    return read(`${OPERATIONS}${query({ state, after, limit, consistency })}`, options);
  }

  async function put(...[operation_id, operation, options = {}]: Parameters<OperationCalls["put"]>) {
    const { wait, signal } = options;
    const retry_for_ms = options.retry_for_ms ?? client.retry_for_ms ?? RETRY_FOR_MS;
    const deadline = Date.now() + retry_for_ms;
    for (;;) {
      const response = await channel({
        method: "PUT",
        path: at`/api/v1/operations/${operation_id}` + query({ wait }),
        body: operation,
        wait_ms: (wait ?? 0) * 1_000,
        signal,
        retry_for_ms: Math.max(0, deadline - Date.now()),
      });
      const answer = await json<OperationAnswer>(response);
      // What was appended may be overwritten: only a repeat finds out, and then does it anew.
      if (answer.committed || wait !== undefined || Date.now() >= deadline) return answer;
      await pause(PAUSE_MS_FIRST, signal);
    }
  }

  /** What the list shows behind `after`. Returns up to where it has shown everything. */
  async function* listed(after: number, options: CallOptions): AsyncGenerator<CommittedOperation, number> {
    for (let from = after; ; ) {
      const response = await page({ ...options, state: "COMMITTED", after: from, limit: PAGE });
      const seen = Number(response.headers.get("x-raft-applied-index") ?? 0);
      const { items, next_cursor } = await json<List<OperationView>>(response);
      for (const { operation_id, type, payload, log_index, term } of items)
        yield { operation_id, type, payload, log_index, term };
      if (next_cursor === undefined) return Math.max(from, seen);
      from = Number(next_cursor);
    }
  }

  async function* committed(
    options: Parameters<OperationCalls["committed"]>[0],
  ): AsyncGenerator<CommittedOperation, never> {
    for (let { after } = options; ; ) {
      try {
        // Of an entry that puts an operation, nothing but that is reported.
        const events = followEvents(channel, { ...options, after: `${after}.0`, include: "system" });
        for await (const { event } of events) {
          const operation = operationOf(event);
          if (operation === undefined || operation.log_index <= after) continue;
          after = operation.log_index;
          yield operation;
        }
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== "events-compacted") throw error;
        // The last reports are kept, operations for longer.
        after = yield* listed(after, options);
      }
    }
  }

  return {
    put,
    get: async (operation_id, { consistency, ...options } = {}) =>
      json(await read(at`/api/v1/operations/${operation_id}` + query({ consistency }), options)),
    list: async (filter = {}) => json(await page(filter)),
    export: (options) => exported(channel, options),
    committed,
    async handle(handler, options) {
      for await (const operation of committed(options)) await handler(operation);
      throw new Error("the operations have come to an end");
    },
  };
}

function operationOf(event: object): CommittedOperation | undefined {
  const { System } = event as { readonly System?: { readonly "operation.committed"?: CommittedOperation } };
  return System?.["operation.committed"];
}

async function* exported(
  channel: Channel,
  { consistency, signal, retry_for_ms }: ReadOptions = {},
): AsyncGenerator<OperationView, void> {
  const path = `${OPERATIONS}/export${query({ consistency })}`;
  const response = await channel({ method: "GET", path, streamed: true, signal, retry_for_ms });
  let rest = "";
  for await (const text of bodyOf(response).pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as OperationView;
  }
}
