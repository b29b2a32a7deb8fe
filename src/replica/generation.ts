/**
 * One generation of a replica's tables: where its rows stand, and how another replica's rows get into them. A replica
 * works on one generation; another is filled beside it when its log is too far behind, and then takes its place.
 */

import {
  isPlacedBehind,
  isPlacedByText,
  placeOf,
  STORED_TABLES,
  type StoredTable,
  sharesPlaces,
} from "./places.ts";

export type RecordRow = readonly ["records", table: StoredTable, key: string, body: string | null];

/** Any row of the tables, with its columns in order. A record without a body is gone. */
export type TableRow =
  | RecordRow
  | readonly ["live", number: number, body: string]
  | readonly ["arrivals", number: number, first: number, last: number, body: string];

/** The platform binds at most a hundred values in one statement. */
const RECORDS_AT_ONCE = 33;

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

interface Statements {
  readonly name: string;
  readonly at: string;
  readonly several: string;
  readonly insert: string;
  readonly insertMany: string;
  readonly delete: string;
}

/** A row as it is read; with {@link SHARED} as its key, what shares it. */
interface StoredRecord extends Record<string, string> {
  readonly key: string;
  readonly body: string;
}

/** Stands where several records have one place: their bodies by their keys are the body then. No record has this key. */
const SHARED = "";
/** No key stands in the row where its place says it. */
const COLUMNS = "coalesce(key, CAST(place AS TEXT)) AS key, body";

function statementsFor(name: string): Statements {
  // A row of another key stays as it is, and is not counted as written.
  const insert = (rows: string) =>
    `INSERT INTO ${name} (place, key, body) VALUES ${rows} ON CONFLICT (place) DO UPDATE SET body = excluded.body WHERE key IS excluded.key`;
  return {
    name,
    at: `SELECT ${COLUMNS} FROM ${name} WHERE place = ?`,
    several: `SELECT ${COLUMNS} FROM ${name} WHERE place IN (SELECT value FROM json_each(?))`,
    insert: insert("(?, ?, ?)"),
    insertMany: insert(Array(RECORDS_AT_ONCE).fill("(?, ?, ?)").join(", ")),
    delete: `DELETE FROM ${name} WHERE place = ? AND key IS ?`,
  };
}

function keyColumn(table: StoredTable, key: string): string | null {
  return sharesPlaces(table) ? key : null;
}

function recordsIn({ key, body }: StoredRecord): readonly StoredRecord[] {
  if (key !== SHARED) return [{ key, body }];
  const sharing = Object.entries(JSON.parse(body) as Readonly<Record<string, string>>);
  return sharing.map(([own, text]) => ({ key: own, body: text }));
}

export class Generation {
  readonly number: number;
  readonly live: string;
  readonly arrivals: string;
  readonly #sql: SqlStorage;
  readonly #statements: ReadonlyMap<StoredTable, Statements>;

