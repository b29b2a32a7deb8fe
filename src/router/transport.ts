/** Calls to the replicas over Durable Object stubs. */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import type { Asked, ReplicaName } from "../replica/rpc.ts";

export interface CallOptions {
  readonly request_id: string;
  /** For a replica that is not among the configured ones. */
  readonly location_hint?: string | undefined;
}

/** One call each. They throw when the stub does; the outcome is then unknown. */
export interface Transport {
  /** JSON text for JSON text. */
  ask(replica: ReplicaName, path: string, text: string, options: CallOptions): Promise<string>;
  /** The same where the answer is a stream. */
  stream(replica: ReplicaName, path: string, text: string, signal: AbortSignal): Promise<Response>;
  /** Opens a WebSocket: 101 with it, or an answer that says why not. */
  open(replica: ReplicaName, path: string, signal: AbortSignal): Promise<Response>;
}

/** What is needed of a `DurableObjectNamespace`. */
export interface ReplicaNamespace<Id = unknown> {
  idFromName(name: string): Id;
  get(id: Id, options?: object): Asked & { fetch(url: string, init: object): Promise<Response> };
}

export function stubTransport<Id>(namespace: ReplicaNamespace<Id>, configuration: Configuration): Transport {
  const names = replicaNames(configuration);
  const ids = new Map<ReplicaName, Id>();
  const idOf = (replica: ReplicaName): Id => {
    const id = ids.get(replica) ?? namespace.idFromName(`${configuration.cluster_id}/${replica}`);
    ids.set(replica, id);
    return id;
  };
  // A stub that threw stays broken, so each call takes a new one; the hint counts only for the first `get` ever.
  const stub = (replica: ReplicaName, location_hint?: string | undefined) => {
    const hint = location_hint ?? configuration.location_hints[names.indexOf(replica)];
    return namespace.get(idOf(replica), hint === undefined ? {} : { locationHint: hint });
  };
  return {
    async ask(replica, path, text, { request_id, location_hint }) {
      const answer = await stub(replica, location_hint).ask(path, text, request_id);
      if (answer === undefined) throw new Error(`${path} has no answer`);
      return answer;
    },
    stream: (replica, path, body, signal) =>
      stub(replica).fetch(`https://replica${path}`, { method: "POST", body, signal }),
    open: (replica, path, signal) =>
      stub(replica).fetch(`https://replica${path}`, { headers: { upgrade: "websocket" }, signal }),
  };
}
