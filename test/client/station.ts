/** A small HTTP server that answers as a test says, for what a client does when things go wrong. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect } from "vitest";
import { ClientError } from "../../src/client/index.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Station {
  readonly url: string;
  readonly seen: Seen[];
}

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** Answers the nth request with the nth answer, and the last one from then on; `hang up` cuts the connection. */
export async function station(...answers: readonly ((response: ServerResponse) => void)[]): Promise<Station> {
  const seen: Seen[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const { method = "", url: path = "", headers } = incoming;
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ method, path, headers, body });
    answer?.(response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

export const hangUp = (response: ServerResponse): void => void response.socket?.destroy();

export function answering(status: number, body: object = {}, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(status === 204 ? undefined : JSON.stringify(body));
  };
}

export function failing(
  status: number,
  code: string,
  retryable: boolean,
  headers: Record<string, string> = {},
) {
  const body = { status, code, retryable, detail: `it is ${code}`, request_id: "r-9" };
  return answering(status, body, { "content-type": "application/problem+json", ...headers });
}

export async function errorOf(promise: Promise<unknown>): Promise<ClientError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ClientError);
  return error as ClientError;
}
