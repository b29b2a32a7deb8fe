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
  const overdue = new Overdue();
  return {
    async ask(name, path, text, timeout_ms) {
      const stub = stubOf(name);
      try {
        const answer = await overdue.watch(stub.ask(path, text), timeout_ms);
        if (answer === undefined) throw new Error("it does not hear its peers now");
        return answer;
      } catch (error) {
        if (stubs.get(name) === stub) stubs.delete(name);
        throw error;
      }
    },
  };
}

/**
 * Gives up on calls that are not answered in time; they may arrive all the same, later. One timer for all of them: one for each would cost more than the rest of
 * the call, and timers that are left behind by calls which are over would hold up the heartbeat's on a busy machine.
 */
class Overdue {
  readonly #waiting = new Set<{ readonly until: number; readonly giveUp: () => void }>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Number.POSITIVE_INFINITY;

  watch<Answer>(call: Promise<Answer>, timeout_ms: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const until = Date.now() + timeout_ms;
      const waiting = { until, giveUp: () => reject(new Error(`no answer within ${timeout_ms} ms`)) };
      this.#waiting.add(waiting);
      this.#arm(until);
      const over = (): void => void this.#waiting.delete(waiting);
      void call.then(resolve, reject).then(over);
    });
  }

  /** Looks at the latest at `until`. An earlier look does no harm. */
  #arm(until: number): void {
    if (until >= this.#due) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#due = until;
    this.#timer = setTimeout(() => this.#look(), until - Date.now());
  }

  #look(): void {
    this.#due = Number.POSITIVE_INFINITY;
    const now = Date.now();
    for (const waiting of this.#waiting) {
      if (waiting.until > now) {
        this.#arm(waiting.until);
        continue;
      }
      this.#waiting.delete(waiting);
      waiting.giveUp();
    }
  }
}
