/** How often one may ask. The buckets alone, and on a real Worker whose isolate keeps them. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addressOf, RateLimit } from "../../src/router/rate-limit.ts";
import { type Cluster, event, ready, startCluster } from "../cluster/harness.ts";

describe("a bucket", () => {
  it("lets a burst pass, then one request per interval, and says how long to wait", () => {
    const limit = new RateLimit(10, 3);
    expect([0, 1, 2].map(() => limit.take("a", 1_000))).toEqual([0, 0, 0]);
    expect(limit.take("a", 1_000)).toBe(100);
    expect(limit.take("a", 1_050)).toBe(50);
    expect([limit.take("a", 1_100), limit.take("a", 1_100)]).toEqual([0, 100]);
  });

  it("is one for each who asks, and never holds more than the burst", () => {
    const limit = new RateLimit(10, 2);
    expect([limit.take("a", 0), limit.take("a", 0), limit.take("b", 0)]).toEqual([0, 0, 0]);
    expect(limit.take("a", 0)).toBe(100);
    const later = [0, 1, 2].map(() => limit.take("a", 60_000));
    expect(later).toEqual([0, 0, 100]);
  });

  it("costs a bounded memory, however many ask", () => {
    const limit = new RateLimit(1, 1);
    for (let i = 0; i < 30_000; i++) limit.take(`address ${i}`, i);
    expect(limit.size).toBe(10_000);
    expect(limit.take("address 29999", 29_999)).toBe(1_000);
  });

  it("does not believe a clock that goes back", () => {
    const limit = new RateLimit(10, 1);
    expect([limit.take("a", 5_000), limit.take("a", 1_000)]).toEqual([0, 100]);
  });
});

describe("an address", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::9", "2001:db8:1:2"],
    ["2001:db8::9", "2001:db8:0:0"],
    ["::1", ":0:0:0"],
  ])("%s counts as %s", (address, network) => {
    const request = new Request("https://troika.example", { headers: { "cf-connecting-ip": address } });
    expect(addressOf(request)).toBe(network);
  });

  it("is unknown where no platform stands in front", () => {
    expect(addressOf(new Request("https://troika.example"))).toBeUndefined();
  });
});

describe("a Worker with a limit", () => {
  const sha256 = (token: string): string => createHash("sha256").update(token).digest("hex");
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  let cluster: Cluster;
  beforeAll(async () => {
    const tokens = ["ada", "bob", "ops"].map((name) => ({ name, role: "operator", sha256: sha256(name) }));
    cluster = await startCluster({
      variables: {
        TROIKA_TOKENS: JSON.stringify(tokens),
        RATE_LIMIT_PER_S: "1",
        RATE_LIMIT_BURST: "20",
      },
    });
    await ready(cluster);
  });
  afterAll(() => cluster.stop());

  it("answers 429 with Retry-After to the token that asked too often, does nothing, and serves the others", async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        // From everywhere: it is the token that counts.
        cluster.post("/events", event("Many", { i }), {
          ...bearer("ada"),
          "cf-connecting-ip": `192.0.2.${i}`,
        }),
      ),
    );
    const limited = answers.filter(({ status }) => status === 429);
    const done = answers.filter(({ status }) => status === 200);
    expect(limited.length + done.length).toBe(40);
    // The burst, and what came back while they were sent.
    expect(done.length).toBeGreaterThanOrEqual(20);
    expect(done.length).toBeLessThan(30);
    for (const { headers, body } of limited) {
      expect(headers.get("retry-after")).toBe("1");
      expect(body).toMatchObject({ code: "rate-limited", retryable: true, success: false, status: 429 });
      expect(body.detail).toContain("with this token");
    }
    const { body } = await cluster.json("/events", {
      headers: { ...bearer("bob"), "cf-connecting-ip": "192.0.2.200" },
    });
    expect(body.count).toBe(done.length);
  });

  it("slows down an address also where its tokens are wrong, and no other address", async () => {
    const guess = (address: string) =>
      cluster.json("/status", { headers: { ...bearer("guess"), "cf-connecting-ip": address } });
    const answers = await Promise.all(Array.from({ length: 40 }, () => guess("203.0.113.7")));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect(statuses.filter((status) => status === 401).length).toBeLessThan(30);
    expect((await guess("203.0.113.8")).status).toBe(401);
  });
});
