/** Provers: registration, pulling, heartbeats, and how a lease ends. */
import { z } from "zod";
import {
  consistencyParameter,
  identifier,
  limitParameter,
  listOf,
  time,
  waitSeconds,
  workerCursorParameter,
} from "./fields.ts";

const LEASES_MAX = 1_000;

const LABELS_MAX = 32;

/** Counted before any of them is looked at: a record of a million would give a million issues. */
const labels = z
  .custom<Readonly<Record<string, string>>>(
    (given) => typeof given !== "object" || given === null || Object.keys(given).length <= LABELS_MAX,
    { error: `must have at most ${LABELS_MAX} fields` },
  )
  .pipe(z.record(z.string().min(1).max(64), z.string().max(256)));

export const registration = z.object({
  worker_id: identifier,
  boot_id: identifier.describe("New for each process: a new one releases the leases of the old one."),
  max_concurrent_tasks: z.number().int().min(1).max(LEASES_MAX),
  circuits: z
    .array(z.object({ name: identifier, vk_hash: z.string().max(128) }))
    .max(100)
    .describe("What this prover can prove, and the hash of the verifying key of each."),
  labels: labels.default({}),
});
export type Registration = z.input<typeof registration>;

/** What a prover holds: a task to prove before `expires_at`. The input is for the holder alone. */
export const leaseOffer = z
  .object({
    lease_id: z.string(),
    task_id: z.uuid(),
    attempt: z.number().int(),
    circuit: z.string(),
    input: z.record(z.string(), z.unknown()),
    public_inputs: z.array(z.string()).describe("What the proof must state."),
    expires_at: time,
    max_runtime_ms: z.number().optional(),
  })
  .meta({ id: "LeaseOffer" });
export type LeaseOffer = z.output<typeof leaseOffer>;

export const registered = z.object({
  worker_id: z.string(),
  lease_ms: z.number(),
  heartbeat_interval_ms: z.number(),
  circuits: z.array(z.string()).describe("Those whose key hash is ours: only they give work."),
  leases: z.array(leaseOffer),
  request_id: z.string(),
});
export type Registered = z.output<typeof registered>;

export const pull = z.object({
  boot_id: identifier,
  max: z.number().int().min(1).max(LEASES_MAX).default(1).describe("Free slots."),
  wait: waitSeconds.default(0),
});
/** Query of `GET /workers/{id}/hints`. */
export const hintParameters = z.object({ boot_id: identifier });
export const pulled = z
  .object({ leases: z.array(leaseOffer), request_id: z.string() })
  .meta({ id: "Leases" });
export type PullRequest = z.input<typeof pull>;

export const heartbeat = z.object({
  boot_id: identifier,
  leases: z
    .array(
      z.object({
        lease_id: z.string().max(128),
        progress: z.number().min(0).max(1).optional().describe("Share that is done; shown with the task."),
      }),
    )
    .max(LEASES_MAX)
    .describe("Every lease that the prover works on."),
});
export type HeartbeatRequest = z.input<typeof heartbeat>;

export const heartbeatAnswer = z.object({
  leases: z.array(
    z.object({
      lease_id: z.string(),
      directive: z.enum(["continue", "cancel", "lost"]),
      expires_at: time.optional(),
    }),
  ),
  missing: z.array(z.string()).describe("Granted to this worker, but not listed."),
  request_id: z.string(),
});
export type HeartbeatAnswer = z.output<typeof heartbeatAnswer>;

export const completion = z.object({
  worker_id: identifier,
  // Of any shape: what is not a proof spends the attempt.
  proof: z.unknown().nonoptional().describe("In the form that snarkjs writes."),
  public_inputs: z.unknown().nonoptional().describe("Those of the lease, as decimal strings."),
  duration_ms: z.number().min(0).optional(),
  next: z
    .object({ max: z.number().int().min(0).max(LEASES_MAX), boot_id: identifier.optional() })
    .optional()
    .describe("Also pull up to so many tasks, for the process that registered under this boot_id."),
});
export type CompletionRequest = z.input<typeof completion>;

export const completed = z.object({
  status: z.literal("completed"),
  task_id: z.uuid(),
  duplicate: z.literal(true).optional().describe("The same proof had been accepted before."),
  accepted_late: z.literal(true).optional().describe("The lease was old, but the task still open."),
  leases: z.array(leaseOffer),
  request_id: z.string(),
});
export type Completed = z.output<typeof completed>;

export const failure = z.object({
  worker_id: identifier,
  error_code: identifier,
  message: z.string().max(2_000).default(""),
  retryable: z.boolean().default(true),
});
export type FailureRequest = z.input<typeof failure>;

export const release = z.object({ worker_id: identifier });

export const draining = z.object({
  worker_id: z.string(),
  draining: z.literal(true),
  request_id: z.string(),
});

/** What became of the task of a lease that was failed or released. */
export const leaseEnded = z.object({
  task_id: z.uuid(),
  status: z.string(),
  request_id: z.string(),
});
export type LeaseEnded = z.output<typeof leaseEnded>;

export const workerView = z
  .object({
    worker_id: z.string(),
    state: z.enum(["active", "suspect", "dead"]),
    draining: z.boolean(),
    max_concurrent_tasks: z.number(),
    circuits: z.array(z.string()),
    labels: z.record(z.string(), z.string()),
    registered_at: time,
    leases: z.array(z.string()),
  })
  .meta({ id: "Worker" });
export type WorkerView = z.output<typeof workerView>;

export const workerAnswer = workerView.extend({ request_id: z.string() }).meta({ id: "WorkerAnswer" });
export const workerList = listOf(workerView).meta({ id: "WorkerList" });

export const workerParameters = z.object({ consistency: consistencyParameter });

export const workerListParameters = z.object({
  consistency: consistencyParameter,
  limit: limitParameter.optional(),
  cursor: workerCursorParameter.optional(),
});
