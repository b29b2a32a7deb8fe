/** Records in rows of their own: found by any key, also where several have one place, and sent in one order. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BEFORE_ALL, Generation, isBehind, recordPlace } from "../../src/replica/generation.ts";
import { isTaskBehind, placeOf, STORED_TABLES, type StoredTable } from "../../src/replica/places.ts";
import { storedRecords } from "../support/records.ts";
import { idsThatShare } from "../support/shared-places.ts";
import { Disk, storageOn } from "./platform.ts";

const ids = idsThatShare(4).flat();
const foreign = ["c0ffee00-0000-4000-8000-00000000beef", "FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF", "task-1"];
const KEYS: { readonly [Name in StoredTable]?: readonly string[] } = {
  tasks: [...ids, ...foreign],
  inputs: ids,
  events: ["1", "2", "10", "9007199254740991"],
  keys: ["a", "scope\nkey", "__proto__", "語", "😀", "\ue000", "1"],
  content: ["0".repeat(64), "f".repeat(64), ""],
};
const keyed = fc
  .constantFrom(...(Object.keys(KEYS) as StoredTable[]))
  .chain((table) => fc.record({ table: fc.constant(table), key: fc.constantFrom(...(KEYS[table] ?? [])) }));
const changes = fc.array(
  fc.record({
    where: keyed,
    body: fc.option(fc.string({ maxLength: 8 }), { nil: null }),
    many: fc.boolean(),
  }),
  { maxLength: 60 },
);

const nameOf = (table: string, key: string) => `${table} ${key}`;

function generationOn(disk: Disk): Generation {
  return new Generation(storageOn(disk).sql, 0);
}

describe("records of a generation", () => {
  test("are those that were put last and not deleted, whoever shares their places", () => {
    fc.assert(
      fc.property(changes, (steps) => {
        const disk = new Disk();
        const generation = generationOn(disk);
        const expected = new Map<string, string>();
        for (const { where, body, many } of steps) {
          const { table, key } = where;
          if (body === null) {
            expect(generation.put(["records", table, key, null]) > 0).toBe(
              expected.delete(nameOf(table, key)),
            );
          } else if (many) {
            // As many as go into one statement, of which some may be refused.
            const all = Array.from({ length: 33 }, (_, at) => KEYS[table]?.[at % KEYS[table].length] ?? key);
            generation.putRecords(
              table,
              all.map((one, at) => [one, `${body} ${at}`]),
            );
            for (const [at, one] of all.entries()) expected.set(nameOf(table, one), `${body} ${at}`);
          } else {
            expect(generation.put(["records", table, key, body])).toBeGreaterThan(0);
            expected.set(nameOf(table, key), body);
          }
        }
        for (const table of Object.keys(KEYS) as StoredTable[]) {
          const keys = KEYS[table] ?? [];
          const several = new Map(generation.recordsOf(table, keys).map(({ key, body }) => [key, body]));
          for (const key of keys) {
            expect(generation.record(table, key)).toBe(expected.get(nameOf(table, key)));
            expect(several.get(key)).toBe(expected.get(nameOf(table, key)));
          }
        }
        const stored = storedRecords((query) => disk.exec(query, []).rows, 0);
        expect(new Map(stored.map(([table, key, body]) => [nameOf(table, key), body]))).toEqual(expected);
      }),
    );
  });

  test("come in one order, chunk after chunk, and can be cleared from any place to any other", () => {
    fc.assert(
      fc.property(changes, fc.nat(), fc.nat(), (steps, from, to) => {
        const disk = new Disk();
        const generation = generationOn(disk);
        for (const { where, body } of steps) generation.put(["records", where.table, where.key, body]);
        const rows = [];
        for (let after = BEFORE_ALL; ; ) {
          const chunk = generation.recordsAfter(after, 10);
          const last = chunk.at(-1);
          if (last === undefined) break;
          for (const row of chunk) expect(isBehind(recordPlace(row), after)).toBe(true);
          rows.push(...chunk);
          after = recordPlace(last);
        }
        const stored = storedRecords((query) => disk.exec(query, []).rows, 0);
        const names = (all: readonly (readonly [string, string, string | null])[]) =>
          all.map((one) => one.join(" ")).sort();
        expect(names(rows.map(([, table, key, body]) => [table, key, body] as const))).toEqual(names(stored));
        if (rows.length === 0) return;
        const places = rows.map(recordPlace);
        const after = places[from % places.length] ?? BEFORE_ALL;
        const through = places[to % places.length];
        generation.clearRecords(after, through);
        const left = rows.filter((row) => {
          const place = recordPlace(row);
          return !isBehind(place, after) || (through !== undefined && isBehind(place, through));
        });
        expect(rows.filter(([, table, key]) => generation.record(table, key) !== undefined)).toEqual(left);
        generation.clearRecords(BEFORE_ALL, undefined);
        expect(storedRecords((query) => disk.exec(query, []).rows, 0)).toEqual([]);
      }),
    );
  });

  test("of tasks stand in the order of their ids in time, and the last one is known", () => {
    const generation = generationOn(new Disk());
    expect(generation.lastPlace("tasks")).toBe("");
    const inTime = ["019a20c7-e9b0-7fff-8fff-000000000000", "019a20c7-e9b1-7000-8000-000000000000"];
    const [first = "", second = ""] = inTime.map((one) => placeOf("tasks", one));
    expect(BigInt(first)).toBeLessThan(BigInt(second));
    for (const one of inTime) generation.put(["records", "tasks", one, "{}"]);
    expect(generation.lastPlace("tasks")).toBe(second);
  });

  test("of a task is known to be behind a place or not, whatever its id is", () => {
    const near = fc.tuple(fc.nat(3), fc.nat(0xfffff)).map(([ms, random]) => {
      const digits = random.toString(16).padStart(5, "0");
      return `019a20c7-e9b${ms}-7${digits.slice(0, 3)}-8${digits.slice(3)}0-00000000beef`;
    });
    const any = fc.oneof(near, fc.uuid(), fc.constantFrom(...foreign));
    fc.assert(
      fc.property(any, any, (one, other) => {
        const [mine, its] = [placeOf("tasks", one), placeOf("tasks", other)];
        expect(isTaskBehind(one, its)).toBe(BigInt(mine) > BigInt(its));
        expect(isTaskBehind(one, "")).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test("that share a place are as many and as large as they like", () => {
    const disk = new Disk();
    const generation = generationOn(disk);
    const [sharing = []] = idsThatShare(1);
    const body = '"'.repeat(900_000);
    for (const id of sharing) generation.put(["records", "inputs", id, body]);
    for (const id of sharing) expect(generation.record("inputs", id)).toBe(body);
    const sizes = ["inputs_0", "sharing_0"].flatMap(
      (table) => disk.exec(`SELECT body FROM ${table}`, []).rows,
    );
    expect(sizes).toHaveLength(1 + sharing.length);
    for (const row of sizes) expect((row as { readonly body: string }).body.length).toBeLessThan(1_000_000);
  });

  test("have a table each, and leave nothing when they are dropped", () => {
    const disk = new Disk();
    const generation = generationOn(disk);
    for (const table of STORED_TABLES) generation.put(["records", table, KEYS[table]?.[0] ?? "1", "{}"]);
    expect(storedRecords((query) => disk.exec(query, []).rows, 0)).toHaveLength(STORED_TABLES.length);
    generation.drop();
    expect(disk.exec("SELECT name FROM sqlite_schema", []).rows).toEqual([]);
  });
});
