/**
 * What an isolate believes of the group, shared by all its requests: who leads, who takes part, whether the replicas
 * exist yet. Beliefs only, nothing that a request waits for: whatever is wrong here costs a detour.
 */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import { NODE_ID } from "../api/members.ts";
import type { Leadership, ReplicaName } from "../replica/rpc.ts";
import type { Group } from "./group.ts";

const CREATE_MS = 1_000;
/** An unknown name makes the router ask who takes part, but not more often. */
const ASK_AGAIN_MS = 500;

const known = new Map<string, Beliefs>();

export class Beliefs {
  readonly hint: Group["hint"] = { leader: undefined };
  readonly #founders: readonly ReplicaName[];
  /** Who takes part, as far as this isolate has heard, and the entry that says so. */
  #members: { readonly names: readonly ReplicaName[]; readonly index: number } | undefined;
  #askedAt = 0;
  #created = false;
  /** Somebody is creating until then: a request that is cut off does not finish it. */
  #creatingUntil = 0;

  private constructor(founders: readonly ReplicaName[]) {
    this.#founders = founders;
  }

  static of(configuration: Configuration): Beliefs {
    const { cluster_id } = configuration;
    const beliefs = known.get(cluster_id) ?? new Beliefs(replicaNames(configuration));
    known.set(cluster_id, beliefs);
    return beliefs;
  }

  /** Who takes part: the configured replicas until one of them has said more. */
  get names(): readonly ReplicaName[] {
    return this.#members?.names ?? this.#founders;
  }

  /** Whether there is such a replica. One that founded the group says itself when it takes part no longer. */
  includes(name: string): boolean {
    return this.names.includes(name) || this.#founders.includes(name);
  }

  /** Whether the group should be asked about a name that is new here. Whoever is told so asks. */
  asksAbout(name: string): boolean {
    if (!NODE_ID.test(name) || Date.now() - this.#askedAt < ASK_AGAIN_MS) return false;
    this.#askedAt = Date.now();
    return true;
  }

  /** Replicas learn of members as they apply the log: of two that differ, the newer one counts. */
  learn({ members, members_index }: Leadership): void {
    if (members === undefined || members_index === undefined) return;
    if (this.#members !== undefined && this.#members.index >= members_index) return;
    this.#members = { names: members, index: members_index };
  }

  /**
   * Has every replica asked once. Location hints count only where an object is first asked for: the router asks before any
   * peer does. Nobody waits for the answers.
   */
  create(ask: (name: ReplicaName, timeout_ms: number) => Promise<Leadership | undefined>): void {
    if (this.#created || Date.now() < this.#creatingUntil) return;
    this.#creatingUntil = Date.now() + CREATE_MS;
    void Promise.all(this.names.map((name) => ask(name, CREATE_MS))).then((answers) => {
      this.#created = true;
      for (const seen of answers) {
        if (seen === undefined) continue;
        this.hint.leader ??= seen.leader;
        this.learn(seen);
      }
    });
  }
}
