/** Exports of a whole group, line by line, and taking them in. The records are those of the state machine, as they are stored. */
import { z } from "zod";
import { consistencyParameter } from "./fields.ts";
import { taskStatus } from "./tasks.ts";

const instant = z.number().int().min(0);
const count = z.number().int().min(0);
const position = z.number().int().min(1);
const text = z.string();
const word = z.string().min(1).max(256);
const v = z.literal(1);
/** Shown as it stands. */
const json = z.string().refine(isJson, { error: "must be JSON text" });

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

const attempt = z.strictObject({
  lease_id: word,
  worker_id: word,
  boot_id: word,
  granted_at: instant,
  started_at: instant.optional(),
  ended_at: instant.optional(),
  outcome: word.optional(),
  earlier_outcome: word.optional(),
  error: text.optional(),
});

const task = z.strictObject({
  v,
  task_id: z.uuid(),
  sequence: position,
  circuit: word,
  circuit_type: word,
  status: taskStatus,
  input: z.unknown(),
  input_bytes: count.optional(),
  blinding: text,
  content_hash: word,
  public_inputs: z.array(text).max(1_000),
  merkle_root: text.optional(),
  priority: z.number().int().min(-100).max(100),
  max_attempts: position,
  max_runtime_ms: position.optional(),
  tags: z.array(word).max(16).optional(),
  created_at: instant,
  not_before: instant.optional(),
  deadline: instant.optional(),
  started_at: instant.optional(),
  completed_at: instant.optional(),
  attempts_spent: count,
  losses: count,
  losses_max: position.optional(),
  grants: count,
  attempts: z.array(attempt).max(1_000),
  proof: z.unknown().optional(),
  proof_digest: word.optional(),
  worker_id: word.optional(),
  error: text.optional(),
});

const worker = z.strictObject({
  v,
  worker_id: word,
  boot_id: word,
  state: z.enum(["active", "suspect", "dead"]),
  draining: z.boolean(),
  max_concurrent_tasks: position,
  circuits: z.array(word).max(1_000),
  labels: z.record(text, text),
  registered_at: instant,
});

const event = z.strictObject({
  v,
  seq: position,
  log_index: position,
  time: instant,
  kind: word,
  body: json,
});

const operation = z.strictObject({
  v,
  operation_id: word,
  type: word,
  state: z.enum(["COMMITTED", "FAILED"]),
  payload: json.optional(),
  payload_bytes: count,
  digest: word,
  schema_version: position,
  daemon_id: text.optional(),
  timestamp: z.union([z.number(), text]).optional(),
  log_index: position,
  term: position,
  time: instant,
  expires_at: instant,
  error: text.optional(),
});

/** One line of an export. Fields that are not known here are refused: a newer version wrote them. */
export const exportLine = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("export"),
    v,
    export_id: z.uuid(),
    cluster_id: word,
    applied_index: count,
    applied_time: instant,
    events_forgotten: count,
  }),
  z.strictObject({ type: z.literal("event"), record: event }),
  z.strictObject({ type: z.literal("operation"), record: operation }),
  z.strictObject({ type: z.literal("task"), record: task }),
  z.strictObject({ type: z.literal("worker"), record: worker }),
  z.strictObject({ type: z.literal("end"), lines: position }),
]);

export const exportParameters = z.object({ consistency: consistencyParameter });

export const importParameters = z.object({
  export_id: z.uuid().optional().describe("Of a body that does not begin with the first line."),
  from_line: z.coerce
    .number({ error: "must be the number of a line" })
    .int()
    .min(1)
    .default(1)
    .describe("Number of the first line in the body, of an export that is sent in parts."),
});

export const importAnswer = z.object({
  export_id: z.string(),
  lines: z.number().describe("Taken in so far, counted from the first one of the export."),
  done: z.boolean().describe("All of it."),
  request_id: z.string(),
});
