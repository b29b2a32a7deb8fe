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

/** The platform binds at most a hundred values in one statement. */
const RECORDS_AT_ONCE = 33;

export class Generation {
  readonly number: number;
  readonly records: string;
  readonly live: string;
  readonly arrivals: string;
  readonly #sql: SqlStorage;
  readonly #body: string;
  readonly #several: string;
  readonly #insertMany: string;

  constructor(sql: SqlStorage, number: number) {
    this.#sql = sql;
    this.number = number;
    this.records = `records_${number}`;
    this.live = `live_${number}`;
    this.arrivals = `arrivals_${number}`;
    this.#body = `SELECT body FROM ${this.records} WHERE tbl = ? AND key = ?`;
    this.#several = `SELECT key, body FROM ${this.records} WHERE tbl = ? AND key IN (SELECT value FROM json_each(?))`;
    const places = Array(RECORDS_AT_ONCE).fill("(?, ?, ?)").join(", ");
    this.#insertMany = `INSERT OR REPLACE INTO ${this.records} (tbl, key, body) VALUES ${places}`;
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
    const from = `FROM ${this.records} WHERE (tbl, key) > (?, ?) ORDER BY tbl, key`;
    const rows = this.#fitting<{ tbl: string; key: string; body: string }>(
      { columns: "tbl, key, body", from, bindings: after },
      charactersMax,
    );
    return rows.map((row) => ["records", row.tbl, row.key, row.body]);
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

  /** The last one in order, or "". */
  lastKey(table: string): string {
    const query = `SELECT key FROM ${this.records} WHERE tbl = ? ORDER BY key DESC LIMIT 1`;
    return this.#sql.exec<{ key: string }>(query, table).toArray()[0]?.key ?? "";
  }

  /** Those of these records that there are. */
  recordsOf(
    table: string,
    keys: readonly string[],
  ): readonly { readonly key: string; readonly body: string }[] {
    return this.#sql
      .exec<{ key: string; body: string }>(this.#several, table, JSON.stringify(keys))
      .toArray();
  }

  /** Rows written. */
  putRecords(table: string, records: readonly (readonly [key: string, body: string])[]): number {
    let rows = 0;
    const whole = records.length - (records.length % RECORDS_AT_ONCE);
    for (let at = 0; at < whole; at += RECORDS_AT_ONCE) {
      const values = records.slice(at, at + RECORDS_AT_ONCE).flatMap(([key, body]) => [table, key, body]);
      rows += this.#sql.exec(this.#insertMany, ...values).rowsWritten;
    }
    for (const [key, body] of records.slice(whole)) rows += this.put(["records", table, key, body]);
    return rows;
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
  #fitting<Row extends Record<string, string | number>>(
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
