/**
 * The records with every change of them noted, so that none is forgotten by a checkpoint, nor by somebody who reads them
 * as they were at one moment.
 */
import { Frozen } from "./frozen.ts";
import type { RecordKey, Records, RecordTypes, Table } from "./tables.ts";

export class ChangedRecords {
  readonly #records: Records;
  readonly #changed = new Map<Table, Set<string>>();
  /** Told of every change before it is made. */
  readonly #frozen = new Set<Frozen>();

  constructor(records: Records) {
    this.#records = records;
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    return this.#records.get(table, key);
  }

  put<T extends Table>(table: T, key: string, record: RecordTypes[T]): void {
    for (const frozen of this.#frozen) frozen.changing(table, key);
    this.#records.put(table, key, record);
    this.#note(table, key);
  }

  add<T extends Table>(table: T, key: string, record: RecordTypes[T]): void {
    for (const frozen of this.#frozen) frozen.changing(table, key);
    this.#records.add(table, key, record);
    this.#note(table, key);
  }

  delete(table: Table, key: string): void {
    for (const frozen of this.#frozen) frozen.changing(table, key);
    this.#records.delete(table, key);
    this.#note(table, key);
  }

  /** The records of these tables as they are now, until {@link thaw}. */
  freeze(tables: readonly Table[]): Frozen {
    const frozen = new Frozen(this.#records, tables);
    this.#frozen.add(frozen);
    return frozen;
  }

  thaw(frozen: Frozen): void {
    this.#frozen.delete(frozen);
  }

  /** Changed since they were taken last. */
  get count(): number {
    let count = 0;
    for (const keys of this.#changed.values()) count += keys.size;
    return count;
  }

  /** Every record changed since the last call, each once. */
  take(): readonly RecordKey[] {
    const changed: RecordKey[] = [];
    for (const [table, keys] of this.#changed) for (const key of keys) changed.push({ table, key });
    this.#changed.clear();
    return changed;
  }

  #note(table: Table, key: string): void {
    const keys = this.#changed.get(table);
    if (keys === undefined) this.#changed.set(table, new Set([key]));
    else keys.add(key);
  }
}
