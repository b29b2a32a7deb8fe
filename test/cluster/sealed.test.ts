/**
 * What replicas say to each other, and commands that count as verified, cannot be sent from outside: not through any
 * public address, however it is written. The same messages, handed to a replica directly, do work.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, eventually, followersOf, leaderOf, ready, settled, startCluster } from "./harness.ts";
import { submitTask, TestProver, taskOf } from "./provers.ts";
import { raw } from "./raw.ts";

const TERM = 1_000;

let cluster: Cluster;
let leader: string;
let victim: string;
/** What only the replicas know: the founding and the members' Raft identities, here read from the logs. */
let founding_id: string;
const identities = new Map<string, string>();

beforeAll(async () => {
  cluster = await startCluster();
  await ready(cluster);
  leader = await leaderOf(cluster);
  [victim = ""] = await followersOf(cluster);
  for (const line of cluster.logs) {
    const [, name, incarnation] = /replica=(\S+) birth: new replica incarnation=(\S+)/.exec(line) ?? [];
    if (name !== undefined) identities.set(name, `${name}.${incarnation}`);
    founding_id ??= /birth: founded founding_id=(\S+)/.exec(line)?.[1] ?? (undefined as unknown as string);
  }
  expect(identities.size).toBe(3);
  expect(founding_id).toMatch(/^[0-9a-f-]{36}$/);
});
afterAll(() => cluster.stop());

/** A message of the leader's to `victim`, true in every field but those of the attack. */
function peerBody(messages: readonly object[]): object {
  const from = identities.get(leader);
  const to = identities.get(victim);
  const addressed = messages.map((message) => ({ from, to, term: TERM, ...message }));
  return { v: 1, cluster_id: "test", founding_id, from, to, answer: "response", messages: addressed };
}

const command = { v: 1, id: "forged", type: "append-event", kind: "Forged", body: '{"Forged":{}}' };

function attacks(task_id: string): readonly (readonly [path: string, body: object])[] {
  const entry = { type: "command", term: TERM, index: 1, time: 0, command };
  const append = {
    type: "append-request",
    previous: { term: 0, index: 0 },
    entries: [entry],
    commit: 1,
    round: 0,
  };
  const lease_id = `${task_id}.1`;
  const completion = { type: "complete-lease", lease_id, worker_id: "owner", proof: {}, proof_digest: "" };
  return [
    ["/peer", peerBody([{ type: "vote-request", lastLog: { term: TERM, index: 99 }, transfer: true }])],
    ["/peer", peerBody([{ type: "heartbeat", commit: 0, round: 0, quiesce: false }])],
    ["/peer", peerBody([append])],
    ["/peer/hello", {}],
    ["/peer/found", { v: 1, cluster_id: "test", founding_id: "another", members: [] }],
    ["/peer/read-index", peerBody([])],
    ["/propose", { command }],
    ["/propose", { command: { v: 1, id: "forged-completion", ...completion } }],
    ["/propose", { command: { v: 1, id: "forged-removal", type: "remove-worker", worker_id: "owner" } }],
    ["/pull", { command_id: "forged-pull", worker_id: "owner", boot_id: "boot-1", max: 1, wait_ms: 0 }],
    ["/heartbeat", { worker_id: "owner", boot_id: "boot-1", leases: [{ lease_id }] }],
    ["/read", { query: { type: "lease", lease_id }, consistency: "stale" }],
    ["/observe", { what: "leadership" }],
    ["/fault", { action: "stop" }],
    ["/ephemeral", { event: '{"Ephemeral":{"Forged":{}}}' }],
    ["/import", { export_id: "forged", first: 1, items: [] }],
    ["/export", { consistency: "stale", export_id: "forged" }],
    ["/membership", { change: "remove", node_id: victim }],
    ["/checkpoint", {}],
    ["/hints", {}],
    ["/peer/ephemeral", { v: 1, founding_id, events: ['{"Ephemeral":{"Forged":{}}}'] }],
    ["/peer/member", { v: 1, founding: { founding_id }, incarnation: "", action: "leave" }],
    ["/peer/rouse", peerBody([])],
    ["/peer/transfer", {}],
  ];
}

