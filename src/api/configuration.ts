/**
 * What the variables of `wrangler.toml` and of the local launcher mean together: defaults of the profile, and what
 * contradicts itself. A wrong value is one sentence that names the variable, its value and what is allowed.
 */
import { DAY_MS, tokensAllowed, type VariableName, type Variables, variables } from "./variables.ts";
import { VERSION } from "./version.ts";

export type Role = "submitter" | "prover" | "operator";

/** A bearer token that the deployment knows; only its hash is kept anywhere. */
export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the token, 64 lower-case hex digits. */
  readonly sha256: string;
}

export type Profile = "latency" | "balanced" | "throughput" | "geo";

/** Durations are milliseconds. */
export interface Configuration {
  readonly version: string;
  readonly cluster_id: string;
  /** How many replicas found the group. Membership changes go through the API afterwards. */
  readonly replicas: 1 | 3 | 5 | 7;
  /** One per replica, in order, or none. */
  readonly location_hints: readonly string[];
  readonly profile: Profile;
  readonly heartbeat_ms: number;
  /** A vote is refused for so long after a leader was heard. */
  readonly loyalty_ms: number;
  readonly election_ms: readonly [min: number, max: number];
  readonly partition_detection_ms: number;
  readonly recovery_retry_ms: number;
  /** After so long without anything to do the group falls silent; 0 for never. */
  readonly sleep_after_ms: number;
  readonly checkpoint_entries: number;
  readonly max_log_entries: number;
  readonly log_tail_entries: number;
  readonly max_batch_entries: number;
  readonly snapshot_timeout_ms: number;
  readonly lease_ms: number;
  readonly max_attempts: number;
  readonly max_backlog: number;
  readonly max_backlog_bytes: number;
  readonly retention_ms: number;
  readonly operation_ttl_ms: number;
  /** Absent: every event is kept. */
  readonly event_retention?: number;
  readonly rate_limit_per_s?: number;
  readonly rate_limit_burst?: number;
  /** Of which requests the router logs a line: of all, or of those with a status of 400 and above. */
  readonly request_log: "all" | "failed";
  /** Fault routes answer. */
  readonly faults: boolean;
  /** The circuit `noop` exists. */
  readonly bench: boolean;
  /** Absent: no secret is set, so only a loopback host is open. */
  readonly tokens?: readonly TokenEntry[];
  /** Local port of coordinator-1, the others follow; absent where replicas have no ports. */
  readonly local_port_base?: number;
  /** After so long, or so many subrequests, a leader without incoming events gets itself a new invocation. */
  readonly invocation: { readonly age_ms: number; readonly subrequests: number };
}

/** The message is one sentence for whoever starts the system. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

type Knobs = Pick<
  Configuration,
  | "heartbeat_ms"
  | "loyalty_ms"
  | "election_ms"
  | "partition_detection_ms"
  | "recovery_retry_ms"
  | "checkpoint_entries"
  | "max_log_entries"
  | "log_tail_entries"
>;

const balanced: Knobs = {
  heartbeat_ms: 75,
  loyalty_ms: 300,
  // Wide enough that replicas of one region, some milliseconds apart, seldom campaign at the same time.
  election_ms: [300, 450],
  partition_detection_ms: 3_000,
  recovery_retry_ms: 500,
  checkpoint_entries: 5_000,
  max_log_entries: 10_000,
  log_tail_entries: 1_000,
};

const knobsOf: Readonly<Record<Profile, Knobs>> = {
  latency: {
    ...balanced,
    partition_detection_ms: 1_000,
    recovery_retry_ms: 100,
    checkpoint_entries: 1_000,
    max_log_entries: 2_000,
    log_tail_entries: 500,
  },
  balanced,
  throughput: {
    ...balanced,
    partition_detection_ms: 5_000,
    recovery_retry_ms: 1_000,
    checkpoint_entries: 10_000,
    max_log_entries: 20_000,
  },
  // Replicas an ocean apart: a heartbeat's round trip alone is 100 to 200 ms.
  geo: {
    ...balanced,
    heartbeat_ms: 300,
    loyalty_ms: 1_500,
    election_ms: [1_500, 3_000],
    partition_detection_ms: 5_000,
    recovery_retry_ms: 1_000,
  },
};

function withDefaults(given: Variables): Configuration {
  const knobs = knobsOf[given.PROFILE];
  const checkpoint = given.CHECKPOINT_ENTRIES ?? knobs.checkpoint_entries;
  return {
    version: VERSION,
    cluster_id: given.CLUSTER_ID,
    replicas: given.REPLICAS,
    location_hints: given.LOCATION_HINTS,
    profile: given.PROFILE,
    heartbeat_ms: given.HEARTBEAT_MS ?? knobs.heartbeat_ms,
    loyalty_ms: given.LOYALTY_MS ?? knobs.loyalty_ms,
    election_ms: given.ELECTION_MS ?? knobs.election_ms,
    partition_detection_ms: given.PARTITION_DETECTION_MS ?? knobs.partition_detection_ms,
    recovery_retry_ms: given.RECOVERY_RETRY_MS ?? knobs.recovery_retry_ms,
    sleep_after_ms: given.SLEEP_AFTER_MS ?? 5_000,
    checkpoint_entries: checkpoint,
    max_log_entries: given.MAX_LOG_ENTRIES ?? Math.max(knobs.max_log_entries, 2 * checkpoint),
    log_tail_entries: given.LOG_TAIL_ENTRIES ?? Math.min(knobs.log_tail_entries, checkpoint),
    max_batch_entries: given.MAX_BATCH_ENTRIES ?? 300,
    snapshot_timeout_ms: given.SNAPSHOT_TIMEOUT_MS ?? 10_000,
    lease_ms: given.LEASE_MS ?? 30_000,
    max_attempts: given.MAX_ATTEMPTS ?? 4,
    max_backlog: given.MAX_BACKLOG ?? 100_000,
    max_backlog_bytes: given.MAX_BACKLOG_BYTES,
    retention_ms: given.RETENTION_MS ?? 7 * DAY_MS,
    operation_ttl_ms: given.OPERATION_TTL_MS ?? 7 * DAY_MS,
    ...(given.EVENT_RETENTION === undefined ? {} : { event_retention: given.EVENT_RETENTION }),
    ...(given.RATE_LIMIT_PER_S === undefined ? {} : { rate_limit_per_s: given.RATE_LIMIT_PER_S }),
    ...(given.RATE_LIMIT_BURST === undefined ? {} : { rate_limit_burst: given.RATE_LIMIT_BURST }),
    invocation: {
      age_ms: given.INVOCATION_MS ?? 60_000,
      subrequests: given.INVOCATION_SUBREQUESTS ?? 2_000,
    },
    request_log: given.REQUEST_LOG,
    faults: given.FAULTS,
    bench: given.BENCH,
    ...(given.TROIKA_TOKENS === undefined ? {} : { tokens: given.TROIKA_TOKENS }),
    ...(given.LOCAL_PORT_BASE === undefined ? {} : { local_port_base: given.LOCAL_PORT_BASE }),
  };
}

interface Contradiction {
  readonly variable: VariableName;
  /** The value in effect, shown where the variable itself is not set. */
  readonly effective: string;
  readonly allowed: string;
}

