/** Server-sent events from the body of an answer, as they come in. Comments are skipped. */

export interface ServerSentEvent {
  /** Absent where the event has none of its own: it cannot be resumed behind it. */
  readonly id?: string;
  /** `message` where none is named. */
  readonly event: string;
  readonly data: string;
}

/** Ends with the body. Whoever stops reading lets go of the body. */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event: { id?: string; event: string; data?: string } = { event: "message" };
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      rest += decoder.decode(part.value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          const { data, ...others } = event;
          event = { event: "message" };
          if (data !== undefined) yield { ...others, data };
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
