/**
 * What the leader does by itself, in virtual time: it expires, forgets and hands out, it hears workers and misses them,
 * and every replica shows the same. To the millisecond where the contract names one, and what it costs in entries.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { LeaseGrant } from "../../src/coordinator/index.ts";
import type { ProposeAnswer } from "../../src/replica/proposals.ts";
import { taskOf } from "../coordinator/machine.ts";
import { Group, NAMES } from "./harness.ts";

const LEASE_MS = 30_000;
/** Until what is proposed at an instant is applied everywhere. */
const ROUND_MS = 200;

let group: Group;
afterEach(() => group.release());

interface Shown {
  readonly status: string;
  readonly losses: number;
  readonly attempts_spent: number;
  readonly history: readonly {
    readonly outcome?: string;
    readonly granted_at: number;
    readonly ended_at?: number;
  }[];
}

async function read<Result>(name: string, query: object): Promise<Result> {
  const answer = group.call<{ result: Result }>(name, "/read", { query, consistency: "stale" });
  return (await group.time.outcome(answer)).result;
}

const shown = (task_id: string, name = group.leader) => read<Shown>(name, { type: "task", task_id });

async function appliedIndex(): Promise<number> {
  return ((await group.time.outcome(group.read(group.leader))) as { applied_index: number }).applied_index;
}

async function entriesDuring(what: () => Promise<unknown>): Promise<number> {
  const before = await appliedIndex();
  await what();
  return (await appliedIndex()) - before;
}

class Worker {
  readonly id: string;

  private constructor(id: string) {
    this.id = id;
  }

  static async registered(id: string, slots = 1): Promise<Worker> {
    const worker = {
      worker_id: id,
      boot_id: "b",
      max_concurrent_tasks: slots,
      circuits: ["merkle"],
      labels: {},
    };
    await group.apply({ type: "register-worker", worker });
    return new Worker(id);
  }

  pull(wait_ms = 0, max = 1): Promise<ProposeAnswer> {
    return group.pull({ worker_id: this.id, boot_id: "b", max, wait_ms });
  }

  async take(max = 1): Promise<readonly LeaseGrant[]> {
    return granted(await group.time.outcome(this.pull(0, max)));
  }

  async takeOne(): Promise<LeaseGrant> {
    const [lease] = await this.take();
    if (lease === undefined) throw new Error(`${this.id} was granted nothing`);
    return lease;
  }

  beat(...lease_ids: readonly string[]): Promise<{ readonly type: string; readonly result?: unknown }> {
    const leases = lease_ids.map((lease_id) => ({ lease_id }));
    return group.time.outcome(
      group.call(group.leader, "/heartbeat", { worker_id: this.id, boot_id: "b", leases }),
    );
  }

  async state(name = group.leader): Promise<string> {
    return (await read<{ state: string }>(name, { type: "worker", worker_id: this.id })).state;
  }
}

function granted(answer: ProposeAnswer): readonly LeaseGrant[] {
  if (answer.type !== "applied" || answer.outcome.type !== "granted") throw new Error(JSON.stringify(answer));
  return answer.outcome.leases;
}

/** Lets time pass until the instant, and what is proposed then be applied. */
async function passUntil(instant: number): Promise<void> {
  await group.time.pass(instant - Date.now());
}

async function statuses(task_id: string): Promise<readonly string[]> {
  const query = { type: "task", task_id };
  const reads = NAMES.map((name) =>
    group.time.outcome(
      group.call<{ result: { status: string } }>(name, "/read", { query, consistency: "stale" }),
    ),
  );
  return (await Promise.all(reads)).map(({ result }) => result.status);
}

async function submit(task: Parameters<typeof taskOf>[0]): Promise<void> {
  await group.apply({ type: "submit-task", task: taskOf(task) });
}

const everywhere = (status: string) => NAMES.map(() => status);

test("a delay and a deadline are over on time, also after a change of leader", async () => {
  group = await Group.founded();
  const began = Date.now();
  await submit({ task_id: "a", delay_ms: 2_000 });
  await submit({ task_id: "b", deadline: began + 2_000 });
  await submit({ task_id: "c", deadline: began + 30_000 });
  await group.time.pass(1_500);
  expect([await statuses("a"), await statuses("b")]).toEqual([
    everywhere("scheduled"),
    everywhere("pending"),
  ]);
  await group.time.pass(1_000);
  expect([await statuses("a"), await statuses("b")]).toEqual([everywhere("pending"), everywhere("expired")]);

  const { leader } = group;
  await group.fault(leader, "stop");
  await group.time.pass(1_000);
  await group.fault(leader, "start");
  await group.time.pass(28_000);
  expect(group.leader).not.toBe(leader);
  expect(await statuses("c")).toEqual(everywhere("expired"));
});

