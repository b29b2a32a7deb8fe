/**
 * The worker pool against a real cluster on workerd, with real proofs. Faults are real where the cluster has them (a
 * leader stopped, a quorum lost); lost answers and a failing prover are made by wrapping fetch and prover. The pool as a
 * process, with its signals and exit codes, is shown with the launcher.
 */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { PoolLog } from "../../worker-sim/pool/log.ts";
import { createPool, type Pool } from "../../worker-sim/pool/pool.ts";
import { createProver, type Prover, ProverError } from "../../worker-sim/prover/index.ts";
import {
  allHealthy,
  type Cluster,
  eventually,
  followersOf,
  leaderOf,
  ready,
  startCluster,
} from "../cluster/harness.ts";
import { attemptsOf, submitTask, TestProver, taskOf } from "../cluster/provers.ts";

const LEASE_MS = 3_000;

let cluster: Cluster;
let contents = 0;
const prover = createProver({ threads: 1 });

interface Running {
  readonly pool: Pool;
  readonly worker_id: string;
  readonly boot_id: string;
  readonly log: string[];
  readonly ended: Promise<void>;
}

const running: Running[] = [];
let pools = 0;

function startPool(
  more: { prover?: Prover; fetch?: typeof fetch; drain_ms?: number; worker_id?: string } = {},
): Running {
  const worker_id = more.worker_id ?? `pool-${++pools}`;
  const boot_id = randomUUID();
  const log: string[] = [];
  const write: PoolLog = (message, fields = {}) => log.push(`${message} ${JSON.stringify(fields)}`);
  const pool = createPool({
    client: createClient({ url: cluster.url, ...(more.fetch === undefined ? {} : { fetch: more.fetch }) }),
    prover: more.prover ?? prover,
    worker_id,
    boot_id,
    threads: 1,
    labels: {},
    ...(more.drain_ms === undefined ? {} : { drain_ms: more.drain_ms }),
    log: write,
  });
  const ended = pool.run();
  ended.catch(() => {});
  const started = { pool, worker_id, boot_id, log, ended };
  running.push(started);
  return started;
}

/** A task that is proved in a sixth of the time of the others, for whatever need not last. */
async function submitShort(options: object = {}): Promise<string> {
  const preimage = ["7", String(++contents)];
  const { status, body, text } = await cluster.post("/api/v1/tasks/preimage", { preimage, ...options });
  if (status !== 202) throw new Error(`not accepted: ${status} ${text}`);
  return String(body.task_id);
}

function logged({ log }: Running, ...parts: readonly string[]): Promise<boolean> {
  return eventually(`the pool logs ${parts.join(" and ")}`, async () =>
    log.some((line) => parts.every((part) => line.includes(part))),
  );
}

function completed(task_id: string): Promise<boolean> {
  return eventually(
    `task ${task_id} is completed`,
    async () => (await taskOf(cluster, task_id)).status === "completed",
    30_000,
  );
}

beforeAll(async () => {
  cluster = await startCluster({ variables: { LEASE_MS: String(LEASE_MS) } });
  await ready(cluster);
});
afterEach(async () => {
  for (const { pool, ended } of running.splice(0)) {
    pool.drain();
    await ended.catch(() => {});
  }
});
afterAll(async () => {
  await prover.close();
  await cluster.stop();
});

