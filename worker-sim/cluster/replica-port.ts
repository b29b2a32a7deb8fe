/**
 * The local port of one replica: a proxy that puts `/replicas/{name}` before the path and sends the request to the
 * router, bodies streaming both ways. Authentication, validation and verification are the router's: nothing can be
 * sent here that could not be sent there.
 */

import { randomUUID } from "node:crypto";
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { problem, problemReply } from "../../src/api/problem.ts";
import { HOST } from "./layout.ts";

export interface ReplicaPort {
  readonly port: number;
  close(): Promise<void>;
}

export interface ReplicaPortOptions {
  readonly name: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly routerPort: number;
  readonly tls?: { readonly key: string; readonly certificate: string };
}

/** Headers that concern one connection, not the message (RFC 9110, 7.6.1). */
const CONNECTION_HEADERS = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

function messageHeaders(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  const kept = { ...headers };
  for (const name of CONNECTION_HEADERS) delete kept[name];
  return kept;
}

async function answerUnreachable(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  name: string,
): Promise<void> {
  const given = incoming.headers["x-request-id"];
  const request_id = typeof given === "string" ? given : randomUUID();
  const failure = problem(
    "replica-unreachable",
    `${name} cannot be reached: the local runtime is not running, or is just starting.`,
  );
  const { status, headers, body } = problemReply(failure, { instance: incoming.url ?? "/", request_id });
  outgoing.writeHead(status, { ...headers, "x-request-id": request_id });
  outgoing.end(body);
}

/** Listens, and resolves when it does. */
export async function openReplicaPort(options: ReplicaPortOptions): Promise<ReplicaPort> {
  const { name, tls } = options;
  const agent =
    tls === undefined
      ? new Agent({ keepAlive: true })
      : new TlsAgent({ keepAlive: true, ca: tls.certificate });
  const send = tls === undefined ? request : tlsRequest;

  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const upstream = send({
      agent,
      host: HOST,
      port: options.routerPort,
      servername: "localhost",
      method: incoming.method,
      path: `/replicas/${name}${incoming.url?.startsWith("/") ? incoming.url : "/"}`,
      headers: messageHeaders(incoming.headers),
    });
    upstream.on("response", (response) => {
      outgoing.writeHead(response.statusCode ?? 502, messageHeaders(response.headers));
      response.on("error", () => outgoing.destroy());
      response.pipe(outgoing);
    });
    upstream.on("error", () => {
      if (outgoing.headersSent) outgoing.destroy();
      else void answerUnreachable(incoming, outgoing, name);
    });
    outgoing.on("close", () => {
      if (!outgoing.writableFinished) upstream.destroy();
    });
    incoming.on("error", () => upstream.destroy());
    incoming.pipe(upstream);
  };

  const server: Server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer({ key: tls.key, cert: tls.certificate }, handle);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, HOST, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