test("a thousand deadlines at once take a few bounded entries, and nothing is written when all have passed", async () => {
  group = await Group.founded();
  const deadline = Date.now() + 10_000;
  const submissions = Array.from({ length: 1_000 }, (_, at) => submit({ task_id: `t${at}`, deadline }));
  await Promise.all(submissions);
  const index = async () =>
    ((await group.time.outcome(group.read(group.leader))) as { applied_index: number }).applied_index;
  const before = await index();
  expect(Date.now()).toBeLessThan(deadline);
  await group.time.pass(deadline - Date.now() + 1_000);
  for (const at of [0, 500, 999]) expect(await statuses(`t${at}`)).toEqual(everywhere("expired"));
  const after = await index();
  expect(after - before).toBe(5);
  await group.time.pass(5_000);
  expect(await index()).toBe(after);
});

describe("a worker that falls silent", () => {
  test("is suspect after one period and dead after two, at every replica; its lease is lost, and two entries say so", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a" });
    await worker.takeOne();
    const heard = Date.now();
    const entries = await entriesDuring(async () => {
      await passUntil(heard + LEASE_MS - ROUND_MS);
      expect(await worker.state()).toBe("active");
      await passUntil(heard + LEASE_MS + ROUND_MS);
      for (const name of NAMES) expect(await worker.state(name)).toBe("suspect");
      await passUntil(heard + 2 * LEASE_MS - ROUND_MS);
      expect(await shown("a")).toMatchObject({ status: "assigned" });
      await passUntil(heard + 2 * LEASE_MS + ROUND_MS);
      for (const name of NAMES) expect(await worker.state(name)).toBe("dead");
      await group.time.pass(LEASE_MS);
    });
    expect(entries).toBe(2);
    expect(await shown("a")).toMatchObject({
      status: "pending",
      losses: 1,
      attempts_spent: 0,
      history: [{ outcome: "worker-lost" }],
    });
  });

  test("has a full period anew when another replica begins to lead", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a" });
    await worker.takeOne();
    const { leader } = group;
    await group.time.pass(2 * LEASE_MS - 2_000);
    await group.fault(leader, "stop");
    const stopped = Date.now();
    await group.time.pass(5_000);
    expect(group.leader).not.toBe(leader);
    await passUntil(stopped + 2 * LEASE_MS);
    expect(await shown("a")).toMatchObject({ status: "assigned" });
    await group.time.pass(5_000);
    expect(await shown("a")).toMatchObject({ status: "pending", history: [{ outcome: "worker-lost" }] });
  });
});

describe("a lease", () => {
  test("that heartbeats list lasts for as long as they do, and they cost one entry in all", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a" });
    const { lease_id } = await worker.takeOne();
    const entries = await entriesDuring(async () => {
      for (let at = 0; at < 18; at++) {
        expect(await worker.beat(lease_id)).toMatchObject({
          result: { leases: [{ directive: "continue" }], missing: [] },
        });
        await group.time.pass(LEASE_MS / 3);
      }
    });
    expect([entries, (await shown("a")).status]).toEqual([1, "in_progress"]);
  });

  test("that heartbeats leave out goes back after a period and spends nothing", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a" });
    await worker.takeOne();
    const omitted = Date.now();
    for (const at of [0, 10_000, 20_000, 29_000]) {
      await passUntil(omitted + at);
      expect(await worker.beat()).toMatchObject({ result: { missing: [expect.any(String)] } });
    }
    expect((await shown("a")).status).toBe("assigned");
    await passUntil(omitted + LEASE_MS + ROUND_MS);
    expect(await shown("a")).toMatchObject({
      status: "pending",
      attempts_spent: 0,
      history: [{ outcome: "missing" }],
    });
  });

  test("that runs longer than its task allows ends on time, however alive its worker is", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a", max_runtime_ms: 45_000 });
    const { lease_id, granted_at } = await worker.takeOne();
    for (const at of [10_000, 20_000, 30_000, 40_000]) {
      await passUntil(granted_at + at);
      await worker.beat(lease_id);
    }
    await passUntil(granted_at + 45_000 - ROUND_MS);
    expect((await shown("a")).status).toBe("in_progress");
    await passUntil(granted_at + 45_000 + ROUND_MS);
    expect(await shown("a")).toMatchObject({ attempts_spent: 1, history: [{ outcome: "timed-out" }] });
  });

  test("is offered with the instant at which it goes back, also when it is handed out again", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    await submit({ task_id: "a" });
    const lease = await worker.takeOne();
    const expires_at = lease.granted_at + 2 * LEASE_MS;
    expect(lease.expires_at).toBe(expires_at);
    await group.time.pass(LEASE_MS);
    expect(await worker.takeOne()).toMatchObject({ lease_id: lease.lease_id, expires_at });
    await passUntil(expires_at - ROUND_MS);
    expect((await shown("a")).status).toBe("assigned");
    await passUntil(expires_at + ROUND_MS);
    expect((await shown("a")).status).toBe("pending");
  });
});

