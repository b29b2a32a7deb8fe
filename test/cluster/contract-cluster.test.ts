/**
 * The rows of the contract about the group itself: members, leadership, what it says of both. Writers go on all the
 * while; at the end nothing that was acknowledged is missing, doubled or in another order, wherever it is read.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClusterView } from "../../src/api/members.ts";
import { acknowledged, type Cluster, event, eventually, ready, startCluster } from "./harness.ts";
import { loseStorage } from "./storage.ts";

const MEMBERS = "/api/v1/cluster/members";
const FIVE = ["coordinator-1", "coordinator-2", "coordinator-3", "coordinator-4", "coordinator-5"];
/** The contract allows an election where a leader is removed; anything else must not be noticed. */
const GAP_MS_MAX = 1_000;

let cluster: Cluster;
let load: Load;
/** Whoever joins finds the beginning of the log cut off, and gets the state as it is. */
const SHORT_LOG = { CHECKPOINT_ENTRIES: "100", LOG_TAIL_ENTRIES: "20" };
const REGIONS = ["weur", "eeur", "wnam"];
beforeAll(async () => {
  cluster = await startCluster({ variables: { ...SHORT_LOG, LOCATION_HINTS: REGIONS.join(",") } });
  await ready(cluster);
  load = new Load("first");
});
afterAll(async () => {
  await load.stop();
  await cluster.stop();
});

/** Clients that write without a pause, each event under a key of its own. */
class Load {
  readonly acknowledged: { readonly key: string; readonly seq: number }[] = [];
  #gapStart = performance.now();
  #longest_ms = 0;
  #going = true;
  readonly #writers: readonly Promise<void>[];

  /** @param name keys of different loads must differ: a key that was used before only repeats an answer */
  constructor(name: string) {
    this.#writers = Array.from({ length: 3 }, (_, writer) => this.#write(`${name}${writer}`));
  }

  async #write(writer: string): Promise<void> {
    for (let count = 0; this.#going; count++) {
      const key = `${writer}-${count}`;
      const { seq } = await acknowledged(cluster, "/events", event("Written", { key }), key);
      this.acknowledged.push({ key, seq: Number(seq) });
      const now = performance.now();
      this.#longest_ms = Math.max(this.#longest_ms, now - this.#gapStart);
      this.#gapStart = now;
    }
  }

  /** The longest time without an acknowledged write while `work` was done. */
  async gap(work: () => Promise<unknown>): Promise<number> {
    this.#longest_ms = 0;
    this.#gapStart = performance.now();
    await work();
    const written = this.acknowledged.length;
    await eventually("writes go on", async () => this.acknowledged.length > written + 3);
    return this.#longest_ms;
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#writers);
  }
}

async function overview(prefix = ""): Promise<ClusterView> {
  const { status, body, text } = await cluster.json<ClusterView>(`${prefix}/api/v1/cluster`);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return body;
}

async function leader(): Promise<string> {
  return eventually("a leader", async () => (await overview()).leader ?? undefined);
}

async function add(node_id: string, where: { readonly location_hint?: string } = {}): Promise<void> {
  const { status, body, text } = await cluster.post(MEMBERS, { node_id, ...where });
  expect([status, body.node_id], text).toEqual([201, node_id]);
}

async function promote(node_id: string): Promise<void> {
  const answer = await eventually(`${node_id} is promoted`, async () => {
    const { status, body, text } = await cluster.post(`${MEMBERS}/${node_id}/promote`, {});
    if (status === 409 && body.code === "learner-behind") return undefined;
    expect(status, text).toBe(200);
    return body;
  });
  expect(answer).toMatchObject({ node_id, log_index: expect.any(Number) });
}

/** As the contract tells operators to: refused for now, it is asked for again. */
async function remove(node_id: string): Promise<void> {
  const answer = await eventually(`${node_id} is removed`, async () => {
    const { status, body, text } = await cluster.json(`${MEMBERS}/${node_id}`, { method: "DELETE" });
    if (status === 409 && body.retryable === true) return undefined;
    expect(status, text).toBe(200);
    return body;
  });
  expect(answer).toMatchObject({ node_id, log_index: expect.any(Number) });
}

async function healthy(name: string): Promise<void> {
  await eventually(`${name} is healthy and holds everything`, async () => {
    const { body } = await cluster.json(`/replicas/${name}/status`);
    return body.partition_state === "healthy";
  });
}

async function names(): Promise<readonly string[]> {
  return (await overview()).members.map(({ node_id }) => node_id).toSorted();
}

