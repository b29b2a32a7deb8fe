/**
 * An export of another group is taken in line by line, each once and in order, into a group in which nothing has
 * happened yet. While it goes on nobody else brings anything in; if nothing came for a while it is given up, and the
 * first one who does ends it. Nothing that is wrong with a line may stop a replica: it is refused.
 */
import { currentAttempt, endAttempt, hasEnded, taskOfLease } from "./attempts.ts";
import type { Command, EntryPlace, ImportLine } from "./commands.ts";
import type { ExportLine } from "./export.ts";
import type { Operations } from "./operations.ts";
import type { Outcome, Refused } from "./outcomes.ts";
import { refused } from "./outcomes.ts";
import type { EventRecord, ImportRecord, TaskRecord, WorkerRecord } from "./records.ts";
import type { State } from "./state.ts";

/** An import in which nothing happened for so long does not keep others out any more. */
export const IMPORT_PAUSE_MS = 600_000;

/** What an import could not follow upon. */
const CREATING: ReadonlySet<Command["type"]> = new Set([
  "submit-task",
  "submit-batch",
  "append-event",
  "put-operation",
]);

/** Why a command has to wait; undefined for what may go on beside an import. */
export function keptOut(state: State, { type }: Command): Refused | undefined {
  const { imported } = state;
  if (imported === undefined || imported.state !== "begun" || !CREATING.has(type)) return undefined;
  if (state.now - imported.time < IMPORT_PAUSE_MS) {
    const detail = `export ${imported.export_id} is being taken in, ${imported.lines} lines so far; nothing was accepted`;
    return refused("import-in-progress", detail);
  }
  state.imported = { ...imported, state: "given-up" };
  return undefined;
}

export function importLine(
  state: State,
  operations: Operations,
  { export_id, line, item }: ImportLine,
  place: EntryPlace,
): Outcome {
  const known = state.imported?.export_id === export_id ? state.imported : undefined;
  if (known === undefined) {
    if (item.type !== "export") {
      const detail = `line ${line} of export ${export_id}: its first line, which says what it is, was not taken in yet`;
      return refused("import-gap", detail);
    }
    return begin(state, operations, { export_id, item }, place);
  }
  if (line <= known.lines) return standing(known);
  if (known.state === "given-up") {
    const detail = `the import was given up after ${known.lines} lines, and others have written since`;
    return refused("group-not-empty", detail);
  }
  if (line > known.lines + 1) {
    const detail = `line ${line} was sent, and line ${known.lines + 1} is the next one`;
    return refused("import-gap", detail);
  }
  const wrong = takeIn(state, operations, { item, line }, place);
  if (wrong !== undefined) return refused("import-invalid", `line ${line}: ${wrong}`);
  state.imported = {
    ...known,
    lines: line,
    time: state.now,
    state: item.type === "end" ? "done" : "begun",
  };
  return standing(state.imported);
}

function standing({ lines, state }: ImportRecord): Outcome {
  return { type: "imported", lines, done: state === "done" };
}

function begin(
  state: State,
  operations: Operations,
  { export_id, item }: { export_id: string; item: Extract<ExportLine, { readonly type: "export" }> },
  { index }: EntryPlace,
): Outcome {
  const events = state.event_count - state.events_forgotten.seq;
  const isEmpty = events === 0 && state.last_sequence === 0 && operations.lastIndex === 0;
  const virgin = isEmpty && (state.events_forgotten.seq === 0 || state.imported?.lines === 1);
  if (!virgin) {
    const detail =
      "only a group in which there was never a task, an event or an operation can take in an export";
    return refused("group-not-empty", detail);
  }
  state.event_count = item.events_forgotten;
  state.events_forgotten = { seq: item.events_forgotten, log_index: item.events_forgotten === 0 ? 0 : index };
  state.imported = { export_id, lines: 1, time: state.now, state: "begun" };
  return standing(state.imported);
}

/** Takes one line in, or says what is wrong with it: then nothing has changed. */
function takeIn(
  state: State,
  operations: Operations,
  { item, line }: Pick<ImportLine, "item" | "line">,
  place: EntryPlace,
): string | undefined {
  switch (item.type) {
    case "export":
      return "it begins anew";
    case "event":
      return takeEvent(state, item.record, place);
    case "operation":
      return operations.restore(item.record, place);
    case "task":
      return takeTask(state, item.record);
    case "worker":
      return takeWorker(state, item.record);
    case "end":
      return item.lines === line ? undefined : `${item.lines} lines are announced`;
  }
}

function takeEvent(state: State, record: EventRecord, { index }: EntryPlace): string | undefined {
  const seq = state.event_count + 1;
  if (record.seq !== seq) return `event ${record.seq} does not follow event ${state.event_count}`;
  state.event_count = seq;
  // Where it stood in another log means nothing here.
  state.put("events", String(seq), { ...record, log_index: index });
  return undefined;
}

function takeTask(state: State, record: TaskRecord): string | undefined {
  const { task_id, sequence, status, attempts, content_hash } = record;
  if (sequence <= state.last_sequence)
    return `task ${task_id} stands at ${sequence}, and a task at ${state.last_sequence} was taken in before`;
  if (state.task(task_id) !== undefined) return `task ${task_id} was taken in before`;
  if (attempts.some(({ lease_id }) => taskOfLease(lease_id) !== task_id))
    return `task ${task_id} has leases of another task`;
  const held = status === "assigned" || status === "in_progress";
  if (attempts.some(({ outcome }, nth) => (outcome === undefined) !== (held && nth === attempts.length - 1)))
    return `task ${task_id} is ${status}, and its attempts say otherwise`;
  if (held && attempts.length === 0) return `task ${task_id} is ${status} without an attempt`;
  if (hasEnded(status) && record.completed_at === undefined)
    return `task ${task_id} is ${status}, and does not say since when`;
  // Whoever held a lease of the other group holds none here; a proof that he brings all the same is accepted.
  const task = currentAttempt(record) ? endAttempt(record, { outcome: "released" }, state.now) : record;
  state.restoreTask(task);
  if (status === "completed") state.put("content", content_hash, { v: 1, task_id });
  return undefined;
}

/** One that has registered here meanwhile is newer. */
function takeWorker(state: State, record: WorkerRecord): undefined {
  if (state.worker(record.worker_id) === undefined) state.restoreWorker(record);
}
