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
}

/** What is needed of a `DurableObjectNamespace`. */
export interface ReplicaNamespace<Id = unknown> {
  idFromName(name: string): Id;
  get(id: Id, options?: object): { fetch(url: string, init: object): Promise<Response> };
}

export function stubTransport<Id>(namespace: ReplicaNamespace<Id>, configuration: Configuration): Transport {
  const names = replicaNames(configuration);
  return {
    async call(replica, path, body, { signal, request_id, location_hint }) {
      // A stub that threw stays broken, so each call takes a new one; the hint counts only for the first `get` ever.
      const id = namespace.idFromName(`${configuration.cluster_id}/${replica}`);
      const hint = location_hint ?? configuration.location_hints[names.indexOf(replica)];
      const options = hint === undefined ? {} : { locationHint: hint };
      return await namespace.get(id, options).fetch(`https://replica${path}`, {
        method: "POST",
        headers: { [REPLICA_HEADER]: replica, [REQUEST_ID_HEADER]: request_id },
        body,
        signal,
      });
    },
  };
}
