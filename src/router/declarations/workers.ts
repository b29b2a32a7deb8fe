/** What the routes of provers say of themselves. */
import {
  draining,
  heartbeat,
  heartbeatAnswer,
  hintParameters,
  pull,
  pulled,
  registered,
  registration,
  workerAnswer,
  workerList,
  workerListParameters,
  workerParameters,
} from "../../api/workers.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

const READ_HEADERS = ["X-Raft-Applied-Index"] as const;

export const registerWorker: Declaration = {
  id: "registerWorker",
  tag: "Provers",
  summary: "Register a prover",
  details:
    "A new `boot_id` releases the leases of the old one. A circuit whose key hash is not ours gives no work; the answer lists those that do.",
  body: registration,
  answers: {
    201: { is: "A new worker.", body: registered },
    200: { is: "Known already.", body: registered },
  },
  problems: WRITE_PROBLEMS,
};

export const listWorkers: Declaration = {
  id: "listWorkers",
  tag: "Provers",
  summary: "List workers, by name",
  query: workerListParameters,
  answers: { 200: { is: "A page.", body: workerList, headers: READ_HEADERS } },
  problems: READ_PROBLEMS,
};

export const getWorker: Declaration = {
  id: "getWorker",
  tag: "Provers",
  summary: "Look at a worker",
  query: workerParameters,
  answers: { 200: { is: "The worker as it stands.", body: workerAnswer, headers: READ_HEADERS } },
  problems: ["worker-unknown", ...READ_PROBLEMS],
};

export const removeWorker: Declaration = {
  id: "removeWorker",
  tag: "Provers",
  summary: "Remove a worker",
  details: "Its leases go back and spend no attempt.",
  answers: { 204: { is: "It is gone." } },
  problems: ["worker-unknown", ...WRITE_PROBLEMS],
};

export const pullLeases: Declaration = {
  id: "pullLeases",
  tag: "Provers",
  summary: "Pull tasks",
  details:
    "Never more than the worker's free slots. A lease whose answer was lost is handed out again to the same worker.",
  body: pull,
  answers: {
    200: { is: "Leases, with the input to prove.", body: pulled },
    204: { is: "Nothing to do within the wait." },
  },
  problems: ["worker-unknown", "boot-superseded", ...WRITE_PROBLEMS],
};

export const waitForHints: Declaration = {
  id: "waitForHints",
  tag: "Provers",
  summary: "Be told when there is something to pull",
  details:
    'A WebSocket. `{"type":"work"}` comes when a pull would be given a lease, at once if there is one already, and not again before the worker has pulled. An open socket counts as a sign of life of a worker without leases and keeps nobody awake: a group with nothing to do sleeps meanwhile. `ping` is answered by `pong`. `{"type":"over"}` comes before it is closed, as when another replica leads: open it again, and pull once.',
  query: hintParameters,
  answers: { 101: { is: "Messages as JSON text." } },
  problems: ["worker-unknown", "boot-superseded", "upgrade-required", "no-leader"],
};

export const beat: Declaration = {
  id: "heartbeat",
  tag: "Provers",
  summary: "Extend the leases that the prover works on",
  details: "`cancel` and `lost` end the work on a lease. 404 `worker-unknown`: register again.",
  body: heartbeat,
  answers: { 200: { is: "What to do with each lease.", body: heartbeatAnswer } },
  problems: ["worker-unknown", "boot-superseded", ...WRITE_PROBLEMS],
};

export const drainWorker: Declaration = {
  id: "drainWorker",
  tag: "Provers",
  summary: "Give a worker no more tasks",
  answers: { 200: { is: "It finishes what it holds.", body: draining } },
  problems: ["worker-unknown", ...WRITE_PROBLEMS],
};
