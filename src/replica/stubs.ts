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
  /** Calls on one stub arrive in order; one that threw stays broken and is thrown away. */
  const stubs = new Map<string, DurableObjectStub>();
  const stubOf = (name: string): DurableObjectStub => {
    const known = stubs.get(name);
    if (known) return known;
    const locationHint = location_hints[names.indexOf(name)] as DurableObjectLocationHint | undefined;
    const id = namespace.idFromName(`${cluster_id}/${name}`);
    const stub = namespace.get(id, locationHint === undefined ? undefined : { locationHint });
    stubs.set(name, stub);
    return stub;
  };
  return {
    call: async (name, path, body, timeout_ms) => {
      const stub = stubOf(name);
      // Not `AbortSignal.timeout`: its timer stays behind when the call is over. Timers fire one after the other, and on a
      // busy machine those of finished calls would hold up the heartbeat's.
      const controller = new AbortController();
      const timer = setTimeout(
        () => controller.abort(new Error(`no answer within ${timeout_ms} ms`)),
        timeout_ms,
      );
      try {
        return await stub.fetch(`https://replica${path}`, {
          method: "POST",
          body,
          headers: { [REPLICA_HEADER]: name },
          signal: controller.signal,
        });
      } catch (error) {
        if (stubs.get(name) === stub) stubs.delete(name);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
