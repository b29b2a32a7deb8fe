/**
 * The leader's half of a snapshot in place: another replica pulls the tables in chunks, in the order of their places, while
 * checkpoints go on. What those change is pulled again. For the end the tables stand still for a moment: the receiver
 * pulls the last changes, the records that live in memory, and has a whole checkpoint. Number and digest of all that
 * was sent are kept up to date with every change, and told at the end.
 */
import type { SnapshotDescriptor } from "../raft/index.ts";
import { BEFORE_ALL, isBehind, type RecordPlace, recordPlace, type TableRow } from "./generation.ts";
import { placeOf, type StoredTable } from "./places.ts";
import { type RowsCheck, RowsDigest } from "./rows-digest.ts";
import type { Store } from "./store.ts";

export type TransferStep =
  | {
      readonly type: "records";
      readonly after: RecordPlace;
      /** What the receiver has from an earlier beginning, from there on: not sent again if it is the same here. */
      readonly held?: RowsCheck & { readonly through: RecordPlace };
    }
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
  /** Counts its requests: one that is repeated gets the same answer again, because the first may have been lost. */
  readonly nth: number;
  readonly step: TransferStep;
}

export type TransferAnswer =
  | {
      readonly type: "rows";
      readonly rows: readonly TableRow[];
      /** Nothing follows. */
      readonly done: boolean;
      /** What the receiver holds there is what stands here. */
      readonly same?: true;
      /** With `pin`, if it holds: what the tables are now. */
      readonly snapshot?: SnapshotDescriptor;
      /** With the last rows: of all records, of all live rows, of all arrivals. */
      readonly check?: RowsCheck;
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
  readonly changes: Map<string, readonly [table: StoredTable, key: string]>;
  /** Records up to here are with the receiver, or among the changes; all of them once it is undefined. */
  after: RecordPlace | undefined;
  /** Of the records up to there, as they stand here. */
  readonly records: RowsDigest;
  /** Of the live rows or arrivals sent so far. */
  numbered: RowsDigest;
  askedAt: number;
  pinnedAt: number | undefined;
  /** The newest request, and what it was answered with. */
  answered: { readonly nth: number; readonly answer: TransferAnswer } | undefined;
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

  /** A checkpoint is about to give this record another row, or none. */
  changing(table: StoredTable, key: string, body: string | null): void {
    const place = placeOf(table, key);
    for (const [peer, transfer] of this.#transfers) {
      // The rest has still to be sent, as it stands by then.
      if (transfer.after !== undefined && isBehind([table, place], transfer.after)) continue;
      const before = this.#store.tables.generation.record(table, key);
      if (before !== undefined) transfer.records.remove(["records", table, key, before]);
      if (body !== null) transfer.records.add(["records", table, key, body]);
      transfer.changes.set(`${table}\n${key}`, [table, key]);
      if (transfer.changes.size > CHANGES_MAX) this.#transfers.delete(peer);
    }
  }

  /** A checkpoint was written: whoever had the tables pinned starts its end anew. */
  moved(): void {
    for (const transfer of this.#transfers.values()) transfer.pinnedAt = undefined;
  }

  answer(peer: string, { transfer: id, nth, step }: TransferRequest, now: number): TransferAnswer {
    this.#forget(now);
    let transfer = this.#transfers.get(peer);
    if (transfer?.id !== id) {
      const begins = step.type === "records" && step.after[0] === "";
      if (!begins) return { type: "unknown" };
      transfer = begun(id, now);
      this.#transfers.set(peer, transfer);
    }
    transfer.askedAt = now;
    if (this.#offered.has(peer)) this.#offered.set(peer, now);
    const { answered } = transfer;
    if (answered !== undefined && nth <= answered.nth) {
      return nth === answered.nth ? answered.answer : { type: "unknown" };
    }
    const answer = this.#answer(peer, transfer, step, now);
    transfer.answered = { nth, answer };
    return answer;
  }

  #answer(peer: string, transfer: Transfer, step: TransferStep, now: number): TransferAnswer {
    const { generation } = this.#store.tables;
    switch (step.type) {
      case "records":
        return this.#records(transfer, step);
      case "changes":
      case "pin": {
        const rows = this.#changes(transfer);
        const done = transfer.changes.size === 0;
        const { checkpoint } = this.#store;
        if (step.type === "changes" || !done || checkpoint === undefined) return { type: "rows", rows, done };
        transfer.pinnedAt = now;
        return { type: "rows", rows, done, snapshot: checkpoint, check: transfer.records.check };
      }
      case "live":
      case "arrivals": {
        if (transfer.pinnedAt === undefined) return { type: "moved" };
        if (step.after === 0) transfer.numbered = new RowsDigest();
        const rows =
          step.type === "live"
            ? generation.liveAfter(step.after, CHUNK_CHARACTERS)
            : generation.arrivalsAfter(step.after, CHUNK_CHARACTERS);
        transfer.numbered.join(RowsDigest.of(rows));
        if (rows.length > 0) return { type: "rows", rows, done: false };
        return { type: "rows", rows, done: true, check: transfer.numbered.check };
      }
      case "end":
        this.#transfers.delete(peer);
        this.#end(peer, step.result);
        return { type: "rows", rows: [], done: true };
    }
  }

  #records(
    transfer: Transfer,
    { after, held }: Extract<TransferStep, { readonly type: "records" }>,
  ): TransferAnswer {
    const { generation } = this.#store.tables;
    const rows = generation.recordsAfter(after, CHUNK_CHARACTERS);
    if (held !== undefined) {
      const theirs = rows.filter((row) => !isBehind(recordPlace(row), held.through));
      const digest = RowsDigest.of(theirs);
      // Where the chunk ends before what they hold does, it cannot be the same.
      if (digest.equals(held)) {
        transfer.records.join(digest);
        transfer.after = held.through;
        return { type: "rows", rows: [], done: false, same: true };
      }
    }
    transfer.records.join(RowsDigest.of(rows));
    const last = rows.at(-1);
    transfer.after = last && recordPlace(last);
    return { type: "rows", rows, done: last === undefined };
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

function begun(id: string, now: number): Transfer {
  return {
    id,
    changes: new Map(),
    after: BEFORE_ALL,
    records: new RowsDigest(),
    numbered: new RowsDigest(),
    askedAt: now,
    pinnedAt: undefined,
    answered: undefined,
  };
}