  constructor(sql: SqlStorage, number: number) {
    this.#sql = sql;
    this.number = number;
    this.live = `live_${number}`;
    this.arrivals = `arrivals_${number}`;
    this.#statements = new Map(STORED_TABLES.map((table) => [table, statementsFor(`${table}_${number}`)]));
    for (const [table, { name }] of this.#statements) {
      const [type, without] = isPlacedByText(table) ? ["TEXT", " WITHOUT ROWID"] : ["INTEGER", ""];
      sql.exec(
        `CREATE TABLE IF NOT EXISTS ${name} (place ${type} PRIMARY KEY, key TEXT, body TEXT NOT NULL)${without}`,
      );
    }
    sql.exec(`CREATE TABLE IF NOT EXISTS ${this.live} (number INTEGER PRIMARY KEY, body TEXT NOT NULL)`);
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.arrivals} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, body TEXT NOT NULL)`,
    );
  }

  drop(): void {
    const tables = Array.from(this.#statements.values(), ({ name }) => name);
    for (const name of [...tables, this.live, this.arrivals]) this.#sql.exec(`DROP TABLE ${name}`);
  }

  /** Rows written. */
  put(row: TableRow): number {
    switch (row[0]) {
      case "records": {
        const [, table, key, body] = row;
        return body === null ? this.#delete(table, key) : this.#put(table, key, body);
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
    for (const table of STORED_TABLES) {
      if (table < after[0]) continue;
      const from = `FROM ${this.#of(table).name} WHERE place > ? ORDER BY place`;
      const bindings = [placeBefore(table, after)];
      const rows = this.#fitting<StoredRecord>({ columns: COLUMNS, from, bindings }, charactersMax);
      if (rows.length > 0)
        return rows.flatMap(recordsIn).map(({ key, body }) => ["records", table, key, body]);
    }
    return [];
  }

  /** Records behind `after`, up to `through` or the end. Rows written. */
  clearRecords(after: RecordPlace, through: RecordPlace | undefined): number {
    let rows = 0;
    for (const table of STORED_TABLES) {
      if (table < after[0] || (through !== undefined && table > through[0])) continue;
      const query = `DELETE FROM ${this.#of(table).name} WHERE place > ?`;
      const behind = placeBefore(table, after);
      const { rowsWritten } =
        table === through?.[0]
          ? this.#sql.exec(`${query} AND place <= ?`, behind, through[1])
          : this.#sql.exec(query, behind);
      rows += rowsWritten;
    }
    return rows;
  }

  record(table: StoredTable, key: string): string | undefined {
    return this.#at(table, placeOf(table, key)).find((one) => one.key === key)?.body;
  }

  /** "" where there is none. */
  lastPlace(table: StoredTable): string {
    const query = `SELECT CAST(max(place) AS TEXT) AS place FROM ${this.#of(table).name}`;
    return this.#sql.exec<{ place: string | null }>(query).toArray()[0]?.place ?? "";
  }

  /** Those of these records that there are, and perhaps others that share their places. */
  recordsOf(table: StoredTable, keys: readonly string[]): readonly StoredRecord[] {
    const places = keys.map((key) => placeOf(table, key));
    const list = isPlacedByText(table) ? JSON.stringify(places) : `[${places.join(",")}]`;
    return this.#sql.exec<StoredRecord>(this.#of(table).several, list).toArray().flatMap(recordsIn);
  }

  /** Rows written. */
  putRecords(table: StoredTable, records: readonly (readonly [key: string, body: string])[]): number {
    const { insertMany } = this.#of(table);
    let rows = 0;
    const whole = records.length - (records.length % RECORDS_AT_ONCE);
    for (let at = 0; at < whole; at += RECORDS_AT_ONCE) {
      const together = records.slice(at, at + RECORDS_AT_ONCE);
      const values = together.flatMap(([key, body]) => [placeOf(table, key), keyColumn(table, key), body]);
      const { rowsWritten } = this.#sql.exec(insertMany, ...values);
      rows += rowsWritten;
      // Not all of them have a place to themselves.
      if (rowsWritten < together.length)
        for (const [key, body] of together) rows += this.#put(table, key, body);
    }
    for (const [key, body] of records.slice(whole)) rows += this.#put(table, key, body);
    return rows;
  }

  #of(table: StoredTable): Statements {
    const statements = this.#statements.get(table);
    if (statements === undefined) throw new Error(`records of ${table} have no rows of their own`);
    return statements;
  }

  #at(table: StoredTable, place: string): readonly StoredRecord[] {
    return this.#sql.exec<StoredRecord>(this.#of(table).at, place).toArray().flatMap(recordsIn);
  }

  #put(table: StoredTable, key: string, body: string): number {
    const place = placeOf(table, key);
    const { rowsWritten } = this.#sql.exec(this.#of(table).insert, place, keyColumn(table, key), body);
    if (rowsWritten > 0) return rowsWritten;
    const others = this.#at(table, place).filter((one) => one.key !== key);
    return this.#share(table, place, [...others, { key, body }]);
  }

  #delete(table: StoredTable, key: string): number {
    const place = placeOf(table, key);
    const { rowsWritten } = this.#sql.exec(this.#of(table).delete, place, keyColumn(table, key));
    if (rowsWritten > 0 || !sharesPlaces(table)) return rowsWritten;
    const sharing = this.#at(table, place);
    const others = sharing.filter((one) => one.key !== key);
    return others.length === sharing.length ? 0 : this.#share(table, place, others);
  }

  /** Of several records that have this place, these are all from now on: one at least. */
  #share(table: StoredTable, place: string, records: readonly StoredRecord[]): number {
    const [first, ...others] = records;
    if (first === undefined) throw new Error(`nothing is at ${place} of ${table}`);
    const together = Object.fromEntries(records.map(({ key, body }) => [key, body]));
    const row = others.length === 0 ? first : { key: SHARED, body: JSON.stringify(together) };
    const query = `UPDATE ${this.#of(table).name} SET key = ?, body = ? WHERE place = ?`;
    return this.#sql.exec(query, row.key, row.body, place).rowsWritten;
  }

  liveAfter(number: number, charactersMax: number): readonly TableRow[] {
    const from = `FROM ${this.live} WHERE number > ? ORDER BY number`;
    const rows = this.#fitting<{ number: number; body: string }>(
      { columns: "number, body", from, bindings: [number] },
      charactersMax,
    );
    return rows.map((row) => ["live", row.number, row.body]);
  }

  arrivalsAfter(number: number, charactersMax: number): readonly TableRow[] {
    const from = `FROM ${this.arrivals} WHERE number > ? ORDER BY number`;
    const rows = this.#fitting<{ number: number; first: number; last: number; body: string }>(
      { columns: "number, first, last, body", from, bindings: [number] },
      charactersMax,
    );
    return rows.map((row) => ["arrivals", row.number, row.first, row.last, row.body]);
  }

  /**
   * The first rows whose bodies fit, at least one. Counted first: a cursor that is left before its end keeps its table
   * locked, so that it could not be dropped.
   */
  #fitting<Row extends Record<string, string | number | null>>(
    {
      columns,
      from,
      bindings,
    }: { readonly columns: string; readonly from: string; readonly bindings: readonly (string | number)[] },
    charactersMax: number,
  ): readonly Row[] {
    const sizes = this.#sql
      .exec<{ size: number }>(`SELECT length(body) AS size ${from} LIMIT ${ROWS_MAX}`, ...bindings)
      .toArray();
    let characters = 0;
    const beyond = sizes.findIndex(({ size }, at) => {
      characters += size;
      return at > 0 && characters > charactersMax;
    });
    const count = beyond < 0 ? sizes.length : beyond;
    return this.#sql.exec<Row>(`SELECT ${columns} ${from} LIMIT ${count}`, ...bindings).toArray();
  }
}

/** Behind which the rows of `table` begin that are behind `after`. */
function placeBefore(table: StoredTable, after: RecordPlace): string {
  if (table === after[0]) return after[1];
  return isPlacedByText(table) ? "" : "-1";
}

/** Rows looked at for one chunk. */
const ROWS_MAX = 1_000;