describe("work", () => {
  test("a backlog is proved, and the pool never holds more leases than its slots", async () => {
    const task_ids = await Promise.all(Array.from({ length: 3 }, () => submitTask(cluster)));
    const { pool, worker_id } = startPool();
    const held: number[] = [];
    await eventually(
      "all are completed",
      async () => {
        const { body } = await new TestProver(cluster, worker_id).view();
        if (body.leases !== undefined) held.push(body.leases.length);
        held.push(pool.held);
        const tasks = await Promise.all(task_ids.map((task_id) => taskOf(cluster, task_id)));
        return tasks.every(({ status }) => status === "completed");
      },
      40_000,
    );
    expect(Math.max(...held)).toBe(pool.slots);
    for (const task_id of task_ids) expect(await attemptsOf(cluster, task_id)).toHaveLength(1);
  });

  test("a task that comes while the pool waits is taken at once", async () => {
    const started = startPool();
    await logged(started, "registered");
    const task_id = await submitShort();
    await completed(task_id);
    expect((await taskOf(cluster, task_id)).worker_id).toBe(started.worker_id);
  });

  test("a failure of the prover is reported, spends an attempt, and the task is tried again", async () => {
    let failures = 0;
    const failing: Prover = {
      ...prover,
      prove: async (job, options) => {
        if (failures++ === 0) throw new ProverError("prover-crashed", "the thread died");
        return prover.prove(job, options);
      },
    };
    const task_id = await submitShort();
    startPool({ prover: failing });
    await completed(task_id);
    const [first, second] = await attemptsOf(cluster, task_id);
    expect(first).toMatchObject({ outcome: "failed", error: expect.stringContaining("the thread died") });
    expect(second).toMatchObject({ outcome: "completed" });
  });

  test("a pool whose keys are not the coordinator's is told that no work will come", async () => {
    const foreign: Prover = { ...prover, circuits: [{ name: "merkle", vk_hash: "00" }] };
    await logged(startPool({ prover: foreign }), "no work will come");
  });

  test("what is cancelled under way is stopped, and the thread takes the next task", async () => {
    // Told so by a heartbeat: after its first attempt timed out this task has failed.
    const hopeless = await submitShort({ max_runtime_ms: 1, max_attempts: 1 });
    let begun = 0;
    const slow: Prover = {
      ...prover,
      prove: (job, options) => {
        begun++;
        if (job.task_id !== hopeless) return prover.prove(job, options);
        return new Promise((_, reject) => {
          options?.signal?.addEventListener("abort", () => reject(options.signal?.reason));
        });
      },
    };
    const started = startPool({ prover: slow });
    await logged(started, "told to stop", hopeless);
    const next = await submitShort();
    await completed(next);
    expect(begun).toBe(2);
    expect((await taskOf(cluster, hopeless)).status).toBe("failed");
  });
});

describe("what is wanted no longer", () => {
  test("a task that is cancelled stops its proof with the next heartbeat, and its slot and thread are free", async () => {
    const task_id = await submitShort();
    let aborted = 0;
    // A proof without an end, in a real thread.
    const endless: Prover = {
      ...prover,
      prove: async (job, options) => {
        try {
          for (;;) {
            const proved = await prover.prove(job, options);
            if (job.task_id !== task_id) return proved;
          }
        } catch (error) {
          aborted++;
          throw error;
        }
      },
    };
    const started = startPool({ prover: endless });
    await eventually(
      "it is in progress",
      async () => (await taskOf(cluster, task_id)).status === "in_progress",
    );
    const { status } = await cluster.post(`/api/v1/tasks/${task_id}/cancel`, {});
    const cancelled = Date.now();
    expect(status).toBe(200);
    await eventually("the slot is free", async () => started.pool.held === 0);
    expect(Date.now() - cancelled).toBeLessThan(LEASE_MS);
    expect(aborted).toBe(1);
    await completed(await submitShort());
  });
});

