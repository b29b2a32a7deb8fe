/** Operations: named by their sender, carried out once under that name, looked up afterwards. */
import { z } from "zod";
import {
  afterParameter,
  consistencyParameter,
  identifier,
  limitParameter,
  time,
  waitParameter,
} from "./fields.ts";

export const operationStates = ["PENDING", "REPLICATED", "COMMITTED", "FAILED"] as const;
export const operationState = z
  .enum(operationStates)
  .describe(
    "PENDING: appended. REPLICATED: held by a majority. COMMITTED: applied. FAILED: this attempt was refused, the id is free.",
  );

export type OperationState = z.output<typeof operationState>;

/** Kept at most for so long. */
const TTL_MS_MAX = 10 * 365 * 86_400_000;

const RESERVED = "export";
export const operationId = identifier.refine((id) => id !== RESERVED, {
  error: `cannot be ${RESERVED}: GET /api/v1/operations/${RESERVED} is another route`,
});

const timestampSentence = "must be milliseconds since 1970 or an RFC 3339 time";

export const operationSubmission = z.object({
  type: identifier.describe("What a handler does with it."),
  payload: z
    .unknown()
    .refine((payload) => payload !== undefined, { error: "is missing: it may be any JSON value" })
    .describe("Any JSON value; numbers are kept as they were written."),
  daemon_id: identifier.optional().describe("Who sends it."),
  timestamp: z
    .union([z.number().int().min(0), z.iso.datetime({ offset: true, error: timestampSentence })], {
      error: timestampSentence,
    })
    .optional()
    .describe("When it was made. With ttl_ms: it fails if it is committed more than ttl_ms later."),
  schema_version: z.number().int().min(1).max(1_000_000).default(1).describe("Of the payload."),
  ttl_ms: z
    .number()
    .int()
    .min(1)
    .max(TTL_MS_MAX)
    .optional()
    .describe("How long its result is kept; then the id is new. OPERATION_TTL_MS where absent."),
});
export type OperationSubmission = z.input<typeof operationSubmission>;

export const operationParameters = z.object({ wait: waitParameter.optional() });

/** Where an operation stands. */
export const operationStanding = z.object({
  operation_id: z.string(),
  state: operationState,
  replicated: z.boolean(),
  committed: z.boolean(),
  log_index: z.number().int().describe("Of the attempt that this is about."),
  term: z.number().int(),
});
export type OperationStanding = z.output<typeof operationStanding>;

/** `PUT /api/v1/operations/{id}` */
export const operationAnswer = operationStanding.extend({ request_id: z.string() });
export type OperationAnswer = z.output<typeof operationAnswer>;

export const operationView = operationStanding.extend({
  type: z.string(),
  schema_version: z.number().int(),
  daemon_id: z.string().optional(),
  timestamp: z.union([z.number(), z.string()]).optional(),
  committed_at: time.optional(),
  failed_at: time.optional(),
  expires_at: time.optional().describe("Afterwards the id is new."),
  error: z.string().optional().describe("Why this attempt failed."),
  payload: z.unknown().describe("Absent of one that failed."),
});
export type OperationView = z.output<typeof operationView>;

/** `GET /api/v1/operations/{id}` */
export const operationFound = operationView.extend({ request_id: z.string() });
export type OperationFound = z.output<typeof operationFound>;

export const operationList = z.object({
  items: z.array(operationView),
  next_cursor: z.string().optional().describe("The `after` of the next page; absent on the last."),
  request_id: z.string(),
});

export const operationReadParameters = z.object({ consistency: consistencyParameter });

export const operationListParameters = z.object({
  consistency: consistencyParameter,
  state: operationState.optional(),
  after: afterParameter.default(0),
  limit: limitParameter.optional(),
});