/** Everything acknowledged so far, once each and in one order, at each of these replicas. */
async function expectNothingLost(replicas: readonly string[]): Promise<void> {
  const written = [...load.acknowledged];
  for (const name of replicas) {
    const { status, body, text } = await cluster.json<{
      events: { Critical: { Written: { key: string } } }[];
    }>(`/replicas/${name}/events`);
    expect(status, text.slice(0, 200)).toBe(200);
    const keys = body.events.map(({ Critical }) => Critical.Written.key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { key, seq } of written) expect(keys[seq - 1]).toBe(key);
  }
}

describe("GET /api/v1/cluster", () => {
  test("shows the members with role, region, match index and last contact, the leader, term, quorum and failure tolerance", async () => {
    const leads = await leader();
    const view = await overview();
    expect(view).toMatchObject({
      cluster_id: "test",
      leader: leads,
      term: expect.any(Number),
      configuration: "stable",
      voters: 3,
      quorum: 2,
      failure_tolerance: 1,
      failures_tolerated_now: 1,
      partition_state: "healthy",
      warnings: [],
    });
    const inOrder = view.members.toSorted((a, b) => (a.node_id < b.node_id ? -1 : 1));
    expect(inOrder.map(({ node_id }) => node_id)).toEqual(cluster.names);
    expect(inOrder.map(({ region }) => region)).toEqual(REGIONS);
    for (const { node_id, role, match_index, reachable, last_contact_ms_ago } of view.members) {
      expect([role, reachable]).toEqual([node_id === leads ? "leader" : "follower", true]);
      expect(match_index).toBeGreaterThan(0);
      if (node_id === leads) expect(last_contact_ms_ago).toBeNull();
      else expect(last_contact_ms_ago).toBeLessThan(1_000);
    }
  });

  test("on a follower's own routes shows what that one knows: its leader and itself, of the others nothing", async () => {
    const leads = await leader();
    const [own = "", other = ""] = cluster.names.filter((name) => name !== leads);
    const view = await overview(`/replicas/${own}`);
    expect(view).toMatchObject({ node_id: own, leader: leads, voters: 3, failures_tolerated_now: null });
    const member = (name: string) => view.members.find(({ node_id }) => node_id === name);
    expect(member(leads)).toMatchObject({ role: "leader", reachable: true, match_index: null });
    expect(member(own)).toMatchObject({ role: "follower", match_index: expect.any(Number) });
    expect(member(other)).toMatchObject({ role: "follower", reachable: null, match_index: null });
  });
});

describe("POST /api/v1/cluster/members and POST …/{id}/promote", () => {
  test("grow the group from three to five under load, and an even number of voters is a warning", async () => {
    const gap = await load.gap(async () => {
      await add("coordinator-4", { location_hint: "apac" });
      const learner = await cluster.json("/replicas/coordinator-4/health");
      expect(learner.body).toMatchObject({ raft: { state: "Follower", role: "learner" } });
      await promote("coordinator-4");
      const even = await overview();
      expect(even).toMatchObject({ voters: 4, quorum: 3, failure_tolerance: 1 });
      expect(even.warnings).toEqual([expect.stringContaining("4 voters: an even number")]);
      const [fourth] = even.members.filter(({ node_id }) => node_id === "coordinator-4");
      expect(fourth).toMatchObject({ role: "follower", region: "apac", reachable: true });
      await add("coordinator-5");
      await promote("coordinator-5");
    });
    expect(gap).toBeLessThan(GAP_MS_MAX);
    expect(await names()).toEqual(FIVE);
    expect(await overview()).toMatchObject({ voters: 5, quorum: 3, failure_tolerance: 2, warnings: [] });
    await expectNothingLost(FIVE);
  });
});

interface Checkpoints {
  readonly checkpoint_index: number;
  readonly checkpoints: readonly { readonly node_id: string; readonly checkpoint_index: number }[];
}

