/** What the routes of the event log say of themselves. */
import { appended, eventList, eventListParameters, eventSubmission } from "../../api/events.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

export const appendEvent: Declaration = {
  id: "appendEvent",
  tag: "Events",
  summary: "Append an event",
  details:
    "A Critical event goes through consensus: without `Idempotency-Key` a client's own repeat is a second event. An Ephemeral one is passed on by the leader to the streams that are open at any replica, best effort, and never stored: `log_index` is null. Problems carry `message` and `log_index:null` too.",
  body: eventSubmission,
  keyed: true,
  answers: { 200: { is: "Committed, or passed on.", body: appended, headers: ["Idempotency-Replayed"] } },
  problems: ["idempotency-key-reused", ...WRITE_PROBLEMS],
};

export const listEvents: Declaration = {
  id: "listEvents",
  tag: "Events",
  summary: "Read events, oldest first",
  details:
    "Without parameters: all Critical events that are kept, streamed. With `wait` the answer comes when there is an event behind `after`, at the latest after so many seconds. With `Accept: text/event-stream` it is a stream of server-sent events without an end: each has the event as data and its position as id, with which `Last-Event-ID` resumes; heartbeats are comments. `include=system` adds what the system reports of itself (`task.*`, `worker.*`, `operation.committed`, `member.joined`, `member.removed`: in the order of the log, the last 10,000), and to a stream also what its replica observes (`raft.leader_elected`, `raft.leader_lost`, `partition.detected`, `partition.recovered`, `log.compacted`: at once, without an id). A stream that must end says so with an event `end` and can be resumed.",
  query: eventListParameters,
  answers: {
    200: { is: "The events as they were submitted.", body: eventList, headers: ["X-Raft-Applied-Index"] },
  },
  problems: ["events-compacted", ...READ_PROBLEMS],
};
