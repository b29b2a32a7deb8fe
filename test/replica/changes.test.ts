/**
 * Changes of the members and of the leader, made at random while replicas are destroyed and messages lost: afterwards
 * there is one configuration, everybody in it is healthy and holds the same, and nothing that was acknowledged is missing.
 */
import { afterEach, expect, test } from "vitest";
import type { ChangeAnswer } from "../../src/replica/handover.ts";
import type { Change } from "../../src/replica/rpc.ts";
import { EVENT, Group } from "./harness.ts";

const SHORT_LOG = { CHECKPOINT_ENTRIES: "40", LOG_TAIL_ENTRIES: "10", MAX_BATCH_ENTRIES: "4" };
const POOL = ["coordinator-1", "coordinator-2", "coordinator-3", "coordinator-4", "coordinator-5"] as const;
const CHANGES = 10;
/** Whoever was destroyed in the middle of it does not answer. */
const PATIENCE_MS = 2_500;
const ATTEMPTS_MAX = 40;
const ANSWERED: ReadonlySet<ChangeAnswer["type"]> = new Set(["changed", "transferred", "change-refused"]);

let group: Group;
afterEach(() => group.release());

function randomOf(): string {
  return POOL[group.random.between(0, POOL.length - 1)] ?? POOL[0];
}

function randomChange(): Change {
  const node_id = randomOf();
  switch (group.random.between(0, 3)) {
    case 0:
      return { change: "add", node_id };
    case 1:
      return { change: "promote", node_id };
    case 2:
      return { change: "remove", node_id };
    default:
      return { change: "transfer", to: node_id };
  }
}

/** Until whoever leads has said something definite. */
async function make(change: Change): Promise<ChangeAnswer> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const silence = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), PATIENCE_MS));
    const asked = async () => group.call<ChangeAnswer>(group.leader, "/membership", change);
    const answer = await Promise.race([asked().catch(() => undefined), silence]);
    if (answer !== undefined && ANSWERED.has(answer.type)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${JSON.stringify(change)} was never answered`);
}

async function observe<Result>(name: string, what: "cluster" | "health"): Promise<Result> {
  const looked = group.call<{ result: Result }>(name, "/observe", { what });
  return (await group.time.outcome(looked)).result;
}

async function eventsAt(name: string): Promise<string> {
  const body = JSON.stringify({ consistency: "stale" });
  const read = group.platform.fetch(name, "/events", body).then((response) => response.text());
  return group.time.outcome(read);
}

for (const seed of [1, 10]) {
  test(`random changes in a group that falls apart again and again (seed ${seed})`, async () => {
    group = await Group.founded({ seed, variables: SHORT_LOG });
    const { random, platform, time } = group;
    const acknowledged = new Set<number>();
    const stop = group.load(1, (answer) => {
      if (answer.type !== "applied" || answer.outcome.type !== "event-appended") return;
      expect(acknowledged.has(answer.outcome.seq)).toBe(false);
      acknowledged.add(answer.outcome.seq);
    });
    platform.fate = ({ path }) => (path.startsWith("/peer") && random.next() < 0.03 ? "lost" : "arrives");
    let changed = 0;
    for (let count = 0; count < CHANGES; count++) {
      const made = make(randomChange());
      for (let strike = 0; strike < 3; strike++) {
        await time.pass(random.between(1, 300));
        if (random.next() < 0.4) platform.instance(randomOf()).destroy();
      }
      const { type } = await time.outcome(made, 300_000);
      if (type !== "change-refused") changed++;
    }
    expect(changed).toBeGreaterThan(1);
    platform.fate = () => "arrives";
    await time.pass(5_000);
    stop();
    await time.pass(1_000);
    await group.apply(EVENT);
    await time.pass(1_000);
    const view = await observe<{ configuration: string; members: { node_id: string }[] }>(
      group.leader,
      "cluster",
    );
    expect(view.configuration).toBe("stable");
    const logs = new Set<string>();
    for (const { node_id } of view.members) {
      expect(await observe(node_id, "health")).toMatchObject({ status: "healthy" });
      logs.add(await eventsAt(node_id));
    }
    const [log = "", ...others] = logs;
    expect(others).toEqual([]);
    const { count } = JSON.parse(log) as { count: number };
    expect(Math.max(...acknowledged)).toBeLessThanOrEqual(count);
    expect(acknowledged.size).toBeGreaterThan(100);
  }, 60_000);
}
