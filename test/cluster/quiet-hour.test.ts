/**
 * An hour without client traffic, shortened: a timer belongs to the invocation that set it, and so do its subrequests,
 * which the platform limits. The limit is lowered here, and heartbeats go on past several multiples of it. That the
 * platform counts as we do is not shown.
 */
import { describe, expect, test } from "vitest";
import { allHealthy, type Cluster, eventually, leaderOf, ready, startCluster } from "./harness.ts";

const HEARTBEAT_MS = 75;
const FOLLOWERS = 2;
const QUIET_MS = 8_000;
/** Heartbeats that go out while a follower's own request is on its way: a busy machine takes its time. */
const SLACK = 4 * FOLLOWERS;

async function metric(cluster: Cluster, replica: string, name: string): Promise<number> {
  const text = await (await cluster.fetch(`/replicas/${replica}/metrics`)).text();
  const [, value] = new RegExp(`^${name}\\{[^}]*\\} (\\d+)$`, "m").exec(text) ?? [];
  if (value === undefined) throw new Error(`${replica} has no metric ${name}`);
  return Number(value);
}

/** Looks at a follower alone: to ask the leader would give it the new invocation that it is to get by itself. */
async function quietTime(cluster: Cluster, follower: string): Promise<{ leader: unknown; term: unknown }[]> {
  const seen: { leader: unknown; term: unknown }[] = [];
  const began = Date.now();
  await eventually(
    "the quiet time is over",
    async () => {
      const { body } = await cluster.json(`/replicas/${follower}/status`);
      expect(body.last_heartbeat_ms_ago).toBeLessThan(1_000);
      seen.push({ leader: body.current_leader, term: body.current_term });
      return Date.now() - began > QUIET_MS;
    },
    2 * QUIET_MS,
  );
  return seen;
}

describe("without client traffic the leader goes on, and no invocation exceeds its limit", () => {
  test.concurrent.each([
    { by: "subrequests", limit: 40, INVOCATION_SUBREQUESTS: "40", INVOCATION_MS: "600000" },
    {
      by: "age",
      limit: FOLLOWERS * Math.ceil(500 / HEARTBEAT_MS),
      INVOCATION_SUBREQUESTS: "1000000",
      INVOCATION_MS: "500",
    },
  ])("of $by", async ({ limit, INVOCATION_SUBREQUESTS, INVOCATION_MS }) => {
    const variables = {
      HEARTBEAT_MS: String(HEARTBEAT_MS),
      SLEEP_AFTER_MS: "0",
      INVOCATION_SUBREQUESTS,
      INVOCATION_MS,
    };
    const cluster = await startCluster({ variables });
    try {
      await ready(cluster);
      await allHealthy(cluster);
      const leader = await leaderOf(cluster);
      const [follower = ""] = cluster.names.filter((name) => name !== leader);
      const seen = await quietTime(cluster, follower);
      expect(new Set(seen.map((each) => JSON.stringify(each))).size).toBe(1);
      expect(seen[0]?.leader).toBe(leader);
      // Many times the limit, had they all been one invocation's.
      expect((FOLLOWERS * QUIET_MS) / HEARTBEAT_MS).toBeGreaterThan(5 * limit);
      const most = await metric(cluster, leader, "troika_invocation_subrequests_max");
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThanOrEqual(limit + SLACK);
      expect(await metric(cluster, leader, "raft_elections_won_total")).toBe(1);
    } finally {
      await cluster.stop();
    }
  });
});
