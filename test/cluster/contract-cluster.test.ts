/**
 * The rows of the contract about the group itself: members, leadership, what it says of both. Writers go on all the
 * while; at the end nothing that was acknowledged is missing, doubled or in another order, wherever it is read. How long
 * they have to wait is measured where time is virtual: test/replica/membership.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClusterView } from "../../src/api/members.ts";
import { acknowledged, allHealthy, type Cluster, event, eventually, ready, startCluster } from "./harness.ts";
import { loseStorage } from "./storage.ts";

const MEMBERS = "/api/v1/cluster/members";
const FIVE = ["coordinator-1", "coordinator-2", "coordinator-3", "coordinator-4", "coordinator-5"];

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

/** No write that nobody holds up takes so long. */
const LONG_MS = 2_000;

/** Clients that write without a pause, each event under a key of its own. */
class Load {
  readonly acknowledged: { readonly key: string; readonly seq: number }[] = [];
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
    }
  }

  /** Does `work` in the midst of writes, and sees that they go on. */
  async during(work: () => Promise<unknown>): Promise<void> {
    const [before, began] = [this.acknowledged.length, performance.now()];
    await work();
    const written = this.acknowledged.length;
    // What takes no longer than a write may fall between two of them.
    if (performance.now() - began > LONG_MS) expect(written).toBeGreaterThan(before);
    await eventually("writes go on", async () => this.acknowledged.length > written + 3);
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

/** What the group has reported of its members, in the order of the log. */
async function reported(at = ""): Promise<readonly string[]> {
  const { body } = await cluster.json<{ events: { System?: Record<string, { node_id?: string }> }[] }>(
    `${at}/events?include=system`,
  );
  return body.events.flatMap(({ System = {} }) =>
    Object.entries(System).flatMap(([name, { node_id }]) =>
      name.startsWith("member.") ? `${name} ${node_id}` : [],
    ),
  );
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

describe("what replicas say of themselves", () => {
  test("GET /, /livez and /readyz: which service this is, that it runs, and that a write could commit now", async () => {
    const root = await cluster.json("/");
    expect([root.status, root.body]).toEqual([
      200,
      {
        service: "troika",
        version: expect.any(String),
        endpoints: expect.arrayContaining(["/health", "/api/v1/cluster"]),
        request_id: expect.any(String),
      },
    ]);
    for (const prefix of ["", "/replicas/coordinator-2"]) {
      expect((await cluster.fetch(`${prefix}/livez`)).status).toBe(200);
      const ready_now = await cluster.json(`${prefix}/readyz`);
      expect([ready_now.status, ready_now.body.ready]).toEqual([200, true]);
    }
  });

  test("GET /replicas/{id}/health and /health: the fields that scripts read, in their order and once each", async () => {
    await allHealthy(cluster);
    for (const path of ["/health", ...cluster.names.map((name) => `/replicas/${name}/health`)]) {
      const { status, body, text } = await cluster.json<Record<string, object>>(path);
      expect([status, body.status], path).toEqual([200, "healthy"]);
      const keys = ["status", "coordinator_id", "raft", "workers", "capacity", "scheduler"];
      expect(Object.keys(body)).toEqual(keys);
      const raft = Object.keys(body.raft ?? {}).filter((key) => key !== "leader_id");
      expect(raft.slice(0, 5)).toEqual(["state", "is_leader", "leader_address", "node_id", "term"]);
      expect(Object.keys(body.workers ?? {})).toEqual(["total", "active", "suspect", "dead"]);
      expect(Object.keys(body.capacity ?? {})).toEqual(["total", "used", "available"]);
      const scheduler = ["tasks_assigned", "assignments_failed", "poll_cycles"];
      expect(Object.keys(body.scheduler ?? {})).toEqual(scheduler);
      expect(text.match(/"active":/g)).toHaveLength(1);
      expect(text.slice(text.indexOf('"capacity":')).match(/"total":/g)).toHaveLength(1);
    }
  });

  test("GET /status and /replicas/{id}/status: where each stands in term and log; at the router the leader's", async () => {
    const leads = await leader();
    const fields = [
      [
        "node_id",
        "is_leader",
        "current_leader",
        "current_term",
        "event_count",
        "commit_index",
        "applied_index",
      ],
      ["first_log_index", "last_log_index", "checkpoint_index", "log_size", "voted_for", "database_bytes"],
      ["last_heartbeat_ms_ago", "partition_state"],
    ].flat();
    expect((await cluster.json("/status")).body).toMatchObject({ node_id: leads, is_leader: true });
    for (const name of cluster.names) {
      await healthy(name);
      const { body } = await cluster.json(`/replicas/${name}/status`);
      expect(Object.keys(body).filter((key) => fields.includes(key))).toEqual(fields);
      expect(body).toMatchObject({
        node_id: name,
        is_leader: name === leads,
        current_leader: leads,
        log_size: Number(body.last_log_index) - Number(body.first_log_index) + 1,
      });
    }
  });
});

describe("GET /api/v1/cluster", () => {
  test("shows the members with role, region, match index and last contact, the leader, term, quorum and failure tolerance", async () => {
    const leads = await leader();
    const view = await eventually("a view of a healthy group", async () => {
      const seen = await overview();
      return seen.partition_state === "healthy" && seen.leader === leads && seen;
    });
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
    await load.during(async () => {
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
    expect(await names()).toEqual(FIVE);
    expect(await overview()).toMatchObject({ voters: 5, quorum: 3, failure_tolerance: 2, warnings: [] });
    for (const name of FIVE) {
      const joined = (await reported(`/replicas/${name}`)).slice(-2);
      expect(joined).toEqual(["member.joined coordinator-4", "member.joined coordinator-5"]);
    }
    await expectNothingLost(FIVE);
  });
});

describe("members that cannot be", () => {
  test("are 400 for a name that is none, 404 to promote and 409 to add again", async () => {
    for (const body of [{ node_id: "elsewhere" }, {}, { node_id: "coordinator-6", location_hint: "moon" }]) {
      const { status, body: answer } = await cluster.post(MEMBERS, body);
      expect([status, answer.code], JSON.stringify(body)).toEqual([400, "invalid-request"]);
    }
    const unknown = await cluster.post(`${MEMBERS}/coordinator-9/promote`, {});
    expect([unknown.status, unknown.body.code]).toEqual([404, "member-unknown"]);
    const known = await cluster.post(MEMBERS, { node_id: "coordinator-4" });
    expect([known.status, known.body.code]).toEqual([409, "member-exists"]);
    const again = await cluster.post(`${MEMBERS}/coordinator-4/promote`, {});
    expect([again.status, again.body.node_id]).toEqual([200, "coordinator-4"]);
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
    await load.during(async () => {
      const named = await cluster.post("/api/v1/cluster/leader/transfer", { to });
      expect([named.status, named.body.leader], named.text).toEqual([200, to]);
    });
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
    await load.during(() => remove(follower));
    await load.during(() => remove(leads));
    expect(await names()).toEqual(left);
    expect(await overview()).toMatchObject({ voters: 3, quorum: 2, failure_tolerance: 1, warnings: [] });
    expect(left).toContain((await overview()).leader);
    expect((await reported()).slice(-2)).toEqual([`member.removed ${follower}`, `member.removed ${leads}`]);
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
    expect((await overview()).warnings).toEqual([expect.stringContaining(lost)]);
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
    await cluster.fault(gone, "isolate");
    await eventually("it is heard no more", async () => {
      const [learner] = (await overview()).members.filter(({ node_id }) => node_id === gone);
      return (learner?.last_contact_ms_ago ?? Number.POSITIVE_INFINITY) > 500;
    });
    const early = await cluster.post(`${MEMBERS}/${gone}/promote`, {});
    expect([early.status, early.body.code], early.text).toEqual([409, "learner-behind"]);
    const lead = await cluster.post("/api/v1/cluster/leader/transfer", { to: gone });
    expect([lead.status, lead.body.code], lead.text).toEqual([409, "not-a-voter"]);
    await cluster.fault(gone, "heal");
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
    await load.during(async () => {
      const degree = { action: "degrade", delay_ms: 100, drop_rate: 0.3 };
      const { status, body, text } = await cluster.post(path, degree);
      expect([status, body.state], text).toEqual([200, expect.objectContaining({ delay_ms: 100 })]);
      const written = load.acknowledged.length;
      await eventually("writes go on for a while", async () => load.acknowledged.length > written + 20);
    });
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