describe("a pull that waits", () => {
  test("costs no entry while it waits in vain, and one when a task comes", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    let answer: ProposeAnswer | undefined;
    expect(
      await entriesDuring(async () => {
        const waiting = worker.pull(20_000);
        await group.time.pass(19_000);
        answer = await group.time.outcome(waiting);
      }),
    ).toBe(0);
    expect(granted(answer as ProposeAnswer)).toEqual([]);
    const entries = await entriesDuring(async () => {
      const waiting = worker.pull(20_000);
      await group.time.pass(10_000);
      await submit({ task_id: "a" });
      answer = await group.time.outcome(waiting, 1_000);
    });
    expect([entries, granted(answer as ProposeAnswer)]).toMatchObject([2, [{ task_id: "a" }]]);
  });

  test("does not race others for one task: a hundred of them cost one entry, and all but one go on waiting", async () => {
    group = await Group.founded();
    const workers = [];
    for (let at = 0; at < 100; at++) workers.push(await Worker.registered(`w${at}`));
    const pulls = workers.map((worker) => worker.pull(20_000));
    await group.time.pass(1_000);
    const entries = await entriesDuring(async () => {
      await submit({ task_id: "a" });
      await group.time.pass(5_000);
    });
    expect(entries).toBe(2);
    const answers = await group.time.outcome(Promise.all(pulls), 20_000);
    expect(answers.flatMap(granted).map(({ task_id }) => task_id)).toEqual(["a"]);
  });

  test("gets a delayed task when it is due and a retry when its pause is over, and neither before", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    const began = Date.now();
    await submit({ task_id: "a", delay_ms: 7_000 });
    const [lease] = granted(await group.time.outcome(worker.pull(20_000), 8_000));
    expect(lease?.task_id).toBe("a");
    expect(Date.now() - began).toBeGreaterThanOrEqual(7_000);
    expect(Date.now() - began).toBeLessThan(7_000 + ROUND_MS);
    const failed = Date.now();
    await group.apply({
      type: "fail-lease",
      lease_id: lease?.lease_id ?? "",
      worker_id: "w",
      error_code: "e",
      message: "",
      retryable: true,
    });
    expect(granted(await group.time.outcome(worker.pull(20_000)))).toMatchObject([
      { task_id: "a", attempt: 2 },
    ]);
    expect(Date.now() - failed).toBeGreaterThanOrEqual(800);
  });

  test("is told at once that its leader leads no more", async () => {
    group = await Group.founded();
    const worker = await Worker.registered("w");
    const waiting = worker.pull(20_000);
    await group.time.pass(1_000);
    await group.fault(group.leader, "stop");
    expect(await group.time.outcome(waiting, 100)).toEqual({ type: "stopped" });
  });
});

describe("what ended longer ago than RETENTION_MS", () => {
  const RETENTION_MS = 10_000;
  const founded = () => Group.founded({ variables: { RETENTION_MS: String(RETENTION_MS) } });

  test("is forgotten with the next activity, in bounded entries, and nobody wakes or writes for it before", async () => {
    group = await founded();
    await Promise.all(Array.from({ length: 500 }, (_, at) => submit({ task_id: `t${at}` })));
    await submit({ task_id: "open" });
    const task_ids = Array.from({ length: 500 }, (_, at) => `t${at}`);
    await group.apply({ type: "change-tasks", action: "cancel", task_ids });
    expect(await entriesDuring(() => group.time.pass(RETENTION_MS - 1_000))).toBe(0);
    await submit({ task_id: "early" });
    await group.time.pass(500);
    expect(await shown("t0")).toMatchObject({ status: "cancelled" });
    expect(await entriesDuring(() => group.time.pass(3 * RETENTION_MS))).toBe(0);
    expect(await shown("t0")).toMatchObject({ status: "cancelled" });
    const entries = await entriesDuring(async () => {
      await submit({ task_id: "late" });
      await group.time.pass(1_000);
    });
    expect(entries).toBe(1 + 3);
    for (const name of NAMES)
      for (const task_id of ["t0", "t250", "t499"]) expect(await shown(task_id, name)).toBeNull();
    for (const task_id of ["open", "early", "late"]) expect((await shown(task_id)).status).toBe("pending");
  });
});
