/** The records of one kind that have rows of their own, found by their keys and read in the order of their places. */
import { fitting } from "./chunks.ts";
import { isPlacedByText, placeOf, type StoredTable, sharesPlaces } from "./places.ts";

export interface StoredRecord extends Record<string, string> {
  readonly key: string;
  readonly body: string;
}

/** Of all places, or only those behind `after` and up to `through`. */
export interface PlaceRange {
  readonly after?: string | undefined;
  readonly through?: string | undefined;
}

/** The platform binds at most a hundred values in one statement. */
const RECORDS_AT_ONCE = 33;
/**
 * Stands as the key where several records have one place. The body is a list of their keys then, and theirs stand in a table
 * of their own, so that no row grows with their number.
 */
const SHARED = "";
/** No key stands in the row where its place says it. */
const COLUMNS = "coalesce(key, CAST(place AS TEXT)) AS key, body";

/** Creates the table of bodies of records that share places, for several {@link RecordTable}. */
export function createSharing(sql: SqlStorage, name: string): void {
  sql.exec(`CREATE TABLE IF NOT EXISTS ${name} (place TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID`);
}

export class RecordTable {
  readonly #sql: SqlStorage;
  readonly #table: StoredTable;
  readonly #name: string;
  readonly #sharing: string;
  readonly #insert: string;
  readonly #insertMany: string;

