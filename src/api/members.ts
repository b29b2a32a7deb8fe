/** Who takes part in the group, as it looks from outside, and the operator's changes of it. */
import { z } from "zod";
import { LOCATION_HINTS } from "./variables.ts";

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

export type MemberAddition = z.input<typeof memberAddition>;

export const leaderTransfer = z.object({
  to: nodeId.optional().describe("Who is to lead; whoever holds the most, if absent."),
});

export const memberChanged = z
  .object({
    node_id: z.string(),
    log_index: z.number().describe("The entry since which the change is in force."),
    request_id: z.string(),
  })
  .meta({ id: "MemberChanged" });
export type MemberChanged = z.output<typeof memberChanged>;

export const leaderTransferred = z.object({
  leader: z.string(),
  term: z.number(),
  request_id: z.string(),
});
export type LeaderTransferred = z.output<typeof leaderTransferred>;

export const clusterView = z
  .looseObject({
    cluster_id: z.string(),
    leader: z.string().nullish(),
    term: z.number().optional(),
    configuration: z.enum(["stable", "joint"]).optional(),
    voters: z.number().optional(),
    quorum: z.number().optional(),
    failure_tolerance: z.number().optional(),
    failures_tolerated_now: z
      .number()
      .nullish()
      .describe("As things stand; negative without a quorum. Only a leader knows."),
    partition_state: z.enum(["healthy", "recovering", "partitioned"]).optional(),
    asleep: z.boolean().optional().describe("Nothing happens; whatever is asked for wakes the group."),
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
  })
  .meta({ id: "Cluster" });
export type ClusterView = z.output<typeof clusterView>;

export const checkpointsTaken = z
  .object({
    checkpoint_index: z
      .number()
      .describe("Every replica that answered has everything up to this entry in its tables."),
    checkpoints: z.array(
      z.union([
        z.object({ node_id: z.string(), checkpoint_index: z.number() }),
        z.object({ node_id: z.string(), code: z.string(), detail: z.string() }),
      ]),
    ),
    request_id: z.string(),
  })
  .meta({ id: "Checkpoints" });
