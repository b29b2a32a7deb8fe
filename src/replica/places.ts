/**
 * Where a record stands in its table. SQLite finds a number without looking at rows, but a text only by reading the rows
 * that it is compared with, however large they are; and an index of keys beside the rows would cost a second row written
 * for each record. So large records stand in the order of a number: tasks in that of the time and the first random bits
 * in their ids, so that tables grow at their end. Two ids may have the same place: then they share a row.
 */
import type { Table } from "../coordinator/tables.ts";

/** Few, or of this minute: they stay in memory, and have no rows of their own. */
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

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MS_BITS = 43;
const RANDOM_BITS = 20n;

/**
 * Of a UUID of version 7: 43 bits of the milliseconds, and the first 20 random bits, between which the version stands. Of
 * other ids, which only an import can bring, any number.
 */
function placeInTime(id: string): string {
  const ms = msOf(id);
  if (ms === undefined) return String(numberFrom(id));
  const random = Number.parseInt(id.slice(15, 18) + id.slice(20, 22), 16);
  return String((BigInt.asUintN(MS_BITS, BigInt(ms)) << RANDOM_BITS) | BigInt(random));
}

/** The time in an id that has one. */
function msOf(id: string): number | undefined {
  return UUID.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

/** Whether a task with this id stands behind a place: most are told by their time alone. */
export function isTaskBehind(id: string, place: string): boolean {
  if (place === "") return true;
  const ms = msOf(id);
  const apart = ms !== undefined && ms < 2 ** MS_BITS ? ms - Number(place) / 2 ** Number(RANDOM_BITS) : 0;
  return Math.abs(apart) > 1 ? apart > 0 : isPlacedBehind("tasks", placeInTime(id), place);
}

function numberFrom(text: string): number {
  let number = 0;
  for (let at = 0; at < text.length; at++) number = (number * 31 + text.charCodeAt(at)) % NUMBER_BELOW;
  return number;
}
/** Products stay among the integers that a double can hold. */
const NUMBER_BELOW = 2 ** 48 - 59;

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
