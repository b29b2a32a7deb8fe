/** What the routes of tasks say of themselves. */
import { z } from "zod";
import {
  attemptList,
  groth16Proof,
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

export const listTasks: Declaration = {
  id: "listTasks",
  tag: "Tasks",
  summary: "List tasks, newest first",
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
  query: taskParameters,
  answers: { 200: { is: "The proof.", body: groth16Proof, headers: READ_HEADERS } },
  problems: ["task-not-found", "proof-not-found", ...READ_PROBLEMS],
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
  details: "Repeating it is harmless.",
  answers: { 200: { is: "It waits for a prover again.", body: taskChanged } },
  problems: ["task-not-found", "task-conflict", ...WRITE_PROBLEMS],
};
