/**
 * Operations on their way: in this replica's log, and not applied yet. The leader knows of every one that may still
 * commit; whoever asks another replica is told what that one holds.
 */
import type { Command } from "../coordinator/commands.ts";
import type { Coordinator } from "../coordinator/index.ts";
import { isQuorum, type Raft } from "../raft/index.ts";
import type { Query, QueryAnswers } from "./rpc.ts";
import type { Store } from "./store.ts";

type OperationView = QueryAnswers["operations"]["items"][number];

const PIECE_BYTES = 1024 * 1024;

export interface TailOptions {
  readonly id: string;
  readonly raft: Pick<Raft<Command>, "status">;
  readonly store: Store;
  readonly applied: () => number;
}

export class Tail {
  readonly #options: TailOptions;

  constructor(options: TailOptions) {
    this.#options = options;
  }

  /** Whether a majority holds the entry, as far as this replica knows; only a leader knows it before it is committed. */
  replicated(index: number): boolean {
    const { id, raft, store } = this.#options;
    const { status } = raft;
    if (index <= status.commit) return true;
    if (status.role !== "leader" || status.configuration === undefined) return false;
    return isQuorum(status.configuration, (member) =>
      member === id ? store.log.lastIndex >= index : (status.progress.get(member)?.matched ?? 0) >= index,
    );
  }

  /** The latest attempt under this id. */
  operation(operation_id: string): OperationView | undefined {
    let latest: OperationView | undefined;
    for (const operation of this.operations(0))
      if (operation.operation_id === operation_id) latest = operation;
    return latest;
  }

  /** Those behind log index `after`, in the order of their entries. */
  *operations(after: number): Iterable<OperationView> {
    const { store, applied } = this.#options;
    const end = store.log.lastIndex + 1;
    for (let next = Math.max(after, applied()) + 1; next < end; ) {
      const entries = store.log.read(next, end, PIECE_BYTES);
      for (const entry of entries) {
        next = entry.index + 1;
        if (entry.type !== "command" || entry.command.type !== "put-operation") continue;
        const { digest: _d, payload_bytes: _b, ...operation } = entry.command.operation;
        const state = this.replicated(entry.index) ? "REPLICATED" : "PENDING";
        yield { ...operation, state, log_index: entry.index, term: entry.term };
      }
      if (entries.length === 0) return;
    }
  }
}

/** The state machine's answer, completed by what is on its way to it. */
export function answerWithTail(
  coordinator: Coordinator,
  tail: Tail,
  query: Query,
): QueryAnswers[Query["type"]] {
  switch (query.type) {
    case "operation": {
      const known = coordinator.query(query) as QueryAnswers["operation"];
      return known?.state === "COMMITTED" ? known : (tail.operation(query.operation_id) ?? known);
    }
    case "operations":
      return operationsWithTail(coordinator, tail, query);
    default:
      return coordinator.query(query);
  }
}

function operationsWithTail(
  coordinator: Coordinator,
  tail: Tail,
  query: Extract<Query, { readonly type: "operations" }>,
): QueryAnswers["operations"] {
  const { state, after, limit } = query;
  const uncommitted = state === "PENDING" || state === "REPLICATED";
  const page = uncommitted ? { items: [] } : (coordinator.query(query) as QueryAnswers["operations"]);
  if (page.next_cursor !== undefined || state === "COMMITTED" || state === "FAILED") return page;
  const items = [...page.items];
  let bytes = 0;
  for (const operation of tail.operations(after)) {
    if (state !== undefined && operation.state !== state) continue;
    bytes += operation.payload?.length ?? 0;
    const last = items.at(-1);
    if (last !== undefined && (items.length >= limit || bytes > PIECE_BYTES))
      return { items, next_cursor: String(last.log_index) };
    items.push(operation);
  }
  return { items };
}
