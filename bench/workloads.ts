/** What the systems are made to do, one send of one connection each. Every key and every task is new. */
import type { JetStreamClient } from "@nats-io/jetstream";
import type { Etcd3 } from "etcd3";
import { type Http, HttpError, type Send } from "./generator.ts";
import { put, putAll } from "./peers/etcd.ts";
import { SUBJECT } from "./peers/nats.ts";

/** As many bytes as a task without a proof carries. */
const VALUE = "x".repeat(80);
let count = 0;
const name = (): string => `bench/${process.pid}/${(count++).toString(36)}`;

interface Submitted {
  readonly task_id: string;
}

export const submitNoop =
  (http: Http): Send =>
  async () => {
    await http.post("/api/v1/tasks/noop", { data: name() });
  };

export const submitMerkle =
  (http: Http): Send =>
  async () => {
    const leaf = (count++).toString(16).padStart(16, "0");
    await http.post("/api/v1/tasks/merkle", { leaves: [`0x${leaf}`, "0xabcdef"], leaf_index: 0 });
  };

export const submitBatch =
  (http: Http, size: number): Send =>
  async () => {
    const items = Array.from({ length: size }, () => ({ circuit: "noop", input: { data: name() } }));
    const answer = await http.post<{ readonly items: readonly Partial<Submitted>[] }>("/api/v1/tasks/batch", {
      items,
    });
    const missing = answer.items.filter(({ task_id }) => task_id === undefined);
    if (missing.length > 0) throw new Error(`${missing.length} of ${size} were not accepted`);
  };

/** An operation of the size of a put's value. */
export const putOperation =
  (http: Http): Send =>
  async () => {
    const operation_id = name().replaceAll("/", "-");
    await http.put(`/api/v1/operations/${operation_id}`, { type: "bench", payload: VALUE });
  };

export const putOne =
  (http: Http): Send =>
  async () => {
    await http.post("/v3/kv/put", put(name(), VALUE));
  };

export const putOneByGrpc =
  (etcd: Etcd3): Send =>
  async () => {
    await etcd.put(name()).value(VALUE);
  };

export const putMany =
  (http: Http, size: number): Send =>
  async () => {
    const entries = Array.from({ length: size }, () => [name(), VALUE] as const);
    await http.post("/v3/kv/txn", putAll(entries));
  };

export const publish =
  (streams: readonly JetStreamClient[]): Send =>
  async (connection) => {
    const stream = streams[connection % streams.length];
    if (stream === undefined) throw new Error("no connection to NATS");
    await stream.publish(SUBJECT, `${name()} ${VALUE}`);
  };

export interface Lives {
  readonly per_second: number;
  /** Acknowledged by the coordinator within the time. */
  readonly completed: number;
  /** Also before and after it: all that were submitted, to the last. */
  readonly lives: number;
}

interface Lease {
  readonly lease_id: string;
  readonly public_inputs: readonly string[];
}

const SUBMITTERS = 2;
const BUSY_MS = 20;
const BUSY_MAX = 500;

/** 503 says that nothing happened, and to try again. */
export async function whenNotTooBusy<Answer>(send: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof HttpError) || error.status !== 503 || attempt === BUSY_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
    }
  }
}

/**
 * The whole life of tasks, by provers that do nothing: a submitter keeps the queue filled with batches, and every prover
 * completes what it holds and takes the next with the same request. When the time is over the queue is worked off.
 */
export async function live(
  http: Http,
  options: {
    readonly provers: number;
    readonly slots: number;
    readonly seconds: number;
    readonly vk_hash: string;
    /** Tasks submitted together. */
    readonly batch?: number;
    /** How many wait for a prover at any time. */
    readonly queue?: number;
  },
): Promise<Lives> {
  const { provers, slots, seconds, vk_hash, batch = 100, queue = 2_000 } = options;
  const begins = performance.now() + 1_000;
  const ends = begins + seconds * 1000;
  const over = (): boolean => performance.now() >= ends;
  let completed = 0;
  let submitted = 0;
  let done = 0;
  const submit = submitBatch(http, batch);
  let submitting = SUBMITTERS;
  const finished = (): boolean => submitting === 0 && done === submitted;
  const submitter = async (): Promise<void> => {
    while (!over()) {
      if (submitted - done > queue) await new Promise((resolve) => setTimeout(resolve, 5));
      else {
        submitted += batch;
        await whenNotTooBusy(() => submit(0));
      }
    }
    submitting--;
  };
  const prover = async (number: number): Promise<void> => {
    const worker_id = `bench-${process.pid}-${number}`;
    const boot_id = crypto.randomUUID();
    await http.post("/api/v1/workers", {
      worker_id,
      boot_id,
      max_concurrent_tasks: slots,
      circuits: [{ name: "noop", vk_hash }],
      labels: {},
    });
    const complete = async (lease: Lease): Promise<readonly Lease[]> => {
      const answer = await whenNotTooBusy(() =>
        http.post<{ readonly leases: readonly Lease[] }>(`/api/v1/leases/${lease.lease_id}/complete`, {
          worker_id,
          proof: {},
          public_inputs: lease.public_inputs,
          duration_ms: 0,
          next: { max: 1, boot_id },
        }),
      );
      const now = performance.now();
      done++;
      if (now >= begins && now < ends) completed++;
      return answer.leases;
    };
    const slot = async (lease: Lease): Promise<void> => {
      for (let held: readonly Lease[] = [lease]; held.length > 0; ) {
        const next: Lease[] = [];
        for (const one of held) next.push(...(await complete(one)));
        held = next;
      }
    };
    const busy = new Set<Promise<void>>();
    while (!finished()) {
      if (busy.size === slots) await Promise.race(busy);
      const pulled = await http.post<{ readonly leases: readonly Lease[] } | undefined>(
        `/api/v1/workers/${worker_id}/pull`,
        { boot_id, max: slots - busy.size, wait: 0.2 },
      );
      for (const lease of pulled?.leases ?? []) {
        const working: Promise<void> = slot(lease).finally(() => busy.delete(working));
        busy.add(working);
      }
    }
    await Promise.all(busy);
  };
  await Promise.all([
    ...Array.from({ length: SUBMITTERS }, submitter),
    ...Array.from({ length: provers }, (_, number) => prover(number)),
  ]);
  return { per_second: completed / seconds, completed, lives: done };
}
