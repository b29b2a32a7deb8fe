/**
 * What has happened, in the order of the log: the Critical events, and beside them what the machine itself reports. The
 * events are kept one record each; the reports in a ring of the last ten thousand, which is replicated state like any
 * other: the same at every replica and after every restart. A reader holds a cursor and comes back for more; nothing is
 * kept for him.
 */
import { bucketsOf } from "./buckets.ts";
import type { Operations } from "./operations.ts";
import type { EventRecord, FeedPosition, MetaRecord, SystemEventEntry } from "./records.ts";
import { Ring } from "./ring.ts";
import type { State } from "./state.ts";

export const SYSTEM_EVENTS_MAX = 10_000;

/** Where a reader is: behind the Critical event `seq`, and before report number `ordinal` if it wants reports. */
export interface FeedCursor {
  readonly seq: number;
  readonly ordinal?: number;
  /** What stands up to here was read already, elsewhere: it may be ahead of this replica. */
  readonly behind?: FeedPosition;
}

export interface FeedItem {
  /**
   * To go on behind it: the `seq` of a Critical event for who reads only those, `<log index>.<number within the entry>`
   * for who reads everything.
   */
  readonly id: string;
  readonly index: number;
  /** JSON text, as it is shown. */
  readonly text: string;
}

export interface FeedPiece {
  readonly items: readonly FeedItem[];
  /** Behind the last one. */
  readonly cursor: FeedCursor;
}

/** What readers need of it. */
export type FeedReader = Pick<Feed, "open" | "read" | "latest" | "length" | "oldest">;

export class Feed {
  readonly #state: State;
  readonly #operations: Operations;
  readonly #reports: Ring<SystemEventEntry>;
  /** Of the newest report that was forgotten. */
  #forgotten: FeedPosition | undefined;

  constructor(state: State, operations: Operations) {
    this.#state = state;
    this.#operations = operations;
    const { system_events, system_forgotten } = state.stored;
    this.#reports = new Ring(bucketsOf(state, "system_events"), SYSTEM_EVENTS_MAX, system_events);
    this.#forgotten = system_forgotten;
  }

  get stored(): Pick<MetaRecord, "system_events" | "system_forgotten"> {
    const forgotten = this.#forgotten;
    return {
      system_events: this.#reports.position,
      ...(forgotten === undefined ? {} : { system_forgotten: forgotten }),
    };
  }

