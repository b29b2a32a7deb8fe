/** Server-sent events from the body of an answer, as they come in. Comments are skipped. */

export interface ServerSentEvent {
  /** Where the stream is with it; absent where the event has no place of its own. */
  readonly id?: string;
  /** `message` where none is named. */
  readonly event: string;
  /** Absent where it only says where the stream is. */
  readonly data?: string;
}

/**
 * Ends with the body. Whoever stops reading lets go of the body.
 *
 * @param idle_ms after which it throws, if nothing came in, not even a comment
 */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  idle_ms = Number.POSITIVE_INFINITY,
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event: { id?: string; event: string; data?: string } = { event: "message" };
  try {
    for (;;) {
      const part = await within(idle_ms, reader.read());
      if (part.done) return;
      rest += decoder.decode(part.value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          const complete = event;
          event = { event: "message" };
          if (complete.data !== undefined || complete.id !== undefined) yield complete;
          continue;
        }
        const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (field === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
        else if (field === "id") event.id = value;
        else if (field === "event") event.event = value;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function within<Value>(idle_ms: number, reading: Promise<Value>): Promise<Value> {
  if (idle_ms === Number.POSITIVE_INFINITY) return reading;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came in for ${idle_ms} ms`)), idle_ms);
    void reading.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