describe("trouble on the way", () => {
  test("a proof made while the leader is stopped is delivered to the next one, in the same attempt", async () => {
    const started = startPool();
    await logged(started, "registered");
    const task_id = await submitTask(cluster);
    await logged(started, "assigned", task_id);
    const leader = await leaderOf(cluster);
    await cluster.fault(leader, "stop");
    await completed(task_id);
    expect(await attemptsOf(cluster, task_id)).toHaveLength(1);
    await cluster.fault(leader, "start");
    await allHealthy(cluster);
  });

  test("a proof made while there is no quorum waits for one", async () => {
    const answers: number[] = [];
    const watched: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (String(input).endsWith("/complete")) answers.push(response.status);
      return response;
    };
    const started = startPool({ fetch: watched });
    await logged(started, "registered");
    const task_id = await submitTask(cluster);
    await logged(started, "assigned", task_id);
    const followers = await followersOf(cluster);
    for (const follower of followers) await cluster.fault(follower, "stop");
    await eventually("a completion is told that there is no quorum", async () => answers.length > 0, 20_000);
    expect(answers[0]).toBeGreaterThanOrEqual(503);
    expect(started.pool.held).toBe(1);
    for (const follower of followers) await cluster.fault(follower, "start");
    await completed(task_id);
    expect(await attemptsOf(cluster, task_id)).toHaveLength(1);
    await allHealthy(cluster);
  });

  test.each(["pull", "complete"])(
    "a %s whose answer is lost is repeated without doing anything twice",
    async (call) => {
      let lost = 0;
      const lossy: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        if (String(input).endsWith(`/${call}`) && response.status === 200 && lost++ === 0) {
          await response.text();
          throw new TypeError("fetch failed");
        }
        return response;
      };
      const task_id = await submitShort();
      const started = startPool({ fetch: lossy });
      await completed(task_id);
      await logged(started, "completed", task_id);
      expect(started.pool.held).toBe(0);
      expect(lost).toBeGreaterThan(0);
      expect(await attemptsOf(cluster, task_id)).toHaveLength(1);
    },
  );

  test("a lease whose grant never arrived is fetched while another pull waits", async () => {
    const started = startPool();
    await logged(started, "registered");
    // Granted to the pool, as far as the coordinator knows; the answer goes to somebody else.
    const thief = new TestProver(cluster, started.worker_id);
    thief.boot_id = started.boot_id;
    const task_id = await eventually("a grant that passes the pool by", async () => {
      const submitted = await submitShort();
      const { body } = await thief.pull(1);
      return body.leases?.some((lease) => lease.task_id === submitted) ? submitted : undefined;
    });
    await completed(task_id);
    expect(await attemptsOf(cluster, task_id)).toHaveLength(1);
  });

  test("a pool that the coordinator has forgotten registers again and goes on", async () => {
    const started = startPool();
    await logged(started, "registered");
    expect(await new TestProver(cluster, started.worker_id).remove()).toBe(204);
    await eventually("it is registered again", async () => {
      return started.log.filter((line) => line.startsWith("registered")).length === 2;
    });
    await completed(await submitShort());
  });

  test("a second process under the same name takes over, and the first ends with a sentence", async () => {
    const first = startPool();
    await logged(first, "registered");
    const second = startPool({ worker_id: first.worker_id });
    await expect(first.ended).rejects.toThrow(`Another process has registered as worker ${first.worker_id}`);
    const task_id = await submitShort();
    await completed(task_id);
    await logged(second, "completed", task_id);
  });
});

describe("draining", () => {
  async function busy(
    more: { drain_ms?: number } = {},
  ): Promise<{ started: Running; task_ids: readonly string[] }> {
    const task_ids = [await submitShort(), await submitShort()];
    const started = startPool(more);
    for (const task_id of task_ids) await logged(started, "assigned", task_id);
    return { started, task_ids };
  }

  test("the proof under way is finished, the waiting lease goes back, the worker is gone", async () => {
    const { started, task_ids } = await busy({ drain_ms: 30_000 });
    started.pool.drain();
    await started.ended;
    const [proved, waiting] = await Promise.all(task_ids.map((task_id) => taskOf(cluster, task_id)));
    expect(proved).toMatchObject({ status: "completed", attempts_spent: 0 });
    expect(waiting).toMatchObject({ status: "pending", attempts_spent: 0, losses: 0 });
    // By the pool itself, at once, and not only by its removal.
    await logged(started, "released", waiting?.task_id ?? "");
    expect((await new TestProver(cluster, started.worker_id).view()).status).toBe(404);
    startPool();
    await completed(task_ids[1] ?? "");
  });

  test("without time to finish everything goes back, and nothing is spent", async () => {
    const { started, task_ids } = await busy({ drain_ms: 0 });
    started.pool.drain();
    await started.ended;
    for (const task_id of task_ids) {
      expect(await taskOf(cluster, task_id)).toMatchObject({
        status: "pending",
        attempts_spent: 0,
        losses: 0,
      });
      await logged(started, "released", task_id);
    }
    startPool();
    for (const task_id of task_ids) await completed(task_id);
  });

  test("a pool that never reached a coordinator ends at once", async () => {
    const nowhere: typeof fetch = () => Promise.reject(new TypeError("fetch failed"));
    const { pool, ended } = startPool({ fetch: nowhere });
    pool.drain();
    await ended;
  });
});
