/**
 * Operations: each takes effect once under its id, in the order of the log. What makes one fail is decided here and
 * nowhere else: that its entry came too late for its sender, or that there is no room for it.
 */

import { bucketsOf } from "./buckets.ts";
import type { EntryPlace, PutOperation } from "./commands.ts";
import type { Outcome } from "./outcomes.ts";
import { refused } from "./outcomes.ts";
import { PageBuilder } from "./page.ts";
import type { OperationEntry, OperationRecord, RingPosition } from "./records.ts";
import { Ring } from "./ring.ts";
import type { State } from "./state.ts";
import type { OperationsPage, OperationView, Query } from "./views.ts";

export const OPERATIONS_MAX = 1_000_000;
export const OPERATION_BYTES_MAX = 512 * 1024 * 1024;
/** How long a failed attempt can be looked up, if its own time is not shorter. */
export const FAILURE_MS = 3_600_000;
/** Operations looked at for one page. */
const EXAMINED_MAX = 20_000;

export class Operations {
  readonly #state: State;
  readonly #order: Ring<OperationEntry>;
  #bytes: number;

  constructor(state: State) {
    this.#state = state;
    const { operation_order, operation_bytes } = state.stored;
    this.#order = new Ring(bucketsOf(state, "operation_order"), OPERATIONS_MAX, operation_order);
    this.#bytes = operation_bytes;
  }

  get stored(): { readonly operation_order: RingPosition; readonly operation_bytes: number } {
    return { operation_order: this.#order.position, operation_bytes: this.#bytes };
  }

  /** Forgets what has been kept long enough at the time of this entry. */
  expire(): void {
    this.#order.expire(this.#state.now, (entry) => {
      if (this.#meant(entry, this.#state.get("operations", entry.operation_id)))
        this.#forget(entry.operation_id);
    });
  }

  put({ operation, ttl_ms, not_after }: PutOperation, { index, term }: EntryPlace): Outcome {
    const { operation_id, payload, ...rest } = operation;
    const known = this.record(operation_id);
    if (known?.state === "COMMITTED") {
      if (known.digest === operation.digest) return outcomeOf(known);
      const detail = `operation ${operation_id} was committed at log index ${known.log_index} with another type or payload`;
      return refused("operation-id-reused", detail);
    }
    const { now } = this.#state;
    const place = { v: 1, operation_id, log_index: index, term, time: now } as const;
    const error = this.#obstacle(operation, not_after);
    if (error === undefined) {
      const expires_at = now + ttl_ms;
      const record: OperationRecord = { ...place, ...rest, payload, state: "COMMITTED", expires_at };
      this.#remember(record);
      const { type } = record;
      this.#state.happened({
        name: "operation.committed",
        body: { operation_id, type, log_index: index, term },
      });
      return outcomeOf(record);
    }
    this.#state.commands_refused++;
    const expires_at = now + Math.min(ttl_ms, FAILURE_MS);
    const record: OperationRecord = { ...place, ...rest, state: "FAILED", expires_at, error };
    if (this.#count < OPERATIONS_MAX) this.#remember(record);
    return outcomeOf(record);
  }

  /** Undefined for what was never put, and for what has been kept long enough. */
  record(operation_id: string): OperationRecord | undefined {
    const record = this.#state.get("operations", operation_id);
    return record === undefined || record.expires_at <= this.#state.now ? undefined : record;
  }

  view(operation_id: string): OperationView | null {
    const record = this.record(operation_id);
    return record === undefined ? null : operationView(record);
  }

  /** An operation of another group; only its place is a new one. Undefined, or what is wrong with it. */
  restore(record: OperationRecord, { index, term }: EntryPlace): string | undefined {
    const { operation_id } = record;
    if (this.#state.get("operations", operation_id) !== undefined)
      return `operation ${operation_id} was taken in before`;
    if (this.#count >= OPERATIONS_MAX) return `${OPERATIONS_MAX} operations are kept already`;
    if ((record.payload === undefined) !== (record.state === "FAILED"))
      return `operation ${operation_id} is ${record.state} ${record.payload === undefined ? "without" : "with"} a payload`;
    this.#remember({ ...record, log_index: index, term });
    return undefined;
  }

  /** Entry of the newest one that is kept in order; 0 if there is none. */
  get lastIndex(): number {
    const [from, to] = this.#order.kept;
    return from === to ? 0 : this.#order.entry(to - 1).log_index;
  }

  /** Up to `limit` places behind log index `after`, in order. */
  entries(after: number, limit: number): readonly OperationEntry[] {
    const [, to] = this.#order.kept;
    const first = this.#order.search((entry) => entry.log_index > after);
    const count = Math.max(0, Math.min(limit, to - first));
    return Array.from({ length: count }, (_, nth) => this.#order.entry(first + nth));
  }

  /** In the order of their entries. */
  page({
    state,
    after,
    limit,
  }: Omit<Extract<Query, { readonly type: "operations" }>, "type">): OperationsPage {
    const page = new PageBuilder<OperationView>(limit);
    const [, to] = this.#order.kept;
    let ordinal = this.#order.search((entry) => entry.log_index > after);
    let looked_to = after;
    for (let examined = 0; ordinal < to; ordinal++, examined++) {
      const entry = this.#order.entry(ordinal);
      const record = this.record(entry.operation_id);
      const shown = this.#meant(entry, record) && (state === undefined || record.state === state);
      const ends = page.full || examined >= EXAMINED_MAX;
      if (ends || (shown && !page.add(operationView(record))))
        return { items: page.items, next_cursor: String(looked_to) };
      looked_to = entry.log_index;
    }
    return { items: page.items };
  }

  #obstacle({ payload_bytes }: PutOperation["operation"], not_after: number | undefined): string | undefined {
    const { now } = this.#state;
    if (not_after !== undefined && now > not_after)
      return `it was committed ${now - not_after} ms after its time was over (timestamp + ttl_ms)`;
    if (this.#count >= OPERATIONS_MAX) return `${OPERATIONS_MAX} operations are kept already`;
    if (this.#bytes + payload_bytes > OPERATION_BYTES_MAX)
      return `the payloads kept have ${this.#bytes} bytes, and ${OPERATION_BYTES_MAX} are allowed`;
    return undefined;
  }

  get #count(): number {
    const [from, to] = this.#order.kept;
    return to - from;
  }

  /** Whether an entry of the order stands for this record: it may be another one's by now. */
  #meant(entry: OperationEntry, record: OperationRecord | undefined): record is OperationRecord {
    return record?.log_index === entry.log_index;
  }

  #remember(record: OperationRecord): void {
    const { operation_id, log_index, expires_at } = record;
    this.#forget(operation_id);
    this.#state.put("operations", operation_id, record);
    if (record.payload !== undefined) this.#bytes += record.payload_bytes;
    this.#order.append({ operation_id, log_index }, expires_at);
  }

  #forget(operation_id: string): void {
    const record = this.#state.get("operations", operation_id);
    if (record === undefined) return;
    if (record.payload !== undefined) this.#bytes -= record.payload_bytes;
    this.#state.delete("operations", operation_id);
  }
}

function outcomeOf({ operation_id, state, log_index, term, error }: OperationRecord): Outcome {
  const reason = error === undefined ? {} : { error };
  return { type: "operation-applied", operation_id, state, log_index, term, ...reason };
}

function operationView({ v: _v, digest: _d, payload_bytes: _b, ...rest }: OperationRecord): OperationView {
  return rest;
}
