/** Tasks: what may be submitted and asked for, and what a task looks like from outside. */
import { z } from "zod";
import {
  consistencyParameter,
  identifier,
  limitParameter,
  listOf,
  taskCursorParameter,
  time,
  waitParameter,
  wordsParameter,
} from "./fields.ts";
import type { ProblemBody } from "./problem.ts";

export const taskStatuses = [
  "scheduled",
  "pending",
  "assigned",
  "in_progress",
  "completed",
  "failed",
  "cancelled",
  "expired",
] as const;
export const taskStatus = z.enum(taskStatuses).meta({ id: "TaskStatus" });
export type TaskStatus = z.output<typeof taskStatus>;

/** Statuses that a task does not leave by itself. */
export const endedStatuses: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "expired"]);

export const DELAY_MS_MAX = 30 * 86_400_000;

const instant = z.iso
  .datetime({ offset: true, error: 'must be a time as RFC 3339 has it, like "2027-01-31T12:00:00Z"' })
  .transform((text) => Date.parse(text));

const tag = z.string().min(1).max(64);

/** Beside the circuit's own input. */
export const submissionOptions = z.object({
  priority: z
    .number()
    .int()
    .min(-100)
    .max(100)
    .default(0)
    .describe(
      "Higher goes first. A point is worth a minute of waiting; between circuits, a second of a prover's time.",
    ),
  max_attempts: z.number().int().min(1).max(100).optional().describe("Attempts that may be spent in all."),
  max_runtime_ms: z
    .number()
    .int()
    .min(1)
    .max(86_400_000)
    .optional()
    .describe("An attempt that takes longer is spent and ends."),
  tags: z.array(tag).max(16).optional().describe("For the client's own use."),
  delay_ms: z.number().int().min(0).max(DELAY_MS_MAX).optional().describe("Not handed out for so long."),
  deadline: instant
    .optional()
    .describe("A task without a proof by then expires. Milliseconds count, finer parts do not."),
});
export type SubmissionOptions = z.input<typeof submissionOptions>;

/** What a client sends to `POST /api/v1/tasks/merkle`. */
export interface MerkleSubmission extends SubmissionOptions {
  /** 1 to 1,000 leaves of 1 to 64 hex digits each, `0x` optional. */
  readonly leaves: readonly string[];
  /** Counts from 0, which is also the default. */
  readonly leaf_index?: number;
}

/** 202 for a new task, 200 with status `cached` where a task with the same content holds or will hold the proof. */
export const submission = z
  .object({
    success: z.literal(true),
    task_id: z.uuid(),
    status: z.union([taskStatus, z.literal("cached")]),
    message: z.string(),
    request_id: z.string(),
  })
  .meta({ id: "Submission" });
export type Submission = z.output<typeof submission>;

export const BATCH_ITEMS_MAX = 500;

/** Each item is looked at by itself: see {@link batchItem}. */
export const batch = z.object({ items: z.array(z.unknown()).min(1).max(BATCH_ITEMS_MAX) });

export const batchItem = submissionOptions.extend({
  circuit: identifier,
  input: z.unknown().nonoptional().describe("As the circuit's own route takes it."),
});
export type BatchItem = z.input<typeof batchItem>;

/** What a batch should be, item by item. */
export const batchRequest = z.object({ items: z.array(batchItem).min(1).max(BATCH_ITEMS_MAX) });

const batchResult = z.union([
  z.object({ index: z.number(), status: z.union([taskStatus, z.literal("cached")]), task_id: z.uuid() }),
  z.object({ index: z.number(), problem: z.record(z.string(), z.unknown()) }),
]);
export const batchSubmitted = z.object({ items: z.array(batchResult), request_id: z.string() });
export interface BatchSubmitted {
  readonly items: readonly (
    | { readonly index: number; readonly status: TaskStatus | "cached"; readonly task_id: string }
    | { readonly index: number; readonly problem: ProblemBody }
  )[];
  readonly request_id: string;
}

const condition = z.object({
  status: z.union([taskStatus, z.array(taskStatus).min(1)]).optional(),
  circuit: identifier.optional(),
  worker_id: identifier.optional().describe("Holds the task or ever held it."),
  tag: tag.optional(),
  created_before: instant.optional(),
});

/** Tasks that one request changes at most. */
export const BULK_TASKS_MAX = 10_000;

