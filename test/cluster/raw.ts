/** Requests that `fetch` would tidy up or refuse: paths with dots, foreign hosts, absolute addresses. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Cluster } from "./harness.ts";

export interface RawReply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** `path` goes over the wire exactly as it stands. */
export async function raw(
  cluster: Cluster,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  } = {},
): Promise<RawReply> {
  const { hostname, port } = new URL(cluster.url);
  const { method = "GET", headers = {}, body } = options;
  const sent = request({ hostname, port, path, method, headers, agent: false });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString(),
  };
}
