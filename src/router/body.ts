/** Request bodies: bounded however they are sent, and JSON whatever the content type says. */
import { type Problem, problem } from "../api/problem.ts";

const MIB = 1_048_576;
export const BODY_BYTES_MAX = 5 * MIB;
/** One input, event or operation. */
export const ITEM_BYTES_MAX = MIB;
/** What provers and operators send, proofs excepted. */
export const SMALL_BODY_BYTES_MAX = 256 * 1_024;
const DISCARD_BYTES_MAX = 100 * MIB;

export type Body<Value> =
  | { readonly ok: true; readonly value: Value; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: Problem };

function tooLarge(limit: number): { readonly ok: false; readonly problem: Problem } {
  const size = limit < MIB ? `${limit / 1_024} KiB` : `${limit / MIB} MiB`;
  return {
    ok: false,
    problem: problem("too-large", `the body is larger than the ${size} allowed here`),
  };
}

/**
 * Takes a body in without keeping it. A connection that is closed while the client still writes loses the answer: the
 * client would see a broken pipe where it should see a 413.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.byteLength;
    if (size > DISCARD_BYTES_MAX) {
      await reader.cancel();
      return;
    }
  }
}

/** For answers that need not look at the body. */
export async function discardBody(request: Request): Promise<void> {
  if (request.bodyUsed || request.body === null) return;
  await discard((request.body as ReadableStream<Uint8Array>).getReader());
}

async function readBytes(request: Request, limit: number): Promise<Uint8Array | undefined> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    // No more than what was announced arrives.
    if (Number(announced) <= limit) return new Uint8Array(await request.arrayBuffer());
    await discardBody(request);
    return undefined;
  }
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.byteLength;
    if (size > limit) {
      await discard(reader);
      return undefined;
    }
    chunks.push(part.value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

export function invalidBody(detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: problem("invalid-request", detail, { errors: [{ pointer: "", detail }] }) };
}

function parse(bytes: Uint8Array): Body<unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return { ok: true, value: JSON.parse(text), bytes };
  } catch (error) {
    return invalidBody(
      `the body is not valid JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The body as JSON: 413 above `limit` bytes, 400 if it is no JSON. `empty` stands for a body that is left out. */
export async function readJson(
  request: Request,
  limit: number = BODY_BYTES_MAX,
  empty?: object,
): Promise<Body<unknown>> {
  const bytes = await readBytes(request, limit);
  if (bytes === undefined) return tooLarge(limit);
  if (bytes.byteLength === 0 && empty !== undefined) return { ok: true, value: empty, bytes };
  if (bytes.byteLength === 0) return invalidBody("the body is empty; it must be a JSON object");
  return parse(bytes);
}

/**
 * The lines of a body of any length, one after the other, without their ends. Throws an {@link UnreadableBody} for one
 * that is longer than `charactersMax`, or that is no UTF-8. What is not read is taken in all the same.
 */
export async function* linesOf(request: Request, charactersMax: number): AsyncGenerator<string> {
  if (request.body === null) return;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw new UnreadableBody("the body is not UTF-8");
    }
  };
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + decode(part.value)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
      if (rest.length > charactersMax)
        throw new UnreadableBody(`a line is longer than ${charactersMax} characters`);
    }
    rest += decode();
    if (rest !== "") yield rest;
  } finally {
    await discard(reader);
  }
}

export class UnreadableBody extends Error {}

interface JsonWithSource {
  rawJSON(text: string): unknown;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

/**
 * Part of a JSON body as compact JSON text, every number as it was written: also those that no double can hold.
 * Undefined if it is nested too deeply to be written down. `write` makes the text, if it is not to be as it was sent.
 */
export function compactJson(
  bytes: Uint8Array,
  select: (value: unknown) => unknown,
  write: (value: unknown) => string = JSON.stringify,
): string | undefined {
  const json = JSON as unknown as JsonWithSource;
  try {
    const value = json.parse(new TextDecoder().decode(bytes), (_key, part, { source }) =>
      typeof part === "number" && source !== undefined ? json.rawJSON(source) : part,
    );
    return write(select(value));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