export const bulkRequest = z
  .object({
    action: z.enum(["cancel", "retry"]),
    filter: condition.describe("All of it must apply. Of these tasks, those that the action can be done to."),
    dry_run: z.boolean().default(false).describe("Counts them and changes nothing."),
    expected_count: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe("Nothing is changed if they are not so many."),
  })
  .refine(
    ({ filter, expected_count, dry_run }) =>
      dry_run || expected_count !== undefined || Object.values(filter).some((value) => value !== undefined),
    { path: ["filter"], error: "must have a condition, where expected_count is not given" },
  );
export type BulkRequest = z.input<typeof bulkRequest>;

export const bulkDone = z.object({
  success: z.literal(true),
  action: z.enum(["cancel", "retry"]),
  dry_run: z.boolean(),
  matched: z.number().describe("When they were counted."),
  changed: z.number(),
  skipped: z.number().describe("Had changed by themselves in between."),
  remaining: z.number().describe("More than one request changes: repeat it."),
  request_id: z.string(),
});
export type BulkDone = z.output<typeof bulkDone>;

/** Groth16 over BN254 in the form that snarkjs writes and verifies. */
export const groth16Proof = z
  .object({
    pi_a: z.array(z.string()),
    pi_b: z.array(z.array(z.string())),
    pi_c: z.array(z.string()),
    protocol: z.string(),
    curve: z.string(),
  })
  .meta({ id: "Groth16Proof" });

/** Fields that have no value yet are absent. Key order is the contract's. */
export const taskView = z.object({
  task_id: z.uuid(),
  status: taskStatus,
  circuit_type: z.string(),
  proof: z.unknown().optional(),
  merkle_root: z.string().optional(),
  public_inputs: z.array(z.string()).optional(),
  error: z.string().optional().describe("Why the last attempt, or the task, failed."),
  attempt: z.number().int().optional().describe("Grants so far."),
  worker_id: z.string().optional().describe("Holds the task, or completed it."),
  created_at: time,
  started_at: time.optional(),
  completed_at: time.optional(),
  circuit: z.string(),
  priority: z.number(),
  max_attempts: z.number(),
  attempts_spent: z.number(),
  losses: z.number().describe("Grants lost with their worker; they spend no attempt."),
  progress: z
    .number()
    .optional()
    .describe("Share of the attempt that is done, from 0 to 1, if its prover says so; the leader knows it."),
  max_runtime_ms: z.number().optional(),
  not_before: time.optional().describe("Not handed out before."),
  deadline: time.optional().describe("Expires if it has no proof by then."),
  tags: z.array(z.string()).optional(),
});
export type TaskView = z.output<typeof taskView>;

/** `GET /api/v1/tasks/{id}` */
export const taskAnswer = taskView
  .extend({ success: z.literal(true), request_id: z.string() })
  .meta({ id: "TaskAnswer" });
export type TaskAnswer = z.output<typeof taskAnswer>;

/** What `cancel` and `retry` answer. */
export const taskChanged = z.object({
  success: z.literal(true),
  task_id: z.uuid(),
  status: taskStatus,
  request_id: z.string(),
});
export type TaskChanged = z.output<typeof taskChanged>;

export const attemptView = z.object({
  attempt: z.number().int().describe("Counts grants from 1."),
  worker_id: z.string(),
  granted_at: time,
  started_at: time.optional(),
  ended_at: time.optional(),
  outcome: z.string().optional().describe("Absent while the attempt is under way."),
  error: z.string().optional(),
});
export type AttemptView = z.output<typeof attemptView>;

export const taskList = listOf(taskView.meta({ id: "Task" })).meta({ id: "TaskList" });
export const attemptList = listOf(attemptView.meta({ id: "Attempt" })).meta({ id: "AttemptList" });

export interface List<Item> {
  readonly items: readonly Item[];
  readonly next_cursor?: string;
}

export const taskParameters = z.object({ consistency: consistencyParameter, wait: waitParameter.optional() });

/** The files that `snarkjs groth16 verify verification_key.json public.json proof.json` takes. */
export const proofFiles = ["proof", "public", "verification_key"] as const;

export const proofParameters = taskParameters.extend({
  file: z.enum(proofFiles, { error: `must be one of ${proofFiles.join(", ")}` }).default("proof"),
});

export const taskListParameters = z.object({
  consistency: consistencyParameter,
  status: wordsParameter(taskStatuses).optional().describe("One or several, separated by commas."),
  circuit: identifier.optional(),
  worker_id: identifier.optional().describe("Holds the task or ever held it."),
  tag: tag.optional(),
  created_before: instant.optional(),
  limit: limitParameter.optional(),
  cursor: taskCursorParameter.optional(),
});