function contradiction(c: Configuration): Contradiction | undefined {
  if (c.location_hints.length !== 0 && c.location_hints.length !== c.replicas) {
    return {
      variable: "LOCATION_HINTS",
      effective: c.location_hints.join(","),
      allowed: `empty or name ${c.replicas} hints, one for each replica (REPLICAS is ${c.replicas})`,
    };
  }
  if (c.heartbeat_ms >= c.loyalty_ms) {
    return {
      variable: "HEARTBEAT_MS",
      effective: String(c.heartbeat_ms),
      allowed: `less than LOYALTY_MS (${c.loyalty_ms})`,
    };
  }
  if (c.election_ms[0] < c.loyalty_ms) {
    return {
      variable: "ELECTION_MS",
      effective: c.election_ms.join("-"),
      allowed: `a range that begins at LOYALTY_MS (${c.loyalty_ms}) or above`,
    };
  }
  if (c.partition_detection_ms < c.loyalty_ms) {
    return {
      variable: "PARTITION_DETECTION_MS",
      effective: String(c.partition_detection_ms),
      allowed: `at least LOYALTY_MS (${c.loyalty_ms})`,
    };
  }
  if (c.max_log_entries <= c.checkpoint_entries) {
    return {
      variable: "MAX_LOG_ENTRIES",
      effective: String(c.max_log_entries),
      allowed: `more than CHECKPOINT_ENTRIES (${c.checkpoint_entries})`,
    };
  }
  if (c.log_tail_entries >= c.max_log_entries) {
    return {
      variable: "LOG_TAIL_ENTRIES",
      effective: String(c.log_tail_entries),
      allowed: `less than MAX_LOG_ENTRIES (${c.max_log_entries})`,
    };
  }
  return undefined;
}

const secret: ReadonlySet<string> = new Set(["TROIKA_TOKENS"]);

function sentence(variable: string, value: unknown, allowed: string): ConfigurationError {
  const shown = secret.has(variable) ? "not readable" : (JSON.stringify(value) ?? String(value));
  return new ConfigurationError(`${variable} is ${shown}, but it must be ${allowed}.`);
}

const parsed = new WeakMap<object, Configuration>();

/**
 * Reads the variables out of a Worker's `env` or a process's environment; names that are no variables (bindings) are
 * ignored, an empty variable counts as not set. The answer is remembered for each `env` object.
 * @throws {ConfigurationError} for the first wrong value.
 */
export function parseConfiguration(env: Record<string, unknown>): Configuration {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const given: Record<string, unknown> = {};
  for (const name of Object.keys(variables.shape)) {
    const value = env[name];
    if (value !== undefined && value !== "") given[name] = typeof value === "number" ? String(value) : value;
  }
  const result = variables.safeParse(given);
  if (!result.success) {
    const [issue] = result.error.issues;
    const variable = String(issue?.path[0]);
    const allowed = secret.has(variable) ? tokensAllowed : String(issue?.message);
    throw sentence(variable, given[variable], allowed);
  }
  const configuration = withDefaults(result.data);
  const wrong = contradiction(configuration);
  if (wrong !== undefined) {
    throw sentence(wrong.variable, given[wrong.variable] ?? wrong.effective, wrong.allowed);
  }
  parsed.set(env, configuration);
  return configuration;
}

/** The replicas that found the group: `coordinator-1` and on. */
export function replicaNames(configuration: Configuration): readonly string[] {
  return Array.from({ length: configuration.replicas }, (_, index) => `coordinator-${index + 1}`);
}
