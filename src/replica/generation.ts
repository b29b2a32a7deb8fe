/**
 * One generation of a replica's tables: where its rows stand, and how another replica's rows get into them. A replica
 * works on one generation; another is filled beside it when its log is too far behind, and then takes its place.
 */
import { fitting } from "./chunks.ts";
import { isPlacedBehind, placeOf, STORED_TABLES, type StoredTable } from "./places.ts";
import { createSharing, RecordTable, type StoredRecord } from "./record-table.ts";

export type RecordRow = readonly ["records", table: StoredTable, key: string, body: string | null];

/** Any row of the tables, with its columns in order. A record without a body is gone. */
export type TableRow =
  | RecordRow
  | readonly ["live", number: number, body: string]
  | readonly ["arrivals", number: number, first: number, last: number, body: string];

/** In the order of all records: that of tables, and within one that of places. It travels. */
export type RecordPlace = readonly [table: StoredTable | "", place: string];

export const BEFORE_ALL: RecordPlace = ["", ""];

export function recordPlace([, table, key]: RecordRow): RecordPlace {
  return [table, placeOf(table, key)];
}

export function isBehind([table, place]: RecordPlace, other: RecordPlace): boolean {
  if (table === "" || table !== other[0]) return table > other[0];
  return isPlacedBehind(table, place, other[1]);
}

export class Generation {
  readonly number: number;
  readonly live: string;
  readonly arrivals: string;
  readonly #sharing: string;
  readonly #sql: SqlStorage;
  readonly #tables: ReadonlyMap<StoredTable, RecordTable>;

  constructor(sql: SqlStorage, number: number) {
    this.#sql = sql;
    this.number = number;
    this.live = `live_${number}`;
    this.arrivals = `arrivals_${number}`;
    this.#sharing = `sharing_${number}`;
    this.#tables = new Map(
      STORED_TABLES.map((table) => [table, new RecordTable(sql, table, `${table}_${number}`, this.#sharing)]),
    );
    createSharing(sql, this.#sharing);
    sql.exec(`CREATE TABLE IF NOT EXISTS ${this.live} (number INTEGER PRIMARY KEY, body TEXT NOT NULL)`);
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.arrivals} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, body TEXT NOT NULL)`,
    );
  }

  drop(): void {
    for (const table of this.#tables.values()) table.drop();
    for (const name of [this.#sharing, this.live, this.arrivals]) this.#sql.exec(`DROP TABLE ${name}`);
  }

  /** Rows written. */
  put(row: TableRow): number {
    switch (row[0]) {
      case "records": {
        const [, table, key, body] = row;
        return body === null ? this.#of(table).delete(key) : this.#of(table).put(key, body);
      }
      case "live":
        return this.#sql.exec(
          `INSERT OR REPLACE INTO ${this.live} (number, body) VALUES (?, ?)`,
          row[1],
          row[2],
        ).rowsWritten;
      case "arrivals": {
        const [, number, first, last, body] = row;
        return this.#sql.exec(
          `INSERT OR REPLACE INTO ${this.arrivals} (number, first, last, body) VALUES (?, ?, ?, ?)`,
          number,
          first,
          last,
          body,
        ).rowsWritten;
      }
    }
  }

  /** Rows written. */
  clearNumbered(table: "live" | "arrivals"): number {
    return this.#sql.exec(`DELETE FROM ${this[table]}`).rowsWritten;
  }

  /** Records of one table in order, the first ones behind `after`: at least one if there is any, and no more than fit. */
  recordsAfter(after: RecordPlace, charactersMax: number): readonly RecordRow[] {
    for (const [table, records] of this.#tables) {
      if (table < after[0]) continue;
      const first = records.first({ after: placeIn(table, after) }, charactersMax);
      if (first.length > 0) return first.map(({ key, body }) => ["records", table, key, body]);
    }
    return [];
  }

  /** Records behind `after`, up to `through` or the end. Rows written. */
  clearRecords(after: RecordPlace, through: RecordPlace | undefined): number {
    let rows = 0;
    for (const [table, records] of this.#tables) {
      if (table < after[0] || (through !== undefined && table > through[0])) continue;
      rows += records.clear({ after: placeIn(table, after), through: through && placeIn(table, through) });
    }
    return rows;
  }

  record(table: StoredTable, key: string): string | undefined {
    return this.#of(table).record(key);
  }

  /** "" where there is none. */
  lastPlace(table: StoredTable): string {
    return this.#of(table).lastPlace;
  }

  /** Those of these records that there are, and perhaps others. */
  recordsOf(table: StoredTable, keys: readonly string[]): readonly StoredRecord[] {
    return this.#of(table).recordsOf(keys);
  }

  /** Rows written. */
  putRecords(table: StoredTable, records: readonly (readonly [key: string, body: string])[]): number {
    return this.#of(table).putAll(records);
  }

  liveAfter(number: number, charactersMax: number): readonly TableRow[] {
    const from = `FROM ${this.live} WHERE number > ? ORDER BY number`;
    const rows = fitting<{ number: number; body: string }>(
      this.#sql,
      { columns: "number, body", from, bindings: [number] },
      charactersMax,
    );
    return rows.map((row) => ["live", row.number, row.body]);
  }

  arrivalsAfter(number: number, charactersMax: number): readonly TableRow[] {
    const from = `FROM ${this.arrivals} WHERE number > ? ORDER BY number`;
    const rows = fitting<{ number: number; first: number; last: number; body: string }>(
      this.#sql,
      { columns: "number, first, last, body", from, bindings: [number] },
      charactersMax,
    );
    return rows.map((row) => ["arrivals", row.number, row.first, row.last, row.body]);
  }

  #of(table: StoredTable): RecordTable {
    const records = this.#tables.get(table);
    if (records === undefined) throw new Error(`records of ${table} have no rows of their own`);
    return records;
  }
}

/** Of a place in the order of all records, what it says of those of one table. */
function placeIn(table: StoredTable, place: RecordPlace): string | undefined {
  return table === place[0] ? place[1] : undefined;
}
