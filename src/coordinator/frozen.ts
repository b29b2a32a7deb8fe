/**
 * The records as they are at one moment, while the machine goes on: what is about to be changed is kept as it was, for
 * as long as somebody reads. Bounded: a reader that is much slower than the changes has to begin again.
 */
import type { Records, RecordTypes, Table } from "./tables.ts";

export const FROZEN_CHANGES_MAX = 50_000;

export class Frozen {
  readonly #records: Records;
  readonly #before = new Map<Table, Map<string, unknown>>();
  #kept = 0;

  /** @param tables what can be read */
  constructor(records: Records, tables: readonly Table[]) {
    this.#records = records;
    for (const table of tables) this.#before.set(table, new Map());
  }

  /** Too much has changed: it cannot be read any more. */
  get lost(): boolean {
    return this.#kept > FROZEN_CHANGES_MAX;
  }

  /** Told before a record is replaced, made or deleted. */
  changing(table: Table, key: string): void {
    const before = this.#before.get(table);
    if (before === undefined || before.has(key) || this.lost) return;
    before.set(key, this.#records.get(table, key));
    this.#kept++;
    if (this.lost) for (const kept of this.#before.values()) kept.clear();
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    const before = this.#before.get(table);
    if (before === undefined) throw new Error(`${table} were not frozen`);
    return before.has(key) ? (before.get(key) as RecordTypes[T] | undefined) : this.#records.get(table, key);
  }

  /** Those that are not as they were any more, as they were. */
  *changed<T extends Table>(table: T): Iterable<readonly [key: string, record: RecordTypes[T]]> {
    for (const [key, record] of this.#before.get(table) ?? [])
      if (record !== undefined) yield [key, record as RecordTypes[T]];
  }
}
