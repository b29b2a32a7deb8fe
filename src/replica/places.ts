/**
 * Where a record stands in its table. SQLite finds a number without looking at rows, but a text only by reading the rows
 * that it is compared with, however large they are; and an index of keys beside the rows would cost a second row written
 * for each record. So large records stand in the order of a number: tasks in that of the time in their ids, so that tables
 * grow at their end, and of a hash. A few ids have the same place as others: they share a row.
 */
import type { Table } from "../coordinator/tables.ts";

/** Few, or of this minute: they live, and share rows (live-records.ts). */
type AlwaysLive = "workers" | "members" | "commands" | "meta";

/** A table whose records have rows of their own. */
export type StoredTable = Exclude<Table, AlwaysLive>;

/** What the place is: the key itself, a number or any text; or a number made from it. */
type Placing = "number" | "text" | "time";

const PLACING: { readonly [Name in StoredTable]: Placing } = {
  tasks: "time",
  inputs: "time",
  events: "number",
  content: "text",
  keys: "text",
  key_order: "number",
  ended: "number",
  operations: "text",
  operation_order: "number",
  system_events: "number",
  locations: "text",
};

/** In the order in which they are sent to another replica. */
export const STORED_TABLES: readonly StoredTable[] = (Object.keys(PLACING) as StoredTable[]).sort();

const STORED: ReadonlySet<string> = new Set(STORED_TABLES);

export function isStored(table: string): table is StoredTable {
  return STORED.has(table);
}

/** Whether places are texts; decimal digits of an integer below 2^63 otherwise. */
export function isPlacedByText(table: StoredTable): boolean {
  return PLACING[table] === "text";
}

/** Whether different keys may have one place. */
export function sharesPlaces(table: StoredTable): boolean {
  return PLACING[table] === "time";
}

export function placeOf(table: StoredTable, key: string): string {
  return PLACING[table] === "time" ? placeInTime(key) : key;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const MS_BITS = 43;
const HASH_BITS = 20;

function placeInTime(id: string): string {
  return String((BigInt.asUintN(MS_BITS, BigInt(msOf(id))) << BigInt(HASH_BITS)) | BigInt(hashOf(id)));
}

/** The milliseconds in a UUID of version 7; of other versions, which an import may bring, any number. */
function msOf(id: string): number {
  return UUID.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : 0;
}

function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> HASH_BITS)) & (2 ** HASH_BITS - 1);
}

/** Whether a task with this id stands behind a place: most are told by their time alone. */
export function isTaskBehind(id: string, place: string): boolean {
  if (place === "") return true;
  const ms = msOf(id);
  const apart = ms < 2 ** MS_BITS ? ms - Number(place) / 2 ** HASH_BITS : 0;
  return Math.abs(apart) > 1 ? apart > 0 : isPlacedBehind("tasks", placeInTime(id), place);
}

/** Whether one place is behind another of the same table, in SQLite's order; every place is behind "". */
export function isPlacedBehind(table: StoredTable, one: string, other: string): boolean {
  if (isPlacedByText(table)) return compareUtf8(one, other) > 0;
  return one.length === other.length ? one > other : one.length > other.length;
}

function compareUtf8(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Surrogates stand for characters behind all that one UTF-16 unit can say. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