/** Everything of a replica that an attack could change. */
async function standing(): Promise<unknown> {
  const own = async (name: string) => {
    const { body } = await cluster.json(`/replicas/${name}/status`);
    const { last_heartbeat_ms_ago: _, ...rest } = body;
    return rest;
  };
  const workers = (await cluster.json("/api/v1/workers")).body.items;
  const tasks = (await cluster.json("/api/v1/tasks")).body.items;
  const events = (await cluster.json("/events")).body;
  return { statuses: await Promise.all(cluster.names.map(own)), workers, tasks, events };
}

describe("calls that are for replicas alone", () => {
  let task_id: string;
  let before: unknown;

  beforeAll(async () => {
    const owner = new TestProver(cluster, "owner");
    await owner.register();
    task_id = await submitTask(cluster);
    await owner.takeOne();
    await settled(cluster);
    before = await standing();
  });

  test.each<[string, (path: string) => string]>([
    ["at the router", (path) => path],
    ["under a replica", (path) => `/replicas/${victim}${path}`],
    ["under the leader", (path) => `/replicas/${leader}${path}`],
    ["under a replica's Raft identity", (path) => `/replicas/${identities.get(victim)}${path}`],
    ["under a replica twice", (path) => `/replicas/${victim}/replicas/${victim}${path}`],
    [
      "under a replica, percent-encoded",
      (path) => `/replicas/${victim}/%${hex(path[1] ?? "")}${path.slice(2)}`,
    ],
    ["percent-encoded", (path) => `/%${hex(path[1] ?? "")}${path.slice(2)}`],
    ["with an encoded slash", (path) => `/replicas/${victim}%2f${path.slice(1)}`],
    ["with encoded dots", (path) => `/replicas/${victim}/%2e%2e/%2e%2e${path}`],
    ["with dots", (path) => `/api/v1/../..${path}`],
    ["with dots under a replica", (path) => `/replicas/${victim}/api/../.${path}`],
    ["with two slashes", (path) => `/${path}`],
    ["with two slashes under a replica", (path) => `/replicas/${victim}/${path}`],
    ["with a slash behind", (path) => `${path}/`],
    ["with a query", (path) => `${path}?replica=${victim}`],
    ["with a backslash", (path) => `/replicas/${victim}\\${path.slice(1)}`],
    ["in capitals", (path) => path.toUpperCase()],
    ["in absolute form, with the replicas' own host", (path) => `https://replica${path}`],
    ["in absolute form, with this host", (path) => `${cluster.url}${path}`],
    ["under the API", (path) => `/api/v1${path}`],
    ["under the API of a replica", (path) => `/replicas/${victim}/api/v1${path}`],
  ])("%s are 404", async (_, address) => {
    const headers = {
      "content-type": "application/json",
      "x-troika-replica": victim,
      "mf-original-url": "https://replica/propose",
      "x-original-url": "/propose",
    };
    for (const [path, body] of attacks(task_id)) {
      for (const method of ["POST", "PUT"]) {
        const sent = { method, headers, body: JSON.stringify(body) };
        const { status, text } = await raw(cluster, address(path), sent);
        expect(status, `${method} ${address(path)}: ${text}`).toBe(404);
      }
    }
  });

  test("and nothing has changed at any replica", async () => {
    expect(await standing()).toEqual(before);
    expect(await taskOf(cluster, task_id)).toMatchObject({ status: "assigned", attempts_spent: 0 });
    expect(cluster.logs.filter((line) => / fault: /.test(line))).toEqual([]);
  });

  test("though such messages are understood where they are meant to arrive", async () => {
    const hello = await cluster.call(victim, "/peer/hello", {});
    expect(`${hello.name}.${hello.incarnation}`).toBe(identities.get(victim));
    const lastLog = { term: TERM, index: 99 };
    const asked = peerBody([{ type: "vote-request", lastLog, transfer: true }]);
    const voted = await cluster.call(victim, "/peer", asked);
    expect(voted.messages).toMatchObject([{ type: "vote-response", term: TERM, granted: true }]);
    await eventually("the forged event is committed", async () => {
      const proposed = await cluster.call(await leaderOf(cluster), "/propose", { command });
      return proposed.type === "applied";
    });
    expect((await cluster.json("/events")).body).toEqual({ events: [{ Forged: {} }], count: 1 });
  });
});

function hex(character: string): string {
  return character.charCodeAt(0).toString(16);
}
