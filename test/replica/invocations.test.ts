/** What one invocation carries, counted where the calls are made, and that nobody runs for nothing. */
import { afterEach, describe, expect, test } from "vitest";
import { type Body, Group, NAMES } from "./harness.ts";

let group: Group;
afterEach(() => group.release());

const most = () => Math.max(...group.platform.invocations.map(({ subrequests }) => subrequests));

describe("no invocation carries more than a bounded number of subrequests", () => {
  test("under a load that never lets the queue run empty", async () => {
    group = await Group.founded();
    const calls = () => group.platform.invocations.reduce((sum, { subrequests }) => sum + subrequests, 0);
    const before = calls();
    const stop = group.load(20);
    await group.time.pass(600);
    stop();
    expect(calls() - before).toBeGreaterThan(250);
    expect(most()).toBeLessThan(100);
  });

  const LIMIT = 40;
  /** Within a second in which it waits for the event that it asked for, a leader goes on with its heartbeats. */
  const MEANWHILE = 2 * Math.ceil(1000 / 75);
  const variables = {
    INVOCATION_SUBREQUESTS: String(LIMIT),
    INVOCATION_MS: "600000",
    SLEEP_AFTER_MS: "0",
  };

  const LIMITS = {
    "by their number": variables,
    "by age": {
      SLEEP_AFTER_MS: "0",
      INVOCATION_SUBREQUESTS: "1000000",
      INVOCATION_MS: String((LIMIT / 2) * 75),
    },
  };
  for (const [how, limited] of Object.entries(LIMITS)) {
    test(`on a leader that has never had an event from outside, limited ${how}`, async () => {
      group = await Group.founded({ variables: limited });
      await group.time.pass(20_000);
      expect(most()).toBeLessThanOrEqual(LIMIT + MEANWHILE);
    });
  }

  test("on a leader that was started by an operator, and by nothing else", async () => {
    group = await Group.founded({ variables });
    for (const name of NAMES) await group.fault(name, "stop");
    for (const name of NAMES) await group.fault(name, "start");
    group.platform.invocations.splice(0, group.platform.invocations.length - 1);
    await group.time.pass(20_000);
    expect(group.seen.commit).toBeGreaterThan(0);
    expect(most()).toBeLessThanOrEqual(LIMIT + MEANWHILE);
  });

  for (const which of [0, 1] as const) {
    test(`on a leader whose follower ${which + 1} does not answer`, async () => {
      group = await Group.founded({ variables });
      const lost = group.followers[which];
      group.platform.fate = ({ to }) => (to === lost ? "lost" : "arrives");
      await group.time.pass(20_000);
      // The lost one hears nobody and asks both others, once in an election timeout; a leader would have asked 500 times.
      const campaigns = 2 * Math.ceil(20_000 / 300);
      expect(most()).toBeLessThanOrEqual(Math.max(LIMIT + 2 * MEANWHILE, campaigns));
    });

    test(`on a leader whose follower ${which + 1} has lost its storage, and is told so again and again`, async () => {
      group = await Group.founded({ variables });
      group.platform.wipe(group.followers[which]);
      await group.time.pass(20_000);
      expect(most()).toBeLessThanOrEqual(LIMIT + 2 * MEANWHILE);
    });
  }
});

describe("a leader at rest runs a timer no more often than its heartbeats ask for", () => {
  const WORKER = { worker_id: "worker", boot_id: "boot" };
  const task = (task_id: string): Body => ({
    type: "submit-task",
    task: {
      task_id,
      circuit: "noop",
      circuit_type: "noop",
      input: {},
      blinding: "0",
      content_hash: task_id,
      public_inputs: [],
      priority: 0,
      max_attempts: 4,
      tags: [],
    },
  });

  async function timersPerSecond(): Promise<number> {
    const { timersRun } = group.time;
    const before = timersRun.get(group.leader) ?? 0;
    await group.time.pass(1000);
    return (timersRun.get(group.leader) ?? 0) - before;
  }

  async function granted(): Promise<string> {
    const answer = await group.time.outcome(group.pull({ ...WORKER, max: 1, wait_ms: 0 }));
    const lease =
      answer.type === "applied" && answer.outcome.type === "granted" ? answer.outcome.leases[0] : undefined;
    if (!lease) throw new Error(`nothing was granted: ${JSON.stringify(answer)}`);
    return lease.lease_id;
  }

  test("with nothing to do", async () => {
    group = await Group.founded();
    expect(await timersPerSecond()).toBeLessThan(40);
  });

  test("while a pull waits whose worker is full, and a delayed task has fallen due", async () => {
    group = await Group.founded();
    await group.apply({
      type: "register-worker",
      worker: { ...WORKER, max_concurrent_tasks: 1, circuits: ["noop"], labels: {} },
    });
    await group.apply(task("01HZZZZZZZZZZZZZZZZZZZZZZ1"));
    await group.apply({
      type: "fail-lease",
      lease_id: await granted(),
      worker_id: WORKER.worker_id,
      error_code: "unlucky",
      message: "again, please",
      retryable: true,
    });
    await group.apply(task("01HZZZZZZZZZZZZZZZZZZZZZZ2"));
    const lease_id = await granted();
    await group.time.outcome(group.call(group.leader, "/heartbeat", { ...WORKER, leases: [{ lease_id }] }));
    const waiting = group.pull({ ...WORKER, max: 1, wait_ms: 20_000 });
    for (let second = 0; second < 10; second++) expect(await timersPerSecond()).toBeLessThan(40);
    const answer = await group.time.outcome(waiting, 15_000);
    expect(answer).toMatchObject({ type: "applied", outcome: { type: "granted", leases: [] } });
  });
});
