/** Submitting tasks, one or many at once. */
import type { Configuration } from "../../api/configuration.ts";
import { type Problem, type ProblemBody, problem, problemBody, type Result } from "../../api/problem.ts";
import { type BatchSubmitted, batch, batchItem, submissionOptions } from "../../api/tasks.ts";
import { validate } from "../../api/validation.ts";
import type { ClientKey } from "../../coordinator/commands.ts";
import type { BatchOutcome, Refused } from "../../coordinator/outcomes.ts";
import type { Steps } from "../../proofs/index.ts";
import { ITEM_BYTES_MAX, readJson } from "../body.ts";
import { FORWARD_MS } from "../cluster.ts";
import { answer, type Handled, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/tasks.ts";
import { statements, tooBusy } from "../gate.ts";
import { clientKey, command, expectOutcome, present, refusal, replayHeader } from "../requests.ts";
import {
  type Bound,
  bind,
  circuitNamed,
  firstStepAlone,
  type NewTask,
  newTask,
  type Wanted,
  wanted,
} from "../submission.ts";

async function submit(context: RequestContext): Promise<Handled> {
  const circuit = circuitNamed(context.configuration, context.params.circuit ?? "");
  if (!circuit.ok) return circuit.problem;
  const body = await readJson(context.request, ITEM_BYTES_MAX);
  if (!body.ok) return body.problem;
  const input = validate(circuit.value.input, body.value);
  const asked = wanted(circuit.value, input, validate(submissionOptions, body.value));
  if (!asked.ok) return asked.problem;
  const key = await clientKey(context, `POST /api/v1/tasks/${circuit.value.name}`, body.bytes);
  if (!key.ok) return key.problem;
  const bound = await firstStepAlone(bind(asked.value), context.cluster.deadline);
  if (bound.type === "too-busy") return tooBusy("statements of large inputs");
  if (!bound.value.ok) return bound.value.problem;
  const task = await newTask(bound.value.value, context.configuration.max_attempts);
  const { client_key } = key;
  const applied = await context.cluster.propose(
    command({ type: "submit-task", task, ...present({ client_key }) }),
  );
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "submitted");
  if (outcome.type === "refused") return refusal(outcome);
  const headers = { location: `/api/v1/tasks/${outcome.task_id}`, ...replayHeader(applied.value.replayed) };
  const { task_id, status } = outcome;
  if (outcome.cached) {
    const message = "a task with the same content is known already";
    const hit = { success: true, task_id, status: "cached", message };
    return answer(context, 200, hit, { ...headers, "x-cache": "HIT" });
  }
  return answer(context, 202, { success: true, task_id, status, message: "task accepted" }, headers);
}

/** The statements of an entry may take so long before it is handed on. */
const BINDING_MS_MAX = 15_000;
/** A batch is one entry of the log, or a few: each has so many bytes at most, by a generous estimate. */
const ENTRY_BYTES = 1_500_000;
const TASK_BYTES = 1_024;
const BYTES_PER_CHARACTER = 2;

type Item = BatchSubmitted["items"][number];

function itemWanted(configuration: Configuration, value: unknown, characters: number): Result<Wanted> {
  if (characters > ITEM_BYTES_MAX) {
    return { ok: false, problem: problem("too-large", "the item is larger than the 1 MiB allowed here") };
  }
  const item = validate(batchItem, value);
  if (!item.ok) return item;
  const { circuit: name, input, ...options } = item.value;
  const circuit = circuitNamed(configuration, name);
  if (!circuit.ok) return circuit;
  return wanted(circuit.value, validate(circuit.value.input, input), { ok: true, value: options }, "/input");
}

