/** The replicas as stubs of a Durable Object namespace. */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import type { Asked } from "./rpc.ts";

/** How replicas reach each other: as the platform gives it, or as a test does. */
export interface ReplicaNamespace {
  /**
   * What the peer answers to this JSON text, as text. Rejects when it does not within `timeout_ms`; what became of the
   * call is unknown then.
   */
  ask(name: string, path: string, text: string, timeout_ms: number): Promise<string>;
}

/** What is needed of a `DurableObjectNamespace`. */
export interface Objects<Id = DurableObjectId> {
  idFromName(name: string): Id;
  get(id: Id, options?: { readonly locationHint: DurableObjectLocationHint }): Asked;
}

export function replicaStubs(namespace: Objects, configuration: Configuration): ReplicaNamespace {
  const { cluster_id, location_hints } = configuration;
  const names = replicaNames(configuration);
  /** Calls on one stub arrive in order; one that threw stays broken and is thrown away. */
  const stubs = new Map<string, Asked>();
  const stubOf = (name: string): Asked => {
    const known = stubs.get(name);
    if (known) return known;
    const locationHint = location_hints[names.indexOf(name)] as DurableObjectLocationHint | undefined;
    const id = namespace.idFromName(`${cluster_id}/${name}`);
    const stub = namespace.get(id, locationHint === undefined ? undefined : { locationHint });
    stubs.set(name, stub);
    return stub;
  };
  return {
    async ask(name, path, text, timeout_ms) {
      const stub = stubOf(name);
      const tooLate = Promise.withResolvers<never>();
      // Cleared when the call is over: timers fire one after the other, and on a busy machine those of finished calls
      // would hold up the heartbeat's.
      const giveUp = (): void => tooLate.reject(new Error(`no answer within ${timeout_ms} ms`));
      const timer = setTimeout(giveUp, timeout_ms);
      try {
        const answer = await Promise.race([stub.ask(path, text), tooLate.promise]);
        if (answer === undefined) throw new Error("it does not hear its peers now");
        return answer;
      } catch (error) {
        if (stubs.get(name) === stub) stubs.delete(name);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
