/** The event log: appended through consensus, read back as it was written. */
import {
  type EventSubmission,
  eventListParameters,
  eventPosition,
  eventSubmission,
} from "../../api/events.ts";
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { header, validate } from "../../api/validation.ts";
import { compactJson, ITEM_BYTES_MAX, invalidBody, readJson } from "../body.ts";
import { answer, type Handled, type RequestContext, type Route, streamedAnswer } from "../context.ts";
import * as declared from "../declarations/events.ts";
import { clientKey, command, expectOutcome, refusal, replayHeader, waitMs } from "../requests.ts";

const ROUTE = "POST /events";

/** Clients of the systems before look for these fields in a failure. */
function failed(failure: Problem): Problem {
  return { ...failure, extra: { message: failure.detail, log_index: null } };
}

async function append(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, ITEM_BYTES_MAX);
  if (!body.ok) return failed(body.problem);
  const submitted = validate(eventSubmission, body.value);
  if (!submitted.ok) return failed(submitted.problem);
  const type = submitted.value.event.Critical === undefined ? "Ephemeral" : "Critical";
  const [kind = ""] = Object.keys(submitted.value.event[type] ?? {});
  // Only what was looked at above is kept.
  const text = compactJson(body.bytes, (value) => {
    const { [type]: kinds = {} } = (value as EventSubmission).event;
    return { [type]: { [kind]: kinds[kind] } };
  });
  if (text === undefined) return failed(invalidBody("event is nested too deeply").problem);
  if (type === "Ephemeral") return passOn(context, text);
  const key = await clientKey(context, ROUTE, body.bytes);
  if (!key.ok) return failed(key.problem);
  const { client_key } = key;
  const { event_retention } = context.configuration;
  const applied = await context.cluster.propose(
    command({
      type: "append-event",
      kind,
      body: text,
      ...(event_retention === undefined ? {} : { retain: event_retention }),
      ...(client_key === undefined ? {} : { client_key }),
    }),
  );
  if (!applied.ok) return failed(applied.problem);
  const outcome = expectOutcome(applied.value.outcome, "event-appended");
  if (outcome.type === "refused") return failed(refusal(outcome));
  const { log_index, seq } = outcome;
  const message = `Event committed at log index ${log_index}`;
  return answer(
    context,
    200,
    { success: true, message, log_index, seq },
    replayHeader(applied.value.replayed),
  );
}

async function passOn(context: RequestContext, event: string): Promise<Handled> {
  const told = await context.cluster.ephemeral({ event });
  if (!told.ok) return failed(told.problem);
  const message = "Event passed on to whoever listens now; it is not stored";
  return answer(context, 200, { success: true, message, log_index: null });
}

/** A browser that resumes a stream repeats the address and says in a header where it was. */
function resumedFrom(context: RequestContext, after: string | undefined): Result<string | undefined> {
  const given = context.request.headers.get("last-event-id");
  if (given === null || given === "") return { ok: true, value: after };
  return validate(eventPosition, given, header("Last-Event-ID"));
}

async function list(context: RequestContext): Promise<Handled> {
  const parameters = validate(eventListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, limit, include, wait } = parameters.value;
  const follow = context.request.headers.get("accept")?.includes("text/event-stream") === true;
  const from = follow
    ? resumedFrom(context, parameters.value.after)
    : { ok: true as const, value: parameters.value.after };
  if (!from.ok) return from.problem;
  const wait_ms = follow ? 0 : waitMs(context, wait);
  const read = await context.cluster.events({
    consistency,
    ...(from.value === undefined ? {} : { after: from.value }),
    ...(limit === undefined ? {} : { limit }),
    ...(include === undefined ? {} : { system: true }),
    ...(wait_ms > 0 ? { wait_ms } : {}),
    ...(follow ? { follow } : {}),
  });
  if (!read.ok) return read.problem;
  if (read.value instanceof Response) return streamedAnswer(read.value);
  return problem(
    "events-compacted",
    `some events behind after=${from.value} are no longer kept: ${read.value.detail}`,
  );
}

export const eventRoutes: readonly Route[] = [
  { method: "POST", path: "/events", access: "submitter", declares: declared.appendEvent, handle: append },
  { method: "GET", path: "/events", access: "any", declares: declared.listEvents, handle: list },
];