  /** Takes over what the entry at `index` made happen. */
  report(index: number): void {
    const happenings = this.#state.takeHappenings();
    for (const [nth, { name, body }] of happenings.entries())
      this.#reports.append({ index, nth, name, body }, 0);
    if (happenings.length === 0) return;
    this.#reports.expire(0, ({ index, nth }) => {
      this.#forgotten = { index, nth };
    });
  }

  /** Changes whenever there is more to read. */
  get length(): number {
    return this.#state.event_count + this.#reports.kept[1];
  }

  /**
   * A cursor to read from.
   *
   * @param after absent: everything that is kept; else an id of an item, or a `seq`
   * @param reports whether the machine's own reports are wanted
   * @returns undefined if something behind `after` is no longer kept
   */
  open(after: string | undefined, reports: boolean): FeedCursor | undefined {
    const { events_forgotten: events, event_count } = this.#state;
    const [oldest, next] = this.#reports.kept;
    const at = (seq: number, ordinal: number): FeedCursor => (reports ? { seq, ordinal } : { seq });
    if (after === undefined) return at(events.seq, oldest);
    const [first = 0, nth] = after.split(".").map(Number);
    if (nth !== undefined) {
      if (first < events.log_index) return undefined;
      const behind = { index: first, nth };
      const seq = this.#seqUpTo(first);
      return reports ? this.#withReports({ seq, behind }, behind) : { seq, behind };
    }
    if (first < events.seq) return undefined;
    if (!reports || first > event_count) return at(first, next);
    const index = first === events.seq ? events.log_index : this.#event(first).log_index;
    return this.#withReports({ seq: first }, { index, nth: first === 0 ? -1 : 0 });
  }

  /** The id of the newest item: behind it is what is yet to come. */
  latest(reports: boolean): string {
    const { event_count } = this.#state;
    const [from, next] = this.#reports.kept;
    const report = reports && next > from ? this.#reports.entry(next - 1) : undefined;
    if (report === undefined) return String(event_count);
    const index = event_count === 0 ? 0 : this.#event(event_count).log_index;
    return idOf(isBefore({ index, nth: 0 }, report) ? report : { index, nth: 0 });
  }

  /** Up to `limit` items and about `characters_max` of text; undefined if some that are due are no longer kept. */
  read(cursor: FeedCursor, limit: number, characters_max: number): FeedPiece | undefined {
    let { seq, ordinal } = cursor;
    const { behind } = cursor;
    const [oldest, next] = this.#reports.kept;
    if (seq < this.#state.events_forgotten.seq || (ordinal !== undefined && ordinal < oldest))
      return undefined;
    const items: FeedItem[] = [];
    for (let characters = 0; items.length < limit && characters < characters_max; ) {
      const event = this.#state.get("events", String(seq + 1));
      const report = ordinal === undefined || ordinal >= next ? undefined : this.#reports.entry(ordinal);
      let position: FeedPosition;
      let text: string;
      if (event !== undefined && (report === undefined || event.log_index <= report.index)) {
        position = { index: event.log_index, nth: 0 };
        text = event.body;
        seq = event.seq;
      } else if (report !== undefined && ordinal !== undefined) {
        position = report;
        text = this.#text(report);
        ordinal++;
      } else break;
      if (behind !== undefined && !isBefore(behind, position)) continue;
      items.push({ id: ordinal === undefined ? String(seq) : idOf(position), index: position.index, text });
      characters += text.length;
    }
    return { items, cursor: { ...cursor, seq, ...(ordinal === undefined ? {} : { ordinal }) } };
  }

  /** What is left to read from, in words. */
  get oldest(): string {
    const { events_forgotten: events } = this.#state;
    const forgotten = this.#forgotten;
    const reports =
      forgotten === undefined
        ? "all of the system's own"
        : `those of the system behind ${forgotten.index}.${forgotten.nth}`;
    return `events are kept behind seq ${events.seq} (log index ${events.log_index}), and ${reports}`;
  }

  #withReports(cursor: FeedCursor, position: FeedPosition): FeedCursor | undefined {
    if (this.#forgotten !== undefined && isBefore(position, this.#forgotten)) return undefined;
    return { ...cursor, ordinal: this.#reports.search((entry) => isBefore(position, entry)) };
  }

  #event(seq: number): EventRecord {
    const event = this.#state.get("events", String(seq));
    if (event === undefined) throw new Error(`event ${seq} is missing of ${this.#state.event_count}`);
    return event;
  }

  /** The last Critical event that stands at `index` or before it. */
  #seqUpTo(index: number): number {
    let low = this.#state.events_forgotten.seq;
    let high = this.#state.event_count;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#event(middle).log_index <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #text({ name, body }: SystemEventEntry): string {
    const text = JSON.stringify({ System: { [name]: body } });
    const { operation_id, log_index } = body;
    if (name !== "operation.committed" || typeof operation_id !== "string") return text;
    // The payload is kept once, and no longer than the operation.
    const operation = this.#operations.record(operation_id);
    if (operation?.payload === undefined || operation.log_index !== log_index) return text;
    return `${text.slice(0, -3)},"payload":${operation.payload}}}}`;
  }
}

function idOf({ index, nth }: FeedPosition): string {
  return `${index}.${nth}`;
}

function isBefore(a: FeedPosition, b: FeedPosition): boolean {
  return a.index < b.index || (a.index === b.index && a.nth < b.nth);
}
