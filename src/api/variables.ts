/**
 * The variables as strings, one schema. Every message completes the sentence `VARIABLE is "value", but it must be …`.
 */
import { z } from "zod";

export const LOCATION_HINTS = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

export const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

function wholeNumber(min: number, max: number, unit: string) {
  const allowed = `a whole number of ${unit} from ${min} to ${max}`;
  return z
    .string({ error: allowed })
    .regex(/^\d{1,15}$/, allowed)
    .transform(Number)
    .refine((value) => value >= min && value <= max, allowed)
    .optional();
}

function milliseconds(min: number, max: number) {
  return wholeNumber(min, max, "milliseconds");
}

function oneOf<const Choices extends readonly string[]>(choices: Choices) {
  return z.enum(choices, { error: `one of ${choices.join(", ")}` });
}

const onOff = oneOf(["on", "off"])
  .transform((value) => value === "on")
  .default(false);

const replicaCount = z
  .enum(["1", "3", "5", "7"], { error: "1, 3, 5 or 7" })
  .transform((value) => Number(value) as 1 | 3 | 5 | 7)
  .default(3);

const clusterIdAllowed = "1 to 64 letters, digits, dashes or underscores";
const clusterId = z
  .string({ error: clusterIdAllowed })
  .regex(/^[A-Za-z0-9_-]{1,64}$/, clusterIdAllowed)
  .default("troika");

const hintsAllowed = `empty, or one hint for each replica, separated by commas, out of ${LOCATION_HINTS.join(", ")}`;
const locationHints = z
  .string({ error: hintsAllowed })
  .transform((text) => text.split(",").map((hint) => hint.trim()))
  .pipe(z.array(z.enum(LOCATION_HINTS, { error: hintsAllowed }), { error: hintsAllowed }))
  .default([]);

const electionAllowed = "two whole numbers of milliseconds, the smaller first, like 300-450";
const electionRange = z
  .string({ error: electionAllowed })
  .regex(/^\d{1,6}-\d{1,6}$/, electionAllowed)
  .transform((text): readonly [number, number] => {
    const [min = 0, max = 0] = text.split("-").map(Number);
    return [min, max];
  })
  .refine(([min, max]) => min >= 10 && min < max, electionAllowed)
  .optional();

const bytesAllowed = "a number of bytes from 1 MiB to 96 MiB, like 33554432 or 32 MiB";
const byteUnits: Readonly<Record<string, number>> = { "": 1, KiB: 1_024, MiB: 1_048_576 };
const bytes = z
  .string({ error: bytesAllowed })
  .regex(/^\d{1,10} ?(KiB|MiB)?$/, bytesAllowed)
  .transform((text) => {
    const [, amount = "", unit = ""] = /^(\d+) ?(.*)$/.exec(text) ?? [];
    return Number(amount) * (byteUnits[unit] ?? 1);
  })
  .refine((value) => value >= 1_048_576 && value <= 96 * 1_048_576, bytesAllowed)
  .default(32 * 1_048_576);

const portAllowed = "a port from 1 to 65500";
const port = z
  .string({ error: portAllowed })
  .regex(/^\d{1,5}$/, portAllowed)
  .transform(Number)
  .refine((value) => value >= 1 && value <= 65_500, portAllowed)
  .optional();

export const tokensAllowed =
  "a JSON list of {name, role, sha256}, with role one of submitter, prover, operator and sha256 the 64 hex digits of the token's SHA-256";
const tokenEntry = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  role: z.enum(["submitter", "prover", "operator"]),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/)
    .transform((text) => text.toLowerCase()),
});
const tokens = z
  .string({ error: tokensAllowed })
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: tokensAllowed });
      return z.NEVER;
    }
  })
  .pipe(z.array(tokenEntry).min(1))
  .optional();

export const variables = z.object({
  CLUSTER_ID: clusterId,
  REPLICAS: replicaCount,
  LOCATION_HINTS: locationHints,
  PROFILE: oneOf(["latency", "balanced", "throughput", "geo"]).default("balanced"),
  HEARTBEAT_MS: milliseconds(5, 60_000),
  LOYALTY_MS: milliseconds(10, 300_000),
  ELECTION_MS: electionRange,
  PARTITION_DETECTION_MS: milliseconds(10, 3_600_000),
  SLEEP_AFTER_MS: milliseconds(0, 86_400_000),
  RECOVERY_RETRY_MS: milliseconds(10, 600_000),
  CHECKPOINT_ENTRIES: wholeNumber(10, 1_000_000, "entries"),
  MAX_LOG_ENTRIES: wholeNumber(20, 2_000_000, "entries"),
  LOG_TAIL_ENTRIES: wholeNumber(0, 1_000, "entries"),
  MAX_BATCH_ENTRIES: wholeNumber(1, 10_000, "entries"),
  SNAPSHOT_TIMEOUT_MS: milliseconds(100, 600_000),
  LEASE_MS: milliseconds(300, DAY_MS),
  MAX_ATTEMPTS: wholeNumber(1, 100, "attempts"),
  MAX_BACKLOG: wholeNumber(1, 10_000_000, "tasks"),
  MAX_BACKLOG_BYTES: bytes,
  RETENTION_MS: milliseconds(1_000, 10 * YEAR_MS),
  OPERATION_TTL_MS: milliseconds(1_000, 10 * YEAR_MS),
  EVENT_RETENTION: wholeNumber(1, 1_000_000_000, "events"),
  RATE_LIMIT_PER_S: wholeNumber(1, 1_000_000, "requests per second"),
  RATE_LIMIT_BURST: wholeNumber(1, 1_000_000, "requests"),
  REQUEST_LOG: oneOf(["all", "failed"]).default("all"),
  FAULTS: onOff,
  BENCH: onOff,
  TROIKA_TOKENS: tokens,
  LOCAL_PORT_BASE: port,
  INVOCATION_MS: milliseconds(100, 600_000),
  INVOCATION_SUBREQUESTS: wholeNumber(10, 1_000_000, "subrequests"),
});

export type Variables = z.output<typeof variables>;
export type VariableName = keyof Variables;