  /** @param sharing name of the table that {@link createSharing} creates */
  constructor(sql: SqlStorage, table: StoredTable, name: string, sharing: string) {
    this.#sql = sql;
    this.#table = table;
    this.#name = name;
    this.#sharing = sharing;
    // A row of another key stays as it is, and is not counted as written.
    const insert = (rows: string) =>
      `INSERT INTO ${name} (place, key, body) VALUES ${rows} ON CONFLICT (place) DO UPDATE SET body = excluded.body WHERE key IS excluded.key`;
    this.#insert = insert("(?, ?, ?)");
    this.#insertMany = insert(Array(RECORDS_AT_ONCE).fill("(?, ?, ?)").join(", "));
    const [type, without] = isPlacedByText(table) ? ["TEXT", " WITHOUT ROWID"] : ["INTEGER", ""];
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${name} (place ${type} PRIMARY KEY, key TEXT, body TEXT NOT NULL)${without}`,
    );
  }

  drop(): void {
    this.#sql.exec(`DROP TABLE ${this.#name}`);
  }

  record(key: string): string | undefined {
    const row = this.#row(placeOf(this.#table, key));
    return row && this.#recordsIn([row]).find((one) => one.key === key)?.body;
  }

  /** Those of these records that there are, and perhaps others that share their places. */
  recordsOf(keys: readonly string[]): readonly StoredRecord[] {
    const places = keys.map((key) => placeOf(this.#table, key));
    const list = isPlacedByText(this.#table) ? JSON.stringify(places) : `[${places.join(",")}]`;
    const query = `SELECT ${COLUMNS} FROM ${this.#name} WHERE place IN (SELECT value FROM json_each(?))`;
    return this.#recordsIn(this.#sql.exec<StoredRecord>(query, list).toArray());
  }

  /** The first ones, in order of their places: at least one if there is any, and no more rows than fit. */
  first(range: PlaceRange, charactersMax: number): readonly StoredRecord[] {
    const { where, bindings } = conditions(range);
    const from = `FROM ${this.#name} WHERE ${where} ORDER BY place`;
    return this.#recordsIn(fitting(this.#sql, { columns: COLUMNS, from, bindings }, charactersMax));
  }

  /** "" where there is none. */
  get lastPlace(): string {
    const query = `SELECT CAST(max(place) AS TEXT) AS place FROM ${this.#name}`;
    return this.#sql.exec<{ place: string | null }>(query).toArray()[0]?.place ?? "";
  }

  /** Rows written. */
  put(key: string, body: string): number {
    const place = placeOf(this.#table, key);
    const { rowsWritten } = this.#sql.exec(this.#insert, place, this.#keyColumn(key), body);
    return rowsWritten > 0 ? rowsWritten : this.#putBeside(place, { key, body });
  }

  /** Rows written. */
  putAll(records: readonly (readonly [key: string, body: string])[]): number {
    let rows = 0;
    const whole = records.length - (records.length % RECORDS_AT_ONCE);
    for (let at = 0; at < whole; at += RECORDS_AT_ONCE) {
      const together = records.slice(at, at + RECORDS_AT_ONCE);
      const values = together.flatMap(([key, body]) => [
        placeOf(this.#table, key),
        this.#keyColumn(key),
        body,
      ]);
      const { rowsWritten } = this.#sql.exec(this.#insertMany, ...values);
      rows += rowsWritten;
      // Not all of them have a place to themselves.
      if (rowsWritten < together.length) for (const [key, body] of together) rows += this.put(key, body);
    }
    for (const [key, body] of records.slice(whole)) rows += this.put(key, body);
    return rows;
  }

  /** Rows written. */
  delete(key: string): number {
    const place = placeOf(this.#table, key);
    const rowsWritten = this.#deleteRow(place, this.#keyColumn(key));
    if (rowsWritten > 0 || !sharesPlaces(this.#table)) return rowsWritten;
    const row = this.#row(place);
    const keys = row?.key === SHARED ? keysIn(row) : [];
    if (!keys.includes(key)) return 0;
    const query = `DELETE FROM ${this.#sharing} WHERE place = ?`;
    const others = keys.filter((one) => one !== key);
    return this.#sql.exec(query, this.#sharerOf(key)).rowsWritten + this.#list(place, others);
  }

  /** Rows written. */
  clear(range: PlaceRange): number {
    const { where, bindings } = conditions(range);
    let rows = 0;
    if (sharesPlaces(this.#table)) {
      const sharers = `SELECT ? || char(10) || value FROM ${this.#name}, json_each(${this.#name}.body) WHERE ${this.#name}.key = ? AND ${where}`;
      const query = `DELETE FROM ${this.#sharing} WHERE place IN (${sharers})`;
      rows += this.#sql.exec(query, this.#table, SHARED, ...bindings).rowsWritten;
    }
    return rows + this.#sql.exec(`DELETE FROM ${this.#name} WHERE ${where}`, ...bindings).rowsWritten;
  }

  #row(place: string): StoredRecord | undefined {
    const query = `SELECT ${COLUMNS} FROM ${this.#name} WHERE place = ?`;
    return this.#sql.exec<StoredRecord>(query, place).toArray()[0];
  }

  #deleteRow(place: string, key: string | null): number {
    return this.#sql.exec(`DELETE FROM ${this.#name} WHERE place = ? AND key IS ?`, place, key).rowsWritten;
  }

  #keyColumn(key: string): string | null {
    return sharesPlaces(this.#table) ? key : null;
  }

  #recordsIn(rows: readonly StoredRecord[]): readonly StoredRecord[] {
    if (!sharesPlaces(this.#table)) return rows;
    return rows.flatMap((row) => (row.key === SHARED ? this.#sharers(row) : [row]));
  }

  #sharers(row: StoredRecord): readonly StoredRecord[] {
    const query = `SELECT body FROM ${this.#sharing} WHERE place = ?`;
    return keysIn(row).map((key) => {
      const sharer = this.#sql.exec<{ body: string }>(query, this.#sharerOf(key)).toArray()[0];
      if (sharer === undefined) throw new Error(`${key} of ${this.#name} is listed, and not there`);
      return { key, body: sharer.body };
    });
  }

  /** Another record has this place, or several have. */
  #putBeside(place: string, record: StoredRecord): number {
    const row = this.#row(place);
    if (row === undefined) throw new Error(`nothing is at ${place} of ${this.#name}`);
    const alone = row.key !== SHARED;
    const keys = alone ? [row.key] : keysIn(row);
    if (keys.includes(record.key)) return this.#putSharer(record);
    const moved = alone ? this.#putSharer(row) : 0;
    return moved + this.#putSharer(record) + this.#list(place, [...keys, record.key]);
  }

  #putSharer({ key, body }: StoredRecord): number {
    const query = `INSERT OR REPLACE INTO ${this.#sharing} (place, body) VALUES (?, ?)`;
    return this.#sql.exec(query, this.#sharerOf(key), body).rowsWritten;
  }

  /** These are all that have this place. */
  #list(place: string, keys: readonly string[]): number {
    if (keys.length === 0) return this.#deleteRow(place, SHARED);
    const query = `UPDATE ${this.#name} SET key = ?, body = ? WHERE place = ?`;
    return this.#sql.exec(query, SHARED, JSON.stringify(keys), place).rowsWritten;
  }

  /** Its place in the table of those that share. */
  #sharerOf(key: string): string {
    return `${this.#table}\n${key}`;
  }
}

function keysIn({ body }: StoredRecord): readonly string[] {
  return JSON.parse(body) as readonly string[];
}

function conditions({ after, through }: PlaceRange): {
  readonly where: string;
  readonly bindings: readonly string[];
} {
  const bounds = [
    ...(after === undefined ? [] : [["place > ?", after] as const]),
    ...(through === undefined ? [] : [["place <= ?", through] as const]),
  ];
  const where = bounds.map(([condition]) => condition).join(" AND ") || "TRUE";
  return { where, bindings: bounds.map(([, place]) => place) };
}
