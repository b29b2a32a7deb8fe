/** Addresses, and answers read as what they are declared to be. */
import { ClientError } from "./errors.ts";

export function query(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size === 0 ? "" : `?${search}`;
}

export function at(path: TemplateStringsArray, ...parts: readonly string[]): string {
  return String.raw({ raw: path }, ...parts.map(encodeURIComponent));
}

export async function json<Body>(response: Response): Promise<Body> {
  try {
    return (await response.json()) as Body;
  } catch (cause) {
    throw unexpected(response, "a body that is not JSON", cause);
  }
}

/** The body of an answer that is streamed. */
export function bodyOf(response: Response): ReadableStream<Uint8Array> {
  if (response.body === null) throw unexpected(response, "no body");
  return response.body;
}

function unexpected({ url, status }: Response, what: string, cause?: unknown): ClientError {
  const message = `${url} answered ${status} with ${what}`;
  return new ClientError({ code: "unexpected-answer", status, message, retryable: true, cause });
}
