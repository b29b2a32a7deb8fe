/** What the routes of operations say of themselves. */
import { z } from "zod";
import {
  operationAnswer,
  operationFound,
  operationList,
  operationListParameters,
  operationParameters,
  operationReadParameters,
  operationSubmission,
} from "../../api/operations.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

const READ_HEADERS = ["X-Raft-Applied-Index"] as const;

export const putOperation: Declaration = {
  id: "putOperation",
  tag: "Operations",
  summary: "Carry out an operation once under its id",
  details:
    "The id makes it idempotent: the same `type` and `payload` again is the first result, others are 422. Waits for COMMITTED; with `wait=0`, or when the wait is over, 202 says what is known. FAILED is an answer about this attempt, and a PUT of the same id runs it again: its entry came later than `timestamp` + `ttl_ms`, or there is no room (1,000,000 operations or 512 MiB of payloads are kept). An entry that was overwritten by another leader's leaves nothing: the id is unknown, and repeating the PUT is harmless.",
  query: operationParameters,
  body: operationSubmission,
  answers: {
    200: { is: "Committed, now or before.", body: operationAnswer, headers: ["Idempotency-Replayed"] },
    202: { is: "Appended, and as far as is known not committed yet.", body: operationAnswer },
  },
  problems: ["operation-id-reused", "operation-failed", ...WRITE_PROBLEMS],
};

export const getOperation: Declaration = {
  id: "getOperation",
  tag: "Operations",
  summary: "Look an operation up",
  details:
    "PENDING and REPLICATED come from the log of the replica that answers: of its leader, unless `consistency=stale` asks another. Unknown is 404, and repeating the PUT is harmless.",
  query: operationReadParameters,
  answers: { 200: { is: "The latest attempt.", body: operationFound, headers: READ_HEADERS } },
  problems: ["operation-not-found", ...READ_PROBLEMS],
};

export const listOperations: Declaration = {
  id: "listOperations",
  tag: "Operations",
  summary: "List operations in the order of the log",
  details: "`after` is a log index; a page has at most 512 KiB.",
  query: operationListParameters,
  answers: { 200: { is: "A page.", body: operationList, headers: READ_HEADERS } },
  problems: READ_PROBLEMS,
};

export const exportOperations: Declaration = {
  id: "exportOperations",
  tag: "Operations",
  summary: "Every operation as JSON lines, in the order of the log",
  details: "One operation a line, as `GET /api/v1/operations/{id}` shows it. Streamed, of any length.",
  query: operationReadParameters,
  answers: {
    200: { is: "The operations.", body: z.string(), type: "application/x-ndjson", headers: READ_HEADERS },
  },
  problems: READ_PROBLEMS,
};
