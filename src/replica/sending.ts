/**
 * The leader's half of a snapshot in place: another replica pulls the tables in chunks, in order of their keys, while
 * checkpoints go on. What those change is pulled again. For the end the tables stand still for a moment: the receiver
 * pulls the last changes, the records that live in memory, and has a whole checkpoint.
 */
import type { SnapshotDescriptor } from "../raft/index.ts";
import type { TableRow } from "./generation.ts";
import type { Store } from "./store.ts";

export type TransferStep =
  | { readonly type: "records"; readonly after: readonly [table: string, key: string] }
  /** What checkpoints have changed since the last time. */
  | { readonly type: "changes" }
  /** The same, and from now on no checkpoint for a while. */
  | { readonly type: "pin" }
  | { readonly type: "live"; readonly after: number }
  | { readonly type: "arrivals"; readonly after: number }
  | { readonly type: "end"; readonly result: "delivered" | "failed" };

export interface TransferRequest {
  /** Chosen by the receiver. */
  readonly transfer: string;
  readonly step: TransferStep;
}

export type TransferAnswer =
  | {
      readonly type: "rows";
      readonly rows: readonly TableRow[];
      /** Nothing follows. */
      readonly done: boolean;
      /** With `pin`, if it holds: what the tables are now. */
      readonly snapshot?: SnapshotDescriptor;
    }
  /** Not known here (any more), or no longer standing still: begin again, or pin again. */
  | { readonly type: "unknown" | "moved" };

const CHUNK_CHARACTERS = 256 * 1024;
const CHANGES_PER_CHUNK = 1_000;
/** A receiver that lets so many changes pile up is slower than they come: it has to begin again. */
const CHANGES_MAX = 20_000;
const PINNED_MS = 10_000;
const FORGOTTEN_MS = 30_000;
/** A receiver that asks for nothing for so long has vanished, or forgotten the offer. */
const SILENT_MS = 1_000;

interface Transfer {
  readonly id: string;
  readonly changes: Map<string, readonly [table: string, key: string]>;
  askedAt: number;
  pinnedAt: number | undefined;
}

export class Sending {
  readonly #store: Store;
  readonly #ended: (peer: string, result: "delivered" | "failed") => void;
  readonly #transfers = new Map<string, Transfer>();
  /** Peers that were offered a snapshot, and when they were last heard about it. */
  readonly #offered = new Map<string, number>();

  constructor(store: Store, ended: (peer: string, result: "delivered" | "failed") => void) {
    this.#store = store;
    this.#ended = ended;
  }

  /** Whether the tables must not change now. */
  pinned(now: number): boolean {
    this.#forget(now);
    for (const { pinnedAt } of this.#transfers.values()) {
      if (pinnedAt !== undefined && now - pinnedAt < PINNED_MS) return true;
    }
    return false;
  }

  offered(peer: string, now: number): void {
    this.#offered.set(peer, now);
  }

  /** Tells of offers that nobody takes. An offer may be repeated: who is only slow goes on with the first. */
  attend(now: number): void {
    for (const [peer, heardAt] of this.#offered) if (now - heardAt > SILENT_MS) this.#end(peer, "failed");
  }

  /** Somebody is being sent the tables. */
  get active(): boolean {
    return this.#transfers.size > 0;
  }

  /** A checkpoint has given this record another row, or none. */
  changed(table: string, key: string): void {
    for (const [peer, transfer] of this.#transfers) {
      transfer.changes.set(`${table}\n${key}`, [table, key]);
      if (transfer.changes.size > CHANGES_MAX) this.#transfers.delete(peer);
    }
  }

  /** A checkpoint was written: whoever had the tables pinned starts its end anew. */
  moved(): void {
    for (const transfer of this.#transfers.values()) transfer.pinnedAt = undefined;
  }

  answer(peer: string, { transfer: id, step }: TransferRequest, now: number): TransferAnswer {
    this.#forget(now);
    const { generation } = this.#store.tables;
    let transfer = this.#transfers.get(peer);
    if (transfer?.id !== id) {
      const begins = step.type === "records" && step.after[0] === "";
      if (!begins) return { type: "unknown" };
      transfer = { id, changes: new Map(), askedAt: now, pinnedAt: undefined };
      this.#transfers.set(peer, transfer);
    }
    transfer.askedAt = now;
    if (this.#offered.has(peer)) this.#offered.set(peer, now);
    switch (step.type) {
      case "records":
        return chunk(generation.recordsAfter(step.after, CHUNK_CHARACTERS));
      case "changes":
      case "pin": {
        const rows = this.#changes(transfer);
        const done = transfer.changes.size === 0;
        const { checkpoint } = this.#store;
        if (step.type === "changes" || !done || checkpoint === undefined) return { type: "rows", rows, done };
        transfer.pinnedAt = now;
        return { type: "rows", rows, done, snapshot: checkpoint };
      }
      case "live":
      case "arrivals": {
        if (transfer.pinnedAt === undefined) return { type: "moved" };
        return chunk(
          step.type === "live"
            ? generation.liveAfter(step.after, CHUNK_CHARACTERS)
            : generation.arrivalsAfter(step.after, CHUNK_CHARACTERS),
        );
      }
      case "end":
        this.#transfers.delete(peer);
        this.#end(peer, step.result);
        return { type: "rows", rows: [], done: true };
    }
  }

  #end(peer: string, result: "delivered" | "failed"): void {
    this.#offered.delete(peer);
    this.#ended(peer, result);
  }

  #changes({ changes }: Transfer): readonly TableRow[] {
    const { generation } = this.#store.tables;
    const rows: TableRow[] = [];
    let characters = 0;
    for (const [id, [table, key]] of changes) {
      if (rows.length >= CHANGES_PER_CHUNK || characters > CHUNK_CHARACTERS) break;
      const body = generation.record(table, key) ?? null;
      rows.push(["records", table, key, body]);
      characters += body?.length ?? 0;
      changes.delete(id);
    }
    return rows;
  }

  #forget(now: number): void {
    for (const [peer, { askedAt }] of this.#transfers) {
      if (now - askedAt > FORGOTTEN_MS) this.#transfers.delete(peer);
    }
  }
}

function chunk(rows: readonly TableRow[]): TransferAnswer {
  return { type: "rows", rows, done: rows.length === 0 };
}
