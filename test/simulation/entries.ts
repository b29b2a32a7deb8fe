/** Entries of the simulation's log: how they are named, weighed and compared. */
import { COMMAND_BYTES, type SimEntry } from "./machine.ts";

const TERMS = 1 << 20;

/** One number for a position, in the order of indexes. */
export function keyOf({ term, index }: { readonly term: number; readonly index: number }): number {
  return index * TERMS + term;
}

export function weightOf(entries: readonly SimEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === "command" ? COMMAND_BYTES : 0), 0);
}

export function same(a: SimEntry, b: SimEntry): boolean {
  if (a === b) return true;
  if (a.type !== b.type || a.term !== b.term || a.time !== b.time) return false;
  if (a.type === "command") return b.type === "command" && a.command.operation === b.command.operation;
  if (a.type === "barrier" || b.type !== "configuration") return true;
  return JSON.stringify(a.configuration) === JSON.stringify(b.configuration);
}
