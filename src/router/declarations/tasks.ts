/** What the routes of tasks say of themselves. */
import { z } from "zod";
import {
  attemptList,
  BULK_TASKS_MAX,
  batchRequest,
  batchSubmitted,
  bulkDone,
  bulkRequest,
  groth16Proof,
  proofParameters,
  submission,
  submissionOptions,
  taskAnswer,
  taskChanged,
  taskList,
  taskListParameters,
  taskParameters,
} from "../../api/tasks.ts";
import { circuits } from "../../proofs/index.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

const READ_HEADERS = ["X-Raft-Applied-Index"] as const;

function oneOf(schemas: readonly z.ZodType[]): z.ZodType {
  const [only] = schemas;
  return schemas.length === 1 && only !== undefined ? only : z.union(schemas);
}

export const submitTask: Declaration = {
  id: "submitTask",
  tag: "Tasks",
  summary: "Submit a task for a circuit",
  details:
    "The same content again, while the first task is not failed, cancelled or expired, is that task: 200 with status `cached`. The content is circuit and canonical input; the other fields stay the first task's.",
  body: oneOf([...circuits.values()].map(({ input }) => z.intersection(input, submissionOptions))),
  keyed: true,
  answers: {
    202: { is: "A new task.", body: submission, headers: ["Location", "Idempotency-Replayed"] },
    200: {
      is: "A task with the same content is known.",
      body: submission,
      headers: ["Location", "X-Cache", "Idempotency-Replayed"],
    },
  },
  problems: ["circuit-unknown", "idempotency-key-reused", ...WRITE_PROBLEMS],
};

export const submitBatch: Declaration = {
  id: "submitBatch",
  tag: "Tasks",
  summary: "Submit up to 500 tasks at once, of any circuits",
  details:
    "Each item is submitted as if it came alone, and has its own result: `index` is its place in the list. The answer is a problem only where no item has a result. An item that was not submitted for want of a quorum or of time has a problem that is `retryable`: repeat the whole request under the same key.",
  body: batchRequest,
  keyed: true,
  answers: {
    200: {
      is: "One result for each item, in their order.",
      body: batchSubmitted,
      headers: ["Idempotency-Replayed"],
    },
  },
  problems: ["idempotency-key-reused", ...WRITE_PROBLEMS],
};

export const bulk: Declaration = {
  id: "changeTasks",
  tag: "Tasks",
  summary: "Cancel or retry all tasks that a filter finds",
  details: `The tasks are counted first, and each is looked at again when it is changed, in slices of 500. \`cancel\` finds open tasks; \`retry\` finds failed, cancelled, expired and scheduled ones. One request changes at most ${BULK_TASKS_MAX.toLocaleString("en")}; repeat it while there are any \`remaining\`. Repeating it is harmless.`,
  body: bulkRequest,
  answers: { 200: { is: "How many were found and changed.", body: bulkDone } },
  problems: ["count-mismatch", ...WRITE_PROBLEMS],
};

export const listTasks: Declaration = {
  id: "listTasks",
  tag: "Tasks",
  summary: "List tasks, newest first",
  details:
    "A page reads a bounded part of what has ended: it may come back short, or even empty, and still have a `next_cursor`.",
  query: taskListParameters,
  answers: { 200: { is: "A page.", body: taskList, headers: READ_HEADERS } },
  problems: READ_PROBLEMS,
};

export const getTask: Declaration = {
  id: "getTask",
  tag: "Tasks",
  summary: "Look at a task, or wait until it ends",
  details:
    "With `wait` (or `Prefer: wait=N`) the answer comes when the task ends, at the latest after so many seconds.",
  query: taskParameters,
  answers: { 200: { is: "The task as it stands.", body: taskAnswer, headers: READ_HEADERS } },
  problems: ["task-not-found", ...READ_PROBLEMS],
};

export const getAttempts: Declaration = {
  id: "getTaskAttempts",
  tag: "Tasks",
  summary: "Every attempt at a task",
  query: taskParameters,
  answers: { 200: { is: "Oldest first.", body: attemptList, headers: READ_HEADERS } },
  problems: ["task-not-found", ...READ_PROBLEMS],
};

export const getProof: Declaration = {
  id: "getTaskProof",
  tag: "Tasks",
  summary: "The proof alone, in the form that snarkjs verifies",
  details:
    "`?file=proof`, `public` and `verification_key` are what `snarkjs groth16 verify verification_key.json public.json proof.json` takes.",
  query: proofParameters,
  answers: {
    200: {
      is: "The proof; with `file=public` the list of its public inputs, with `file=verification_key` the key.",
      body: z.union([groth16Proof, z.array(z.string()), z.record(z.string(), z.unknown())]),
      headers: READ_HEADERS,
    },
  },
  problems: ["task-not-found", "proof-not-found", "not-available", ...READ_PROBLEMS],
};

export const cancelTask: Declaration = {
  id: "cancelTask",
  tag: "Tasks",
  summary: "Cancel a task that has not ended",
  details: "Reaches a running prover with its next heartbeat. Repeating it is harmless.",
  answers: { 200: { is: "It is cancelled.", body: taskChanged } },
  problems: ["task-not-found", "task-conflict", ...WRITE_PROBLEMS],
};

export const retryTask: Declaration = {
  id: "retryTask",
  tag: "Tasks",
  summary: "Run a failed, cancelled or expired task again",
  details:
    "It has one more attempt where all were spent. One that waits for its delay or its next attempt is due at once. Repeating it is harmless.",
  answers: { 200: { is: "It waits for a prover again.", body: taskChanged } },
  problems: ["task-not-found", "task-conflict", ...WRITE_PROBLEMS],
};
