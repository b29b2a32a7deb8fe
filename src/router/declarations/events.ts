/** What the routes of the event log say of themselves. */
import { appended, eventList, eventListParameters, eventSubmission } from "../../api/events.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

export const appendEvent: Declaration = {
  id: "appendEvent",
  tag: "Events",
  summary: "Append an event",
  details:
    "Without `Idempotency-Key` a client's own repeat is a second event. Problems carry `message` and `log_index:null` too.",
  body: eventSubmission,
  keyed: true,
  answers: { 200: { is: "Committed.", body: appended, headers: ["Idempotency-Replayed"] } },
  problems: ["idempotency-key-reused", ...WRITE_PROBLEMS, "not-available"],
};

export const listEvents: Declaration = {
  id: "listEvents",
  tag: "Events",
  summary: "Read events, oldest first",
  details: "Without parameters: all that are kept, streamed.",
  query: eventListParameters,
  answers: {
    200: { is: "The events as they were submitted.", body: eventList, headers: ["X-Raft-Applied-Index"] },
  },
  problems: READ_PROBLEMS,
};
