/** Health, status, circuits and faults, as they look from outside. */
import { z } from "zod";

/** Key order is the contract's; replicas add fields behind these. */
export const health = z.looseObject({
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
});
export type Health = z.output<typeof health>;

export const status = z.looseObject({
  node_id: z.string(),
  is_leader: z.boolean(),
  current_leader: z.string().nullish(),
  current_term: z.number(),
  event_count: z.number(),
  commit_index: z.number(),
  applied_index: z.number(),
  first_log_index: z.number(),
  last_log_index: z.number(),
  log_size: z.number(),
  partition_state: z.enum(["healthy", "recovering", "partitioned"]),
});
export type Status = z.output<typeof status>;

export interface CircuitView {
  readonly name: string;
  readonly circuit_type: string;
  /** What a proof says, in one sentence. */
  readonly description: string;
  readonly vk_hash: string;
  readonly setup: string;
  /** What a proof states: its public signals in their order. */
  readonly statement: readonly { readonly name: string; readonly meaning: string }[];
  /** JSON Schema of the circuit's own fields of a submission. */
  readonly input_schema: unknown;
}

export const proofCheck = z.object({
  circuit: z.string(),
  proof: z.unknown(),
  public_inputs: z
    .array(z.string(), { error: "must be a list of decimal strings" })
    .max(100, { error: "must have at most 100 items" }),
});

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
