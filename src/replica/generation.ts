/**
 * One generation of a replica's tables: where its rows stand, and how another replica's rows get into them. A replica
 * works on one generation; another is filled beside it when its log is too far behind, and then takes its place.
 */

export type RecordRow = readonly ["records", table: string, key: string, body: string | null];

/** Any row of the tables, with its columns in order. A record without a body is gone. */
export type TableRow =
  | RecordRow
  | readonly ["live", number: number, body: string]
  | readonly ["arrivals", number: number, first: number, last: number, body: string];

export class Generation {
  readonly number: number;
  readonly records: string;
  readonly live: string;
  readonly arrivals: string;
  readonly #sql: SqlStorage;
  readonly #body: string;
  readonly #bodies: string;

  constructor(sql: SqlStorage, number: number) {
    this.#sql = sql;
    this.number = number;
    this.records = `records_${number}`;
    this.live = `live_${number}`;
    this.arrivals = `arrivals_${number}`;
    const body = (nth: number): string =>
      `SELECT ${nth} AS nth, body FROM ${this.records} WHERE tbl = ? AND key = ?`;
    this.#body = body(1);
    this.#bodies = `${body(1)} UNION ALL ${body(2)}`;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.records} (tbl TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID`,
    );
    sql.exec(`CREATE TABLE IF NOT EXISTS ${this.live} (number INTEGER PRIMARY KEY, body TEXT NOT NULL)`);
    sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.arrivals} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, body TEXT NOT NULL)`,
    );
  }

  drop(): void {
    for (const name of [this.records, this.live, this.arrivals]) this.#sql.exec(`DROP TABLE ${name}`);
  }

  /** Rows written. */
  put(row: TableRow): number {
    return this.#exec(row).rowsWritten;
  }

  /** Rows written. */
  clearNumbered(table: "live" | "arrivals"): number {
    return this.#sql.exec(`DELETE FROM ${this[table]}`).rowsWritten;
  }

  /** Records in order of table and key, from the one after `after` on; at least one, and no more than fit. */
  recordsAfter(after: readonly [table: string, key: string], charactersMax: number): readonly RecordRow[] {
    const [table, key] = after;
    const cursor = this.#sql.exec<{ tbl: string; key: string; body: string }>(
      `SELECT tbl, key, body FROM ${this.records} WHERE (tbl, key) > (?, ?) ORDER BY tbl, key LIMIT ${ROWS_MAX}`,
      table,
      key,
    );
    return fitting(cursor, charactersMax, (row) => ["records", row.tbl, row.key, row.body]);
  }

  /** Records after `after`, up to `through` or the end. Rows written. */
  clearRecords(
    after: readonly [table: string, key: string],
    through: readonly [table: string, key: string] | undefined,
  ): number {
    if (through === undefined) {
      return this.#sql.exec(`DELETE FROM ${this.records} WHERE (tbl, key) > (?, ?)`, ...after).rowsWritten;
    }
    return this.#sql.exec(
      `DELETE FROM ${this.records} WHERE (tbl, key) > (?, ?) AND (tbl, key) <= (?, ?)`,
      ...after,
      ...through,
    ).rowsWritten;
  }

  record(table: string, key: string): string | undefined {
    return this.#sql.exec<{ body: string }>(this.#body, table, key).toArray()[0]?.body;
  }

  /** Bodies of two records. */
  bodies(
    one: readonly [table: string, key: string],
    other: readonly [table: string, key: string],
  ): readonly [string | undefined, string | undefined] {
    const rows = this.#sql.exec<{ nth: number; body: string }>(this.#bodies, ...one, ...other).toArray();
    return [rows.find(({ nth }) => nth === 1)?.body, rows.find(({ nth }) => nth === 2)?.body];
  }

  liveAfter(number: number, charactersMax: number): readonly TableRow[] {
    const cursor = this.#sql.exec<{ number: number; body: string }>(
      `SELECT number, body FROM ${this.live} WHERE number > ? ORDER BY number LIMIT ${ROWS_MAX}`,
      number,
    );
    return fitting(cursor, charactersMax, (row) => ["live", row.number, row.body]);
  }

  arrivalsAfter(number: number, charactersMax: number): readonly TableRow[] {
    const cursor = this.#sql.exec<{ number: number; first: number; last: number; body: string }>(
      `SELECT number, first, last, body FROM ${this.arrivals} WHERE number > ? ORDER BY number LIMIT ${ROWS_MAX}`,
      number,
    );
    return fitting(cursor, charactersMax, (row) => ["arrivals", row.number, row.first, row.last, row.body]);
  }

  #exec(row: TableRow): { readonly rowsWritten: number } {
    switch (row[0]) {
      case "records": {
        const [, table, key, body] = row;
        return body === null
          ? this.#sql.exec(`DELETE FROM ${this.records} WHERE tbl = ? AND key = ?`, table, key)
          : this.#sql.exec(
              `INSERT OR REPLACE INTO ${this.records} (tbl, key, body) VALUES (?, ?, ?)`,
              table,
              key,
              body,
            );
      }
      case "live":
        return this.#sql.exec(
          `INSERT OR REPLACE INTO ${this.live} (number, body) VALUES (?, ?)`,
          row[1],
          row[2],
        );
      case "arrivals": {
        const [, number, first, last, body] = row;
        return this.#sql.exec(
          `INSERT OR REPLACE INTO ${this.arrivals} (number, first, last, body) VALUES (?, ?, ?, ?)`,
          number,
          first,
          last,
          body,
        );
      }
    }
  }
}

/** Rows looked at for one chunk. */
const ROWS_MAX = 1_000;

function fitting<Row extends { readonly body: string }, Shape extends TableRow>(
  rows: Iterable<Row>,
  charactersMax: number,
  shape: (row: Row) => Shape,
): readonly Shape[] {
  const taken: Shape[] = [];
  let characters = 0;
  for (const row of rows) {
    characters += row.body.length;
    if (taken.length > 0 && characters > charactersMax) break;
    taken.push(shape(row));
  }
  return taken;
}
