import { describe, expect, it } from "vitest";
import { ConfigurationError, parseConfiguration, replicaNames } from "../../src/api/configuration.ts";

function sentence(env: Record<string, unknown>): string {
  try {
    parseConfiguration(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).message;
  }
  throw new Error(`accepted: ${JSON.stringify(env)}`);
}

describe("configuration", () => {
  it("has the balanced defaults where nothing is set", () => {
    expect(parseConfiguration({})).toMatchObject({
      cluster_id: "troika",
      replicas: 3,
      location_hints: [],
      profile: "balanced",
      heartbeat_ms: 75,
      loyalty_ms: 300,
      election_ms: [300, 450],
      partition_detection_ms: 3000,
      recovery_retry_ms: 500,
      checkpoint_entries: 5000,
      max_log_entries: 10_000,
      log_tail_entries: 1000,
      max_batch_entries: 300,
      snapshot_timeout_ms: 10_000,
      lease_ms: 30_000,
      max_attempts: 4,
      max_backlog: 100_000,
      max_backlog_bytes: 33_554_432,
      retention_ms: 604_800_000,
      operation_ttl_ms: 604_800_000,
      faults: false,
      bench: false,
    });
    expect(parseConfiguration({})).not.toHaveProperty("tokens");
    expect(parseConfiguration({})).not.toHaveProperty("event_retention");
  });

  it("takes the knobs of a profile, and a variable before its profile", () => {
    expect(parseConfiguration({ PROFILE: "latency" })).toMatchObject({
      partition_detection_ms: 1000,
      recovery_retry_ms: 100,
      checkpoint_entries: 1000,
      max_log_entries: 2000,
    });
    expect(parseConfiguration({ PROFILE: "throughput", CHECKPOINT_ENTRIES: "7000" })).toMatchObject({
      partition_detection_ms: 5000,
      recovery_retry_ms: 1000,
      checkpoint_entries: 7000,
      max_log_entries: 20_000,
    });
  });

  it("accepts every profile as it stands", () => {
    for (const PROFILE of ["latency", "balanced", "throughput", "geo"]) {
      expect(parseConfiguration({ PROFILE }).profile).toBe(PROFILE);
    }
  });

  it("treats an empty variable as not set and ignores what is no variable", () => {
    expect(parseConfiguration({ PROFILE: "", FAULTS: "", REPLICA: { get() {} }, PATH: "/bin" })).toEqual(
      parseConfiguration({}),
    );
  });

  it("names the founding replicas after their number", () => {
    expect(replicaNames(parseConfiguration({ REPLICAS: "5" }))).toEqual([
      "coordinator-1",
      "coordinator-2",
      "coordinator-3",
      "coordinator-4",
      "coordinator-5",
    ]);
  });

  it("reads tokens, hints, sizes and the local port", () => {
    const sha256 = "AB".repeat(32);
    const configuration = parseConfiguration({
      TROIKA_TOKENS: JSON.stringify([{ name: "ci", role: "submitter", sha256 }]),
      LOCATION_HINTS: "weur, eeur,wnam",
      MAX_BACKLOG_BYTES: "16 MiB",
      LOCAL_PORT_BASE: "8090",
    });
    expect(configuration.tokens).toEqual([{ name: "ci", role: "submitter", sha256: sha256.toLowerCase() }]);
    expect(configuration.location_hints).toEqual(["weur", "eeur", "wnam"]);
    expect(configuration.max_backlog_bytes).toBe(16 * 1_048_576);
    expect(configuration.local_port_base).toBe(8090);
  });

  it("parses the variables of one environment once", () => {
    const env = { REPLICAS: "1" };
    expect(parseConfiguration(env)).toBe(parseConfiguration(env));
  });

  it.each([
    [{ REPLICAS: "4" }, 'REPLICAS is "4", but it must be 1, 3, 5 or 7.'],
    [{ FAULTS: "yes" }, 'FAULTS is "yes", but it must be one of on, off.'],
    [{ PROFILE: "fast" }, 'PROFILE is "fast", but it must be one of latency, balanced, throughput, geo.'],
    [
      { HEARTBEAT_MS: "75ms" },
      'HEARTBEAT_MS is "75ms", but it must be a whole number of milliseconds from 5 to 60000.',
    ],
    [{ HEARTBEAT_MS: "300" }, 'HEARTBEAT_MS is "300", but it must be less than LOYALTY_MS (300).'],
    [
      { ELECTION_MS: "600-300" },
      'ELECTION_MS is "600-300", but it must be two whole numbers of milliseconds, the smaller first, like 300-450.',
    ],
    [
      { LOYALTY_MS: "500" },
      'ELECTION_MS is "300-450", but it must be a range that begins at LOYALTY_MS (500) or above.',
    ],
    [
      { LOCATION_HINTS: "weur" },
      'LOCATION_HINTS is "weur", but it must be empty or name 3 hints, one for each replica (REPLICAS is 3).',
    ],
    [
      { MAX_LOG_ENTRIES: "5000" },
      'MAX_LOG_ENTRIES is "5000", but it must be more than CHECKPOINT_ENTRIES (5000).',
    ],
    [
      { LOG_TAIL_ENTRIES: "1001" },
      'LOG_TAIL_ENTRIES is "1001", but it must be a whole number of entries from 0 to 1000.',
    ],
    [
      { CLUSTER_ID: "a/b" },
      'CLUSTER_ID is "a/b", but it must be 1 to 64 letters, digits, dashes or underscores.',
    ],
  ])("refuses %j in one sentence", (env, text) => {
    expect(sentence(env)).toBe(text);
  });

  it("does not show the value of a secret that it refuses", () => {
    const text = sentence({ TROIKA_TOKENS: '[{"name":"x","role":"root","sha256":"hush"}]' });
    expect(text).toContain("TROIKA_TOKENS");
    expect(text).not.toContain("hush");
  });
});
