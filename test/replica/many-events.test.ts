/**
 * Events, operations and what the machine reports, more of them than anybody wants in memory: they are in their tables, found
 * there after a restart, and cost as few rows and reads as they may.
 */
import { expect, test } from "vitest";
import type { FeedReader } from "../../src/coordinator/index.ts";
import type { Table } from "../../src/coordinator/tables.ts";
import type { QueryAnswers } from "../../src/replica/rpc.ts";
import { Store } from "../../src/replica/store.ts";
import { Machine, putOperation } from "../coordinator/machine.ts";
import { storedRecords } from "../support/records.ts";
import { Disk, storageOn } from "./platform.ts";

const ROUNDS = 3_000;
const CHECKPOINT_EVERY = 100;
const HISTORY: readonly Table[] = [
  "events",
  "keys",
  "key_order",
  "operations",
  "operation_order",
  "system_events",
];

class Kept {
  readonly #disk = new Disk();
  reads = 0;
  #rowsBefore = 0;
  store = this.#open();
  machine = new Machine(this.store.tables);

  restart(): void {
    const { log, time } = this.machine;
    this.#rowsBefore += this.store.rowsWritten;
    this.store = this.#open();
    this.machine = new Machine(this.store.tables);
    this.machine.log.push(...log);
    this.machine.time = time;
  }

  checkpoint(): void {
    const index = this.machine.log.length;
    const configuration = { type: "stable", voters: ["a"], learners: [] } as const;
    const last = { index, term: 1, time: this.machine.time };
    const changed = this.machine.coordinator.takeChanges();
    this.store.writeCheckpoint({ last, configuration, handle: this.store.handle(index) }, changed);
  }

  /** Nothing of it is held in memory. */
  inMemory(): readonly string[] {
    return HISTORY.filter((table) => !this.store.tables.live(table)[Symbol.iterator]().next().done);
  }

  get rowsWritten(): number {
    return this.#rowsBefore + this.store.rowsWritten;
  }

  rows(): number {
    return storedRecords((query) => this.#disk.exec(query, []).rows, 0).length;
  }

  #open(): Store {
    const store = new Store(
      storageOn(this.#disk, (write) => {
        if (!write) this.reads++;
      }),
    );
    store.openTables();
    return store;
  }
}

function append(machine: Machine, n: number, retain?: number): void {
  machine.apply({
    type: "append-event",
    kind: "N",
    body: String(n),
    client_key: { scope: "s", key: `k${n}`, digest: "d" },
    ...(retain === undefined ? {} : { retain }),
  });
}

function readAll(feed: FeedReader, reports: boolean): readonly string[] {
  const texts: string[] = [];
  for (let at = feed.open(undefined, reports); at !== undefined; ) {
    const piece = feed.read(at, 500, 100_000);
    if (piece === undefined || piece.items.length === 0) break;
    texts.push(...piece.items.map(({ text }) => text));
    at = piece.cursor;
  }
  return texts;
}

function fill(kept: Kept, retain?: number): void {
  for (let n = 1; n <= ROUNDS; n++) {
    append(kept.machine, n, retain);
    kept.machine.apply(putOperation(`o${n}`, { payload: `[${n}]`, ttl_ms: 1_000_000 }));
    kept.machine.time += 10;
    if (n % CHECKPOINT_EVERY === 0) kept.checkpoint();
    if (n % (10 * CHECKPOINT_EVERY) === 0) kept.restart();
  }
}

test("all of them are in tables after a checkpoint, and found there in order after a restart", () => {
  const kept = new Kept();
  fill(kept);
  expect(kept.inMemory()).toEqual([]);
  const { coordinator } = kept.machine;
  const numbers = Array.from({ length: ROUNDS }, (_, at) => at + 1);
  expect(readAll(coordinator.feed, false)).toEqual(numbers.map(String));
  const reports = readAll(coordinator.feed, true).filter((text) => text.startsWith('{"System"'));
  expect(reports.map((text) => /"payload":\[(\d+)\]/.exec(text)?.[1])).toEqual(numbers.map(String));
  const listed: string[] = [];
  for (let after = 0, more = true; more; ) {
    const query = { type: "operations", after, limit: 500 } as const;
    const { items, next_cursor } = coordinator.query(query) as QueryAnswers["operations"];
    listed.push(...items.map(({ operation_id }) => operation_id));
    more = next_cursor !== undefined;
    after = Number(next_cursor);
  }
  expect(listed).toEqual(numbers.map((n) => `o${n}`));
  // Reading has not brought them back to stay.
  expect(kept.inMemory()).toEqual([]);
  append(kept.machine, 1);
  expect(coordinator.eventCount).toBe(ROUNDS);
});

test("each costs a row of its own and a small part of a shared one, and applying it few reads", () => {
  const kept = new Kept();
  fill(kept);
  // An event, its key and an operation have a record each.
  expect(kept.rowsWritten).toBeLessThan(1.1 * 3 * ROUNDS);
  expect(kept.rowsWritten).toBeGreaterThan(3 * ROUNDS);
  expect(kept.reads).toBeLessThan(2 * 2 * ROUNDS);
});

test("what is no longer kept leaves no rows behind", () => {
  const kept = new Kept();
  fill(kept, 50);
  expect(kept.machine.coordinator.eventCount).toBe(50);
  kept.machine.time += 25 * 3_600_000;
  append(kept.machine, 0, 1);
  kept.checkpoint();
  kept.machine.time += 25 * 3_600_000;
  append(kept.machine, 0, 1);
  kept.checkpoint();
  // The last event with its key, the ring of reports, and whole buckets of what was just used.
  expect(kept.rows()).toBeLessThan(ROUNDS / 64 + 10);
});
