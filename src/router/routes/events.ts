/** The event log: appended through consensus, read back as it was written. */
import { type EventSubmission, eventListParameters, eventSubmission } from "../../api/events.ts";
import { type Problem, problem } from "../../api/problem.ts";
import { validate } from "../../api/validation.ts";
import { compactJson, ITEM_BYTES_MAX, invalidBody, readJson } from "../body.ts";
import { answer, type RequestContext, type Route, streamedAnswer } from "../context.ts";
import * as declared from "../declarations/events.ts";
import { clientKey, command, expectOutcome, refusal, replayHeader } from "../requests.ts";

const ROUTE = "POST /events";

/** Clients of the systems before look for these fields in a failure. */
function failed(failure: Problem): Problem {
  return { ...failure, extra: { message: failure.detail, log_index: null } };
}

async function append(context: RequestContext): Promise<Response | Problem> {
  const body = await readJson(context.request, ITEM_BYTES_MAX);
  if (!body.ok) return failed(body.problem);
  const submitted = validate(eventSubmission, body.value);
  if (!submitted.ok) return failed(submitted.problem);
  const [kind] = Object.keys(submitted.value.event.Critical ?? {});
  if (kind === undefined) {
    return failed(
      problem("not-available", "Ephemeral events are not available in this version; Critical ones are"),
    );
  }
  // Only what was looked at above is kept.
  const text = compactJson(body.bytes, (value) => {
    const { Critical = {} } = (value as EventSubmission).event;
    return { Critical: { [kind]: Critical[kind] } };
  });
  if (text === undefined) return failed(invalidBody("event is nested too deeply").problem);
  const key = await clientKey(context, ROUTE, body.bytes);
  if (!key.ok) return failed(key.problem);
  const { client_key } = key;
  const applied = await context.cluster.propose(
    command({ type: "append-event", kind, body: text, ...(client_key === undefined ? {} : { client_key }) }),
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

async function list(context: RequestContext): Promise<Response | Problem> {
  const parameters = validate(eventListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, after, limit } = parameters.value;
  const read = await context.cluster.events({
    consistency,
    ...(after === undefined ? {} : { after }),
    ...(limit === undefined ? {} : { limit }),
  });
  if (!read.ok) return read.problem;
  return streamedAnswer(read.value);
}

export const eventRoutes: readonly Route[] = [
  { method: "POST", path: "/events", access: "submitter", declares: declared.appendEvent, handle: append },
  { method: "GET", path: "/events", access: "any", declares: declared.listEvents, handle: list },
];
