/** The replicas as stubs of a Durable Object namespace. */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import { REPLICA_HEADER } from "./rpc.ts";

/** How replicas reach each other: as the platform gives it, or as a test does. */
export interface ReplicaNamespace {
  /** Rejects when the peer does not answer within `timeout_ms`; what became of the call is unknown then. */
  call(name: string, path: string, body: string, timeout_ms: number): Promise<Response>;
}

export function replicaStubs(
  namespace: DurableObjectNamespace,
  configuration: Configuration,
): ReplicaNamespace {
  const { cluster_id, location_hints } = configuration;
  const names = replicaNames(configuration);
  return {
    call: (name, path, body, timeout_ms) => {
      const locationHint = location_hints[names.indexOf(name)] as DurableObjectLocationHint | undefined;
      const id = namespace.idFromName(`${cluster_id}/${name}`);
      // A stub costs nothing to make, and one that threw stays broken: each call takes its own.
      const stub = namespace.get(id, locationHint === undefined ? undefined : { locationHint });
      return stub.fetch(`https://replica${path}`, {
        method: "POST",
        body,
        headers: { [REPLICA_HEADER]: name },
        signal: AbortSignal.timeout(timeout_ms),
      });
    },
  };
}
