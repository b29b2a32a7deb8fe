/** What a replica's tables say, read from its database. */
import { STORED_TABLES } from "../../src/replica/places.ts";
import { readSegment, textIn } from "../../src/replica/segments.ts";

interface Row {
  readonly [column: string]: unknown;
}

/** The records that have rows of their own, in the order of their tables and rows. */
export function storedRecords(
  read: (query: string) => readonly unknown[],
  generation: number,
): readonly (readonly [table: string, key: string, body: string])[] {
  const sharing = new Map(
    (read(`SELECT place, body FROM sharing_${generation}`) as readonly Row[]).map(({ place, body }) => [
      String(place),
      String(body),
    ]),
  );
  const records = STORED_TABLES.flatMap((table) => {
    const rows = read(
      `SELECT CAST(place AS TEXT) AS place, key, body FROM ${table}_${generation} ORDER BY ${table}_${generation}.place`,
    ) as readonly Row[];
    return rows.flatMap(({ place, key, body }) => {
      if (key !== "") return [[table, String(key ?? place), String(body)] as const];
      return (JSON.parse(String(body)) as readonly string[]).map((own) => {
        const text = sharing.get(`${table}\n${own}`);
        if (text === undefined) throw new Error(`${own} of ${table} is listed at ${place}, and is not there`);
        sharing.delete(`${table}\n${own}`);
        return [table, own, text] as const;
      });
    });
  });
  if (sharing.size > 0) throw new Error(`nobody lists ${[...sharing.keys()].join()}`);
  return records;
}

/**
 * The records of a replica as of its checkpoint, whatever rows they stand in, and the order of arrival. `read` runs a
 * query on its database.
 */
export function recordsOf(read: (query: string) => readonly unknown[]): ReadonlyMap<string, string> {
  const rows = (query: string) => read(query) as readonly Row[];
  const [state] = rows("SELECT body FROM state WHERE key = 'checkpoint'");
  if (state === undefined) throw new Error("there is no checkpoint");
  const { generation } = JSON.parse(String(state.body)) as { readonly generation: number };
  const records = new Map<string, string>();
  for (const [table, key, body] of storedRecords(read, generation)) records.set(`${table} ${key}`, body);
  const living = new Map<string, string>();
  for (const { number, body } of rows(`SELECT number, body FROM live_${generation} ORDER BY number`)) {
    for (const { table, key, ...place } of readSegment(Number(number), String(body))) {
      const text = textIn(String(body), place);
      if (text === "") living.delete(`${table} ${key}`);
      else living.set(`${table} ${key}`, text);
    }
  }
  for (const [id, text] of living) records.set(id, text);
  const arrivals = rows(`SELECT body FROM arrivals_${generation} ORDER BY number`);
  const order = arrivals.flatMap(
    ({ body }) => (JSON.parse(String(body)) as { readonly tasks: readonly unknown[] }).tasks,
  );
  return records.set("arrivals", JSON.stringify(order));
}

/** Ids of records that the two do not have alike. */
export function differences(
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
): readonly string[] {
  const ids = new Set([...one.keys(), ...other.keys()]);
  return [...ids].filter((id) => one.get(id) !== other.get(id));
}
