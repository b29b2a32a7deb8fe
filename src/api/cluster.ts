/** Health, status, circuits and faults, as they look from outside. */
import { z } from "zod";
import { listOf } from "./fields.ts";

/** Key order is the contract's; replicas add fields behind these. */
export const health = z
  .looseObject({
    status: z.enum(["healthy", "degraded", "unhealthy"]),
    coordinator_id: z.string(),
    raft: z.looseObject({
      state: z.enum(["Leader", "Follower", "Candidate"]),
      is_leader: z.boolean(),
      leader_address: z.string(),
      node_id: z.string(),
      term: z.number(),
    }),
    workers: z.object({ total: z.number(), active: z.number(), suspect: z.number(), dead: z.number() }),
    capacity: z.object({ total: z.number(), used: z.number(), available: z.number() }),
    scheduler: z.object({
      tasks_assigned: z.number(),
      assignments_failed: z.number(),
      poll_cycles: z.number(),
    }),
  })
  .meta({ id: "Health" });
export type Health = z.output<typeof health>;

export const status = z
  .looseObject({
    node_id: z.string(),
    is_leader: z.boolean(),
    current_leader: z.string().nullish(),
    current_term: z.number(),
    event_count: z.number(),
    commit_index: z.number(),
    applied_index: z.number(),
    first_log_index: z.number(),
    last_log_index: z.number(),
    checkpoint_index: z
      .number()
      .describe("Everything up to this entry is in the tables; 0 before the first."),
    log_size: z.number(),
    partition_state: z.enum(["healthy", "recovering", "partitioned"]),
  })
  .meta({ id: "Status" });
export type Status = z.output<typeof status>;

export const circuitView = z
  .object({
    name: z.string(),
    circuit_type: z.string(),
    description: z.string(),
    vk_hash: z.string().describe("SHA-256 of the verifying key; provers announce it."),
    setup: z.string().describe("How the keys were made."),
    statement: z
      .array(z.object({ name: z.string(), meaning: z.string() }))
      .describe("What a proof states: its public signals in their order."),
    input_schema: z.unknown().describe("JSON Schema of the circuit's own fields of a submission."),
  })
  .meta({ id: "Circuit" });
export type CircuitView = z.output<typeof circuitView>;
export const circuitList = listOf(circuitView).meta({ id: "CircuitList" });
export const circuitAnswer = circuitView
  .extend({ verifying_key: z.unknown().describe("In the form that snarkjs reads."), request_id: z.string() })
  .meta({ id: "CircuitAnswer" });
export type CircuitAnswer = z.output<typeof circuitAnswer>;

export const verdict = z.object({
  valid: z.boolean(),
  reason: z.string().optional().describe("Why it is not."),
  request_id: z.string(),
});
export type Verified = z.output<typeof verdict>;

export const service = z.object({
  service: z.literal("troika"),
  version: z.string(),
  endpoints: z.array(z.string()),
  request_id: z.string(),
});
export type Service = z.output<typeof service>;
export const alive = z.object({ status: z.literal("alive"), request_id: z.string() });
export const readiness = z.object({
  ready: z.literal(true),
  leader: z.string(),
  term: z.number(),
  request_id: z.string(),
});

export const proofCheck = z.object({
  circuit: z.string(),
  proof: z.unknown(),
  public_inputs: z
    .array(z.string(), { error: "must be a list of decimal strings" })
    .max(100, { error: "must have at most 100 items" }),
});
export type ProofCheck = z.input<typeof proofCheck>;

export const faultActions = ["stop", "start", "isolate", "heal", "reset", "degrade"] as const;
export type FaultAction = (typeof faultActions)[number];

export const fault = z.object({
  action: z
    .enum(faultActions)
    .describe(
      "stop refuses everything until start; isolate cuts it off from its peers until heal; reset loses memory.",
    ),
  delay_ms: z
    .number()
    .int()
    .min(0)
    .max(60_000)
    .optional()
    .describe("degrade: delay of each message to a peer."),
  drop_rate: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("degrade: share of the messages to peers that are lost."),
});

export const faultAnswer = z.object({
  success: z.literal(true),
  replica: z.string(),
  action: z.enum(faultActions),
  state: z.unknown().describe("The faults that hold there now."),
  request_id: z.string(),
});
