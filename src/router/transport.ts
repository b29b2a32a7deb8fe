/** Calls to the replicas over Durable Object stubs. */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import { REPLICA_HEADER, REQUEST_ID_HEADER, type ReplicaName } from "../replica/rpc.ts";

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly request_id: string;
  /** For a replica that is not among the configured ones. */
  readonly location_hint?: string;
}

export interface Transport {
  /** Makes one call. Throws when the stub does or the signal aborts it; the outcome is then unknown. */
  call(replica: ReplicaName, path: string, body: string, options: CallOptions): Promise<Response>;
  /** Opens a WebSocket: 101 with it, or an answer that says why not. */
  open(replica: ReplicaName, path: string, options: CallOptions): Promise<Response>;
}

/** What is needed of a `DurableObjectNamespace`. */
export interface ReplicaNamespace<Id = unknown> {
  idFromName(name: string): Id;
  get(id: Id, options?: object): { fetch(url: string, init: object): Promise<Response> };
}

export function stubTransport<Id>(namespace: ReplicaNamespace<Id>, configuration: Configuration): Transport {
  const names = replicaNames(configuration);
  // A stub that threw stays broken, so each call takes a new one; the hint counts only for the first `get` ever.
  const stub = (replica: ReplicaName, location_hint: string | undefined) => {
    const id = namespace.idFromName(`${configuration.cluster_id}/${replica}`);
    const hint = location_hint ?? configuration.location_hints[names.indexOf(replica)];
    return namespace.get(id, hint === undefined ? {} : { locationHint: hint });
  };
  const headersOf = (replica: ReplicaName, request_id: string) => ({
    [REPLICA_HEADER]: replica,
    [REQUEST_ID_HEADER]: request_id,
  });
  return {
    async call(replica, path, body, { signal, request_id, location_hint }) {
      const headers = headersOf(replica, request_id);
      const init = { method: "POST", headers, body, signal };
      return await stub(replica, location_hint).fetch(`https://replica${path}`, init);
    },
    async open(replica, path, { signal, request_id, location_hint }) {
      const headers = { ...headersOf(replica, request_id), upgrade: "websocket" };
      return await stub(replica, location_hint).fetch(`https://replica${path}`, { headers, signal });
    },
  };
}