describe("POST /api/v1/cluster/checkpoint", () => {
  const path = "/api/v1/cluster/checkpoint";
  const written = async (name: string): Promise<number> =>
    Number((await cluster.json(`/replicas/${name}/status`)).body.checkpoint_index);

  test("has every member write one now, and says up to which entry", async () => {
    const before = Number((await cluster.json("/status")).body.applied_index);
    const { status, body, text } = await cluster.post<Checkpoints>(path, {});
    expect(status, text).toBe(200);
    expect(body.checkpoints.map(({ node_id }) => node_id).toSorted()).toEqual(await names());
    expect(body.checkpoint_index).toBe(
      Math.min(...body.checkpoints.map(({ checkpoint_index }) => checkpoint_index)),
    );
    const leads = body.checkpoints.find(({ checkpoint_index }) => checkpoint_index >= before);
    expect(leads).toBeDefined();
    for (const { node_id, checkpoint_index } of body.checkpoints) {
      expect(await written(node_id)).toBeGreaterThanOrEqual(checkpoint_index);
    }
  });

  test("on a replica's own routes is written by that one alone, and one that is stopped says so", async () => {
    const leads = await leader();
    const [name = ""] = FIVE.filter((each) => each !== leads);
    const own = await cluster.post<Checkpoints>(`/replicas/${name}${path}`, {});
    expect([own.status, own.body.checkpoints.map(({ node_id }) => node_id)]).toEqual([200, [name]]);
    expect(await written(name)).toBeGreaterThanOrEqual(own.body.checkpoint_index);
    await cluster.fault(name, "stop");
    const stopped = await cluster.post(`/replicas/${name}${path}`, {});
    expect([stopped.status, stopped.body.code]).toEqual([503, "replica-stopped"]);
    const rest = await cluster.post<Checkpoints>(path, {});
    expect(rest.status).toBe(200);
    const refused = rest.body.checkpoints.filter((one) => "code" in one);
    expect(refused).toEqual([{ node_id: name, code: "replica-stopped", detail: expect.any(String) }]);
    await cluster.fault(name, "start");
    await healthy(name);
  });
});

describe("POST /api/v1/cluster/leader/transfer", () => {
  test("hands leadership to whom it names, and to the one that holds the most where it names nobody", async () => {
    const before = await leader();
    const [to = ""] = FIVE.filter((name) => name !== before);
    const gap = await load.gap(async () => {
      const named = await cluster.post("/api/v1/cluster/leader/transfer", { to });
      expect([named.status, named.body.leader], named.text).toEqual([200, to]);
    });
    expect(gap).toBeLessThan(GAP_MS_MAX);
    expect((await overview()).leader).toBe(to);
    const again = await cluster.post("/api/v1/cluster/leader/transfer", { to });
    expect([again.status, again.body.leader]).toEqual([200, to]);
    const anybody = await cluster.json("/api/v1/cluster/leader/transfer", { method: "POST" });
    expect(anybody.status, anybody.text).toBe(200);
    expect(Number(anybody.body.term)).toBeGreaterThan(Number(again.body.term));
    expect((await overview()).leader).toBe(anybody.body.leader);
  });

  test("is 404 for whoever is no member and 400 for what is no name", async () => {
    const unknown = await cluster.post("/api/v1/cluster/leader/transfer", { to: "coordinator-9" });
    expect([unknown.status, unknown.body.code]).toEqual([404, "member-unknown"]);
    const invalid = await cluster.post("/api/v1/cluster/leader/transfer", { to: 9 });
    expect([invalid.status, invalid.body.code]).toEqual([400, "invalid-request"]);
  });
});

describe("DELETE /api/v1/cluster/members/{id}", () => {
  let left: readonly string[];

  test("shrinks the group from five to three under load, the leader among those removed", async () => {
    const leads = await leader();
    const [follower = ""] = FIVE.filter((name) => name !== leads);
    left = FIVE.filter((name) => name !== leads && name !== follower);
    expect(await load.gap(() => remove(follower))).toBeLessThan(GAP_MS_MAX);
    await load.gap(() => remove(leads));
    expect(await names()).toEqual(left);
    expect(await overview()).toMatchObject({ voters: 3, quorum: 2, failure_tolerance: 1, warnings: [] });
    expect(left).toContain((await overview()).leader);
    await expectNothingLost(left);
    for (const gone of [leads, follower]) {
      const { body } = await cluster.json(`/replicas/${gone}/health`);
      expect(body).toMatchObject({ status: "unhealthy", reason: expect.stringContaining("removed") });
      const own = await cluster.json(`/replicas/${gone}/events`);
      expect([own.status, own.body.code]).toEqual([503, "removed"]);
    }
  });

  test("answers a repeat with the same entry, and is 404 for whoever was never a member", async () => {
    const [gone = ""] = FIVE.filter((name) => !left.includes(name));
    const first = await cluster.json(`${MEMBERS}/${gone}`, { method: "DELETE" });
    const second = await cluster.json(`${MEMBERS}/${gone}`, { method: "DELETE" });
    expect([first.status, first.body.log_index]).toEqual([200, second.body.log_index]);
    for (const name of ["coordinator-9", "anything"]) {
      const { status, body } = await cluster.json(`${MEMBERS}/${name}`, { method: "DELETE" });
      expect([status, body.code]).toEqual([404, "member-unknown"]);
    }
  });

  test("is 409 removal-unsafe while the rest has no reachable majority, and nothing is removed", async () => {
    const leads = await leader();
    const [lost = "", other = ""] = left.filter((name) => name !== leads);
    await cluster.fault(lost, "isolate");
    await eventually(`${lost} is missed`, async () => {
      const { members } = await overview();
      return members.some(({ node_id, reachable }) => node_id === lost && reachable === false);
    });
    const { status, body } = await cluster.json(`${MEMBERS}/${other}`, { method: "DELETE" });
    expect([status, body.code]).toEqual([409, "removal-unsafe"]);
    expect(await overview()).toMatchObject({
      partition_state: "healthy",
      failures_tolerated_now: 0,
      warnings: [expect.stringContaining(lost)],
    });
    await eventually(`${lost} notices it, too`, async () => {
      const own = await cluster.json(`/replicas/${lost}/status`);
      return own.body.partition_state === "partitioned";
    });
    const metrics = await (await cluster.fetch(`/replicas/${lost}/metrics`)).text();
    expect(metrics).toContain(`consensus_partition_state{node="${lost}"} 2`);
    await cluster.fault(lost, "heal");
    await healthy(lost);
    expect(await names()).toEqual(left);
  });

  test("takes back a replica that was removed: it begins anew, as a learner", async () => {
    const [gone = ""] = FIVE.filter((name) => !left.includes(name));
    await add(gone);
    await promote(gone);
    await eventually("it has caught up", async () => {
      const { status } = await cluster.json(`/replicas/${gone}/events?limit=1`);
      return status === 200;
    });
    await expectNothingLost([gone]);
    await remove(gone);
    expect(await names()).toEqual(left);
  });
});

