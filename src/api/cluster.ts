/** Health, status, circuits and faults, as they look from outside. */
import { z } from "zod";
import { LOCATION_HINTS } from "./variables.ts";

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

/** What a replica may be called. */
export const NODE_ID = /^coordinator-[1-9]\d{0,3}$/;
const nodeId = z
  .string({ error: "must be the name of a replica, like coordinator-4" })
  .regex(NODE_ID, "must be the name of a replica, like coordinator-4");

export const memberAddition = z.object({
  node_id: nodeId.describe("The new member, like coordinator-4; or a lost one, which is to be replaced."),
  location_hint: z
    .enum(LOCATION_HINTS, { error: `must be one of ${LOCATION_HINTS.join(", ")}` })
    .optional()
    .describe("Where the platform is asked to run it. Counts only for a replica that has never run."),
});

export const leaderTransfer = z.object({
  to: nodeId.optional().describe("Who is to lead; whoever holds the most, if absent."),
});

export const memberChanged = z.object({
  node_id: z.string(),
  log_index: z.number().describe("The entry since which the change is in force."),
});

export const leaderTransferred = z.object({ leader: z.string(), term: z.number() });

export const clusterView = z.looseObject({
  cluster_id: z.string(),
  leader: z.string().nullish(),
  term: z.number().optional(),
  configuration: z.enum(["stable", "joint"]).optional(),
  voters: z.number().optional(),
  quorum: z.number().optional(),
  failure_tolerance: z.number().optional(),
  members: z.array(
    z.looseObject({
      node_id: z.string(),
      incarnation: z.string(),
      role: z.enum(["leader", "follower", "learner"]),
      region: z.string().nullable(),
      match_index: z.number().nullable(),
      last_contact_ms_ago: z.number().nullable(),
      reachable: z.boolean().nullable(),
    }),
  ),
  warnings: z.array(z.string()),
});
export type ClusterView = z.output<typeof clusterView>;

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
