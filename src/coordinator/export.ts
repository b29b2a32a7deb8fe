/**
 * Everything that clients have brought in and what became of it, as of one entry of the log: events, operations, tasks
 * with their inputs and blindings, workers. Read piece by piece while the machine goes on; another, empty group can take
 * it in (`import.ts`). What is not part of it: answers to idempotency keys, counters, members.
 */
import type { Frozen } from "./frozen.ts";
import type { Operations } from "./operations.ts";
import type { EventRecord, Instant, OperationRecord, TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";
import type { RecordTypes } from "./tables.ts";

/** One line of an export. The first is `export`, the last `end`: what has no end was cut short. */
export type ExportLine =
  | {
      readonly type: "export";
      readonly v: 1;
      readonly export_id: string;
      readonly cluster_id: string;
      /** The entry up to which everything is in it, and the time of that entry. */
      readonly applied_index: number;
      readonly applied_time: Instant;
      /** The newest Critical event that was no longer kept; 0 if all were. */
      readonly events_forgotten: number;
    }
  | { readonly type: "event"; readonly record: EventRecord }
  | { readonly type: "operation"; readonly record: OperationRecord }
  | { readonly type: "task"; readonly record: TaskRecord }
  | { readonly type: "worker"; readonly record: WorkerRecord }
  /** `lines` counts all, this one included. */
  | { readonly type: "end"; readonly lines: number };

/** What the machine cannot know by itself. */
export type ExportPlace = Pick<
  Extract<ExportLine, { readonly type: "export" }>,
  "export_id" | "cluster_id" | "applied_index"
>;

export interface Export {
  /** About so many characters of lines; undefined if the machine has changed too much since it began. */
  next(characters: number): { readonly text: string; readonly done: boolean } | undefined;
  /** Nobody reads on. */
  close(): void;
}

type Exported = "tasks" | "events" | "operations";
const TABLES = ["tasks", "inputs", "events", "operations"] as const;
/** Places looked at in one turn; the records are read one by one. */
const PLACES = 256;

/** Where a record stands among those of its table. */
interface Place {
  readonly position: number;
  readonly key: string;
}

export function startExport(state: State, operations: Operations, place: ExportPlace): Export {
  const frozen = state.freeze(TABLES);
  const lines = linesOf(state, operations, frozen, place);
  return {
    next(characters) {
      let text = "";
      while (text.length < characters) {
        if (frozen.lost) {
          state.thaw(frozen);
          return undefined;
        }
        const line = lines.next();
        if (line.done === true) {
          state.thaw(frozen);
          return { text, done: true };
        }
        text += `${JSON.stringify(line.value)}\n`;
      }
      return { text, done: false };
    },
    close: () => state.thaw(frozen),
  };
}

/** What it needs to know of the moment is taken note of at once; what it yields is read when it is asked for. */
function linesOf(
  state: State,
  operations: Operations,
  frozen: Frozen,
  place: ExportPlace,
): Iterator<ExportLine> {
  const { now, event_count, events_forgotten, last_sequence } = state;
  const workers = state.workers();
  const last_operation = operations.lastIndex;
  let count = 0;
  const counted = <Line extends ExportLine>(line: Line): Line => {
    count++;
    return line;
  };

  const whole = (task: TaskRecord): TaskRecord =>
    task.input === undefined ? { ...task, ...inputOf(frozen, task) } : task;

  function* all(): Generator<ExportLine> {
    yield counted({
      type: "export",
      v: 1,
      ...place,
      applied_time: now,
      events_forgotten: events_forgotten.seq,
    });
    const events = inOrder(frozen, "events", {
      from: events_forgotten.seq,
      to: event_count,
      position: (record) => record.seq,
      places: (after) =>
        Array.from({ length: Math.min(PLACES, event_count - after) }, (_, nth) => ({
          position: after + nth + 1,
          key: String(after + nth + 1),
        })),
    });
    for (const record of events) yield counted({ type: "event", record });
    const kept = inOrder(frozen, "operations", {
      from: 0,
      to: last_operation,
      position: (record) => record.log_index,
      places: (after) =>
        operations.entries(after, PLACES).map((entry) => ({
          position: entry.log_index,
          key: entry.operation_id,
        })),
    });
    for (const record of kept) if (record.expires_at > now) yield counted({ type: "operation", record });
    const tasks = inOrder(frozen, "tasks", {
      from: 0,
      to: last_sequence,
      position: (record) => record.sequence,
      places: (after) =>
        state.arrivals(after, PLACES).map(({ sequence, task_id }) => ({ position: sequence, key: task_id })),
    });
    for (const record of tasks) yield counted({ type: "task", record: whole(record) });
    for (const record of workers) yield counted({ type: "worker", record });
    yield { type: "end", lines: count + 1 };
  }
  return all();
}

function inputOf(frozen: Frozen, { task_id }: TaskRecord): Pick<TaskRecord, "input"> {
  const kept = frozen.get("inputs", task_id);
  if (kept === undefined) throw new Error(`task ${task_id} has lost its input`);
  return { input: kept.input };
}

/**
 * The records of a table as they were, in order of their positions. What stands there now says where to look; what has
 * been deleted or has moved since is among those that changed.
 */
function* inOrder<T extends Exported>(
  frozen: Frozen,
  table: T,
  order: {
    readonly from: number;
    readonly to: number;
    readonly position: (record: RecordTypes[T]) => number;
    /** Up to {@link PLACES} of those that stand behind `after` now, in order; fewer if no more follow. */
    readonly places: (after: number) => readonly Place[];
  },
): Generator<RecordTypes[T]> {
  const { from, to, position, places } = order;
  for (let after = from; after < to; ) {
    const now = places(after);
    const last = now.length < PLACES ? undefined : now.at(-1);
    const end = Math.min(to, last?.position ?? to);
    const found = new Map(now.map((place) => [place.position, place.key]));
    for (const [key, record] of frozen.changed(table)) {
      const was = position(record);
      if (was > after && was <= end) found.set(was, key);
    }
    const ordered = Array.from(found).sort(([a], [b]) => a - b);
    for (const [at, key] of ordered) {
      if (at > end) break;
      const record = frozen.get(table, key);
      if (record !== undefined && position(record) === at) yield record;
    }
    after = end;
  }
}
