/**
 * Who takes part in the group, as the log says: what each configuration changed, and where each member runs. A replica
 * that was removed is remembered, since its id is never used again.
 */
import type { DescribeMember } from "./commands.ts";
import type { Outcome } from "./outcomes.ts";
import type { MemberRecord } from "./records.ts";
import type { State } from "./state.ts";

/** A member of a configuration, whoever votes first. */
export interface MemberRole {
  /** Unique for ever: a replica that comes back without its storage is another one. */
  readonly replica_id: string;
  readonly node_id: string;
  readonly role: "voter" | "learner";
}

/** What a configuration changed. */
export interface MemberChange {
  readonly type: "joined" | "promoted" | "demoted" | "removed";
  readonly node_id: string;
  readonly replica_id: string;
}

export class MemberRegister {
  readonly #state: State;
  readonly #members = new Map<string, MemberRecord>();
  /** Entry of the newest configuration. */
  #index = -1;

  constructor(state: State, known: Iterable<readonly [key: string, record: MemberRecord]>) {
    this.#state = state;
    for (const [replica_id, record] of known) {
      this.#members.set(replica_id, record);
      this.#index = Math.max(this.#index, record.log_index);
    }
  }

  get(replica_id: string): MemberRecord | undefined {
    return this.#members.get(replica_id);
  }

  /** Also those that were removed. */
  all(): readonly MemberRecord[] {
    return [...this.#members.values()];
  }

  /** Entry of the newest configuration; -1 before the first. */
  get index(): number {
    return this.#index;
  }

  /** The members from the entry `index` on. The founding ones stand at 0. An entry that was seen before changes nothing. */
  configure(members: readonly MemberRole[], index: number): readonly MemberChange[] {
    if (index <= this.#index) return [];
    this.#index = index;
    const changes: MemberChange[] = [];
    const listed = new Set(members.map(({ replica_id }) => replica_id));
    for (const { replica_id, node_id, role } of members) {
      const before = this.#members.get(replica_id);
      if (before?.role === role) continue;
      this.#put({ v: 1, replica_id, node_id, role, log_index: index });
      const type = before === undefined ? "joined" : role === "voter" ? "promoted" : "demoted";
      if (type === "joined") this.#state.happened({ name: "member.joined", body: { node_id } });
      changes.push({ type, node_id, replica_id });
    }
    for (const record of this.#members.values()) {
      const { replica_id, node_id } = record;
      if (listed.has(replica_id) || record.role === "removed") continue;
      this.#put({ ...record, role: "removed", log_index: index });
      changes.push({ type: "removed", node_id, replica_id });
      this.#state.happened({ name: "member.removed", body: { node_id } });
    }
    return changes;
  }

  describe({ node_id, location_hint }: DescribeMember): Outcome {
    this.#state.put("locations", node_id, { v: 1, node_id, location_hint });
    return { type: "done" };
  }

  location(node_id: string): string | undefined {
    return this.#state.get("locations", node_id)?.location_hint;
  }

  #put(record: MemberRecord): void {
    this.#members.set(record.replica_id, record);
    this.#state.put("members", record.replica_id, record);
  }
}
