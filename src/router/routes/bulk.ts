/**
 * One thing done to whatever a filter finds. What is found is counted first, by ids; then it is changed in slices, each an
 * entry of its own, and each task is looked at again there. Repeating a request is harmless: what was changed is not
 * found any more.
 */

import type { z } from "zod";
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { BULK_TASKS_MAX, bulkRequest } from "../../api/tasks.ts";
import { validate } from "../../api/validation.ts";
import type { TaskFilter } from "../../replica/rpc.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../body.ts";
import { answer, type Handled, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/tasks.ts";
import { command, expectOutcome, present, refusal } from "../requests.ts";

/** Ids asked for at once, and tasks changed by one entry. */
const PAGE_IDS = 5_000;
const SLICE_TASKS = 500;
/** Counting and changing 10,000 tasks takes its time. */
const BULK_MS = 20_000;

type Bulk = z.output<typeof bulkRequest>;

interface Found {
  readonly matched: number;
  /** No more than one request changes. */
  readonly task_ids: readonly string[];
}

async function find(context: RequestContext, { action, filter }: Bulk): Promise<Result<Found>> {
  const { status, ...rest } = filter;
  const conditions: TaskFilter = present({ statuses: status && [status].flat(), ...rest });
  const found = new Set<string>();
  let cursor: string | undefined;
  do {
    const query = {
      type: "changeable",
      action,
      limit: PAGE_IDS,
      ...conditions,
      ...present({ cursor }),
    } as const;
    const read = await context.cluster.read(query, "linearizable");
    if (!read.ok) return read;
    const { items, next_cursor } = read.value.result;
    for (const task_id of items) found.add(task_id);
    cursor = next_cursor;
  } while (cursor !== undefined);
  return { ok: true, value: { matched: found.size, task_ids: [...found].slice(0, BULK_TASKS_MAX) } };
}

async function change(
  context: RequestContext,
  action: Bulk["action"],
  task_ids: readonly string[],
): Promise<Result<{ readonly changed: number; readonly skipped: number }>> {
  let changed = 0;
  let skipped = 0;
  for (let at = 0; at < task_ids.length; at += SLICE_TASKS) {
    const slice = task_ids.slice(at, at + SLICE_TASKS);
    const applied = await context.cluster.propose(command({ type: "change-tasks", action, task_ids: slice }));
    if (!applied.ok) return { ok: false, problem: interrupted(applied.problem, changed) };
    const outcome = expectOutcome(applied.value.outcome, "tasks-changed");
    if (outcome.type === "refused") return { ok: false, problem: refusal(outcome) };
    changed += outcome.changed;
    skipped += outcome.skipped;
  }
  return { ok: true, value: { changed, skipped } };
}

/** A 503 is a promise that nothing happened. */
function interrupted(failure: Problem, changed: number): Problem {
  if (changed === 0) return failure;
  const detail = `${changed} tasks were changed, then: ${failure.detail}; repeat the request to go on`;
  return problem("commit-outcome-unknown", detail, { extra: { changed } });
}

async function changeMany(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(bulkRequest, body.value);
  if (!request.ok) return request.problem;
  context.cluster.extend(BULK_MS);
  const found = await find(context, request.value);
  if (!found.ok) return found.problem;
  const { action, dry_run, expected_count } = request.value;
  const { matched, task_ids } = found.value;
  if (expected_count !== undefined && expected_count !== matched) {
    const detail = `the filter finds ${matched} tasks, not ${expected_count}; nothing was changed`;
    return problem("count-mismatch", detail, { extra: { matched } });
  }
  const done = await change(context, action, dry_run ? [] : task_ids);
  if (!done.ok) return done.problem;
  const remaining = dry_run ? matched : matched - task_ids.length;
  return answer(context, 200, { success: true, action, dry_run, matched, ...done.value, remaining });
}

export const bulkRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/tasks/bulk",
    access: "submitter",
    declares: declared.bulk,
    handle: changeMany,
  },
];
