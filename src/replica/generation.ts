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

interface StoredRecord extends Record<string, string> {
  readonly key: string;
  readonly body: string;
}

/**
 * Stands as the key where several records have one place. The body is a list of their keys then, and theirs stand in a table
 * of their own, so that no row grows with their number.
 */
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

export class Generation {
  readonly number: number;
  readonly live: string;
  readonly arrivals: string;
  /** Bodies of records that share places. */
  readonly #sharing: string;
  readonly #sql: SqlStorage;
  readonly #statements: ReadonlyMap<StoredTable, Statements>;

  constructor(sql: SqlStorage, number: number) {
    this.#sql = sql;
    this.number = number;
    this.live = `live_${number}`;
    this.arrivals = `arrivals_${number}`;
    this.#sharing = `sharing_${number}`;
    this.#statements = new Map(STORED_TABLES.map((table) => [table, statementsFor(`${table}_${number}`)]));
    for (const [table, { name }] of this.#statements) {
      const [type, without] = isPlacedByText(table) ? ["TEXT", " WITHOUT ROWID"] : ["INTEGER", ""];
      sql.exec(
        `CREATE TABLE IF NOT EXISTS ${name} (place ${type} PRIMARY KEY, key TEXT, body TEXT NOT NULL)${without}`,
      );
    }
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.#sharing} (place TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID`,
    );
    sql.exec(`CREATE TABLE IF NOT EXISTS ${this.live} (number INTEGER PRIMARY KEY, body TEXT NOT NULL)`);
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.arrivals} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, body TEXT NOT NULL)`,
    );
  }

  drop(): void {
    const tables = Array.from(this.#statements.values(), ({ name }) => name);
    for (const name of [...tables, this.#sharing, this.live, this.arrivals])
      this.#sql.exec(`DROP TABLE ${name}`);
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
      const { where, bindings } = range(table, after);
      const from = `FROM ${this.#of(table).name} WHERE ${where} ORDER BY place`;
      const rows = this.#fitting<StoredRecord>({ columns: COLUMNS, from, bindings }, charactersMax);
      if (rows.length > 0)
        return this.#recordsIn(table, rows).map(({ key, body }) => ["records", table, key, body]);
    }
    return [];
  }

  /** Records behind `after`, up to `through` or the end. Rows written. */
  clearRecords(after: RecordPlace, through: RecordPlace | undefined): number {
    let rows = 0;
    for (const table of STORED_TABLES) {
      if (table < after[0] || (through !== undefined && table > through[0])) continue;
      const { name } = this.#of(table);
      const { where, bindings } = range(table, after, through);
      if (sharesPlaces(table)) {
        const shared = `SELECT ? || char(10) || value FROM ${name}, json_each(${name}.body) WHERE ${name}.key = ? AND ${where}`;
        const query = `DELETE FROM ${this.#sharing} WHERE place IN (${shared})`;
        rows += this.#sql.exec(query, table, SHARED, ...bindings).rowsWritten;
      }
      rows += this.#sql.exec(`DELETE FROM ${name} WHERE ${where}`, ...bindings).rowsWritten;
    }
    return rows;
  }

  record(table: StoredTable, key: string): string | undefined {
    const row = this.#row(table, placeOf(table, key));
    return row && this.#recordsIn(table, [row]).find((one) => one.key === key)?.body;
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
    const rows = this.#sql.exec<StoredRecord>(this.#of(table).several, list).toArray();
    return this.#recordsIn(table, rows);
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

  #row(table: StoredTable, place: string): StoredRecord | undefined {
    return this.#sql.exec<StoredRecord>(this.#of(table).at, place).toArray()[0];
  }

  #recordsIn(table: StoredTable, rows: readonly StoredRecord[]): readonly StoredRecord[] {
    if (!sharesPlaces(table)) return rows;
    return rows.flatMap((row) => (row.key === SHARED ? this.#sharers(table, row) : [row]));
  }

  #sharers(table: StoredTable, row: StoredRecord): readonly StoredRecord[] {
    const query = `SELECT body FROM ${this.#sharing} WHERE place = ?`;
    return keysIn(row).map((key) => {
      const sharer = this.#sql.exec<{ body: string }>(query, sharerOf(table, key)).toArray()[0];
      if (sharer === undefined) throw new Error(`${key} of ${table} is listed, and not there`);
      return { key, body: sharer.body };
    });
  }

  #put(table: StoredTable, key: string, body: string): number {
    const place = placeOf(table, key);
    const { rowsWritten } = this.#sql.exec(this.#of(table).insert, place, keyColumn(table, key), body);
    return rowsWritten > 0 ? rowsWritten : this.#putBeside(table, place, { key, body });
  }

  /** Another record has this place, or several have. */
  #putBeside(table: StoredTable, place: string, record: StoredRecord): number {
    const row = this.#row(table, place);
    if (row === undefined) throw new Error(`nothing is at ${place} of ${table}`);
    const known = row.key === SHARED ? keysIn(row) : [];
    if (known.includes(record.key)) return this.#putSharer(table, record);
    const first = row.key === SHARED ? 0 : this.#putSharer(table, row);
    const keys = row.key === SHARED ? known : [row.key];
    return first + this.#putSharer(table, record) + this.#list(table, place, [...keys, record.key]);
  }

  #putSharer(table: StoredTable, { key, body }: StoredRecord): number {
    const query = `INSERT OR REPLACE INTO ${this.#sharing} (place, body) VALUES (?, ?)`;
    return this.#sql.exec(query, sharerOf(table, key), body).rowsWritten;
  }

  #delete(table: StoredTable, key: string): number {
    const place = placeOf(table, key);
    const { rowsWritten } = this.#sql.exec(this.#of(table).delete, place, keyColumn(table, key));
    if (rowsWritten > 0 || !sharesPlaces(table)) return rowsWritten;
    const row = this.#row(table, place);
    const keys = row?.key === SHARED ? keysIn(row) : [];
    if (!keys.includes(key)) return 0;
    const query = `DELETE FROM ${this.#sharing} WHERE place = ?`;
    const others = keys.filter((one) => one !== key);
    return this.#sql.exec(query, sharerOf(table, key)).rowsWritten + this.#list(table, place, others);
  }

  /** These are all that have this place. */
  #list(table: StoredTable, place: string, keys: readonly string[]): number {
    const statements = this.#of(table);
    if (keys.length === 0) return this.#sql.exec(statements.delete, place, SHARED).rowsWritten;
    const query = `UPDATE ${statements.name} SET key = ?, body = ? WHERE place = ?`;
    return this.#sql.exec(query, SHARED, JSON.stringify(keys), place).rowsWritten;
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

function keysIn({ body }: StoredRecord): readonly string[] {
  return JSON.parse(body) as readonly string[];
}

function sharerOf(table: StoredTable, key: string): string {
  return `${table}\n${key}`;
}

/** Of the rows of `table`: those behind `after`, up to `through`. */
function range(
  table: StoredTable,
  after: RecordPlace,
  through?: RecordPlace,
): { readonly where: string; readonly bindings: readonly string[] } {
  const bounds = [
    ...(table === after[0] ? [["place > ?", after[1]] as const] : []),
    ...(table === through?.[0] ? [["place <= ?", through[1]] as const] : []),
  ];
  const where = bounds.map(([condition]) => condition).join(" AND ") || "TRUE";
  return { where, bindings: bounds.map(([, place]) => place) };
}

/** Rows looked at for one chunk. */
const ROWS_MAX = 1_000;