/** What is nested too deeply to be written down is too large in any case. */
function charactersOf(item: unknown): number {
  try {
    return JSON.stringify(item).length;
  } catch (error) {
    if (error instanceof RangeError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Which items go into one entry: by what the client sent alone, so that a repeat under its key is cut the same way. */
function cut(characters: readonly number[]): readonly (readonly number[])[] {
  const entries: number[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const [index, length] of characters.entries()) {
    const estimate = TASK_BYTES + BYTES_PER_CHARACTER * length;
    if (bytes + estimate > ENTRY_BYTES) {
      entries.push([]);
      bytes = 0;
    }
    entries.at(-1)?.push(index);
    bytes += estimate;
  }
  return entries;
}

/** Characters of inputs whose statements are computed before the thread is given back: some milliseconds. */
const CHARACTERS_AT_ONCE = 300;

function* bindAll(
  wanted: ReadonlyMap<number, Wanted>,
  characters: readonly number[],
): Steps<ReadonlyMap<number, Result<Bound>>> {
  const bound = new Map<number, Result<Bound>>();
  let since = CHARACTERS_AT_ONCE;
  for (const [index, task] of wanted) {
    since += characters[index] ?? 0;
    if (since > CHARACTERS_AT_ONCE) {
      yield;
      since = 0;
    }
    bound.set(index, yield* bind(task));
  }
  return bound;
}

/** Each item is submitted as if it came alone. The answer is an error only where no item has a result of its own. */
async function submitBatch(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request);
  if (!body.ok) return body.problem;
  const request = validate(batch, body.value);
  if (!request.ok) return request.problem;
  const key = await clientKey(context, "POST /api/v1/tasks/batch", body.bytes);
  if (!key.ok) return key.problem;
  const { items } = request.value;

  const results = new Map<number, Item>();
  const fail = (index: number, failure: Problem): void => {
    results.set(index, { index, problem: problemOf(context, index, failure) });
  };
  const characters = items.map(charactersOf);
  const accepted = new Map<number, Wanted>();
  for (const [index, item] of items.entries()) {
    const task = itemWanted(context.configuration, item, characters[index] ?? 0);
    if (task.ok) accepted.set(index, task.value);
    else fail(index, task.problem);
  }
  let replayed = false;
  for (const [nth, indexes] of cut(characters).entries()) {
    const wanted = indexes.flatMap((index) => {
      const task = accepted.get(index);
      return task === undefined ? [] : [[index, task] as const];
    });
    const client_key = keyOfEntry(key.client_key, nth);
    const entry = await submitEntry(context, { wanted: new Map(wanted), characters, client_key });
    if (!entry.ok) {
      if (nth === 0) return entry.problem;
      // Without a quorum, or without time, the others would fare no better.
      for (const index of accepted.keys()) if (!results.has(index)) fail(index, entry.problem);
      break;
    }
    for (const [index, failure] of entry.value.failed) fail(index, failure);
    for (const item of entry.value.items) results.set(item.index, item);
    replayed ||= entry.value.replayed;
  }
  const ordered = items.map((_, index) => {
    const result = results.get(index);
    if (result === undefined) throw new Error(`item ${index} of a batch of ${items.length} has no result`);
    return result;
  });
  return answer(context, 200, { items: ordered }, replayHeader(replayed));
}

interface Entry {
  /** What turned out to contradict itself when its statement was computed. */
  readonly failed: ReadonlyMap<number, Problem>;
  readonly items: readonly Item[];
  readonly replayed: boolean;
}

function keyOfEntry(key: ClientKey | undefined, nth: number): ClientKey | undefined {
  return key && { ...key, key: nth === 0 ? key.key : `${key.key} ${nth}` };
}

/** What was answered under a key need not be computed again. */
async function answeredBefore(
  context: RequestContext,
  client_key: ClientKey | undefined,
): Promise<Result<BatchOutcome | undefined>> {
  if (client_key === undefined) return { ok: true, value: undefined };
  const read = await context.cluster.read({ type: "batch", client_key }, "linearizable");
  if (!read.ok) return read;
  const { result } = read.value;
  if (result?.type === "refused") return { ok: false, problem: refusal(result) };
  return { ok: true, value: result ?? undefined };
}

async function submitEntry(
  context: RequestContext,
  {
    wanted,
    characters,
    client_key,
  }: {
    readonly wanted: ReadonlyMap<number, Wanted>;
    /** Of each item of the batch. */
    readonly characters: readonly number[];
    readonly client_key: ClientKey | undefined;
  },
): Promise<Result<Entry>> {
  const before = await answeredBefore(context, client_key);
  if (!before.ok) return before;
  const known = new Set(before.value?.items.map(({ index }) => index));
  const bound = await statements.run(
    bindAll(new Map([...wanted].filter(([index]) => !known.has(index))), characters),
    Date.now() + BINDING_MS_MAX,
  );
  if (bound.type === "too-busy") return { ok: false, problem: tooBusy("statements") };
  const { max_attempts } = context.configuration;
  const failed = new Map<number, Problem>();
  const items: { readonly index: number; readonly task: NewTask }[] = [];
  for (const [index, task] of bound.value) {
    if (task.ok) items.push({ index, task: await newTask(task.value, max_attempts) });
    else failed.set(index, task.problem);
  }
  if (before.value !== undefined) return shown(before.value, true, failed);
  if (items.length === 0) return { ok: true, value: { items: [], failed, replayed: false } };
  context.cluster.extend(Date.now() + FORWARD_MS - context.cluster.deadline);
  const applied = await context.cluster.propose(
    command({ type: "submit-batch", items, ...present({ client_key }) }),
  );
  if (!applied.ok) return applied;
  return shown(expectOutcome(applied.value.outcome, "batch-submitted"), applied.value.replayed, failed);
}

function shown(outcome: BatchOutcome | Refused, replayed: boolean, failed: Entry["failed"]): Result<Entry> {
  if (outcome.type === "refused") return { ok: false, problem: refusal(outcome) };
  const items = outcome.items.map(({ index, task_id, cached, status }): Item => {
    return { index, status: cached ? "cached" : status, task_id };
  });
  return { ok: true, value: { items, failed, replayed } };
}

function problemOf({ request_id }: RequestContext, index: number, failure: Problem): ProblemBody {
  return problemBody(failure, { instance: `/api/v1/tasks/batch#/items/${index}`, request_id });
}

export const submissionRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/tasks/batch",
    access: "submitter",
    declares: declared.submitBatch,
    handle: submitBatch,
  },
  {
    method: "POST",
    path: "/api/v1/tasks/:circuit",
    access: "submitter",
    declares: declared.submitTask,
    handle: submit,
  },
];
