/** What a handler is given, and what it may give back. */
import type { Configuration } from "../api/configuration.ts";
import type { Problem, Reply } from "../api/problem.ts";
import type { ReplicaName } from "../replica/rpc.ts";
import type { Cluster } from "./cluster.ts";
import type { Access, Declaration } from "./declaration.ts";

export interface RequestContext {
  readonly request: Request;
  readonly request_id: string;
  readonly configuration: Configuration;
  readonly cluster: Cluster;
  /** The replica whose own routes were asked for. */
  readonly own: ReplicaName | undefined;
  /** Parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Parameters of the address; of one given twice the last counts. */
  readonly query: Readonly<Record<string, string>>;
  /** Name of the token, or `-` where none is needed. */
  readonly token: string;
  /** The script of the page at `/docs`. */
  readonly viewer: string;
}

/** A `Response` is what has a body in pieces, or was made elsewhere. */
export type Handled = Reply | Response | Problem;
export type Handler = (context: RequestContext) => Promise<Handled> | Handled;

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly access: Access;
  readonly declares: Declaration;
  /** Also answered while the replica whose own route it is is stopped. */
  readonly passesStop?: true;
  readonly handle: Handler;
}

/** JSON with the request id, which every answer of the task API carries. */
export function answer(
  context: RequestContext,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return plain(status, { ...body, request_id: context.request_id }, headers);
}

/** JSON as it stands. */
export function plain(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    status,
    body: JSON.stringify(body),
    headers: { ...headers, "content-type": "application/json" },
  };
}

/** JSON text that is there already, an object with at least one field; the request id is added to it. */
export function answerText(
  context: RequestContext,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status: 200,
    body: `${text.slice(0, -1)},"request_id":${JSON.stringify(context.request_id)}}`,
    headers: { ...headers, "content-type": "application/json" },
  };
}

export const NO_CONTENT: Reply = { status: 204, body: null, headers: {} };

/** What a replica streams, with the headers that are the client's. */
export function streamedAnswer({ body, headers }: Response): Response {
  const shown = new Headers();
  for (const name of ["content-type", "cache-control", "x-raft-applied-index"]) {
    const value = headers.get(name);
    if (value !== null) shown.set(name, value);
  }
  return new Response(body, { headers: shown });
}
