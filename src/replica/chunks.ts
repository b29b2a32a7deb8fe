/** Rows read in chunks. */

interface Selection {
  readonly columns: string;
  /** From `FROM` on, in the order in which they are to come. */
  readonly from: string;
  readonly bindings: readonly (string | number)[];
}

/** Rows looked at for one chunk. */
const ROWS_MAX = 1_000;

/**
 * The first rows whose bodies fit, at least one. Counted first: a cursor that is left before its end keeps its table
 * locked, so that it could not be dropped.
 */
export function fitting<Row extends Record<string, string | number | null>>(
  sql: SqlStorage,
  { columns, from, bindings }: Selection,
  charactersMax: number,
): readonly Row[] {
  const sizes = sql
    .exec<{ size: number }>(`SELECT length(body) AS size ${from} LIMIT ${ROWS_MAX}`, ...bindings)
    .toArray();
  let characters = 0;
  const beyond = sizes.findIndex(({ size }, at) => {
    characters += size;
    return at > 0 && characters > charactersMax;
  });
  const count = beyond < 0 ? sizes.length : beyond;
  return sql.exec<Row>(`SELECT ${columns} ${from} LIMIT ${count}`, ...bindings).toArray();
}