describe("POST /api/v1/faults/{replica} degrade", () => {
  test("makes a member late and lossy: it costs the others nothing, and what it missed it gets", async () => {
    const leads = await leader();
    const [late = ""] = (await names()).filter((name) => name !== leads);
    const path = `/api/v1/faults/${late}`;
    const gap = await load.gap(async () => {
      const degree = { action: "degrade", delay_ms: 100, drop_rate: 0.3 };
      const { status, body, text } = await cluster.post(path, degree);
      expect([status, body.state], text).toEqual([200, expect.objectContaining({ delay_ms: 100 })]);
      const written = load.acknowledged.length;
      await eventually("writes go on for a while", async () => load.acknowledged.length > written + 50);
    });
    expect(gap).toBeLessThan(GAP_MS_MAX);
    expect((await overview()).leader).toBe(leads);
    const { body } = await cluster.post(path, { action: "heal" });
    expect(body.state).toMatchObject({ delay_ms: 0, drop_rate: 0 });
    await healthy(late);
    await expectNothingLost([late]);
  });

  test("is 400 for a share or a delay that cannot be", async () => {
    for (const wrong of [{ drop_rate: 1.5 }, { delay_ms: -1 }]) {
      const { status } = await cluster.post("/api/v1/faults/coordinator-1", { action: "degrade", ...wrong });
      expect(status).toBe(400);
    }
  });
});

describe("replacing a lost replica", () => {
  test("brings the same name back as a learner, which takes in the state under load, and its promotion removes the old one in one change", async () => {
    const before = await overview();
    const [lost = ""] = before.members.flatMap(({ node_id, role }) => (role === "follower" ? [node_id] : []));
    const old = before.members.find(({ node_id }) => node_id === lost)?.incarnation;
    await load.stop();
    await cluster.restart(() => loseStorage(cluster, [lost]));
    await ready(cluster);
    load = new Load("second");
    await eventually(`${lost} says that its storage is lost`, async () => {
      const { body } = await cluster.json(`/replicas/${lost}/health`);
      return String(body.reason).includes("storage lost");
    });
    const { body: cut } = await cluster.json("/status");
    expect(cut.first_log_index, "the log was cut").toBeGreaterThan(1);
    await add(lost);
    const during = (await overview()).members.filter(({ node_id }) => node_id === lost);
    expect(during.map(({ role }) => role).toSorted()).toEqual(["follower", "learner"]);
    await promote(lost);
    const after = await overview();
    expect(after).toMatchObject({ voters: 3, configuration: "stable", warnings: [] });
    const [member, ...others] = after.members.filter(({ node_id }) => node_id === lost);
    expect(others).toEqual([]);
    expect(member?.incarnation).not.toBe(old);
    await eventually(`${lost} is healthy`, async () => {
      const { body } = await cluster.json(`/replicas/${lost}/health`);
      return body.status === "healthy";
    });
    // Nobody has the beginning of the log any more: it got the state, and then what follows it.
    const taken = cluster.logs.filter((line) => line.includes(lost) && line.includes("snapshot: taken in"));
    expect(taken).not.toEqual([]);
    const { body: own } = await cluster.json(`/replicas/${lost}/status`);
    expect(own.first_log_index).toBeGreaterThan(1);
    await expectNothingLost(after.members.map(({ node_id }) => node_id));
  });
});
