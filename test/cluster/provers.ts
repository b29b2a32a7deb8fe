/** A prover as the contract describes it, call by call: tests decide what it does and when. */

import type { TaskAnswer } from "../../src/api/tasks.ts";
import type {
  Completed,
  HeartbeatAnswer,
  LeaseEnded,
  LeaseOffer,
  Registered,
} from "../../src/api/workers.ts";
import { circuits } from "../../src/proofs/index.ts";
import type { Proved, Prover } from "../../worker-sim/prover/index.ts";
import type { Cluster, Reply } from "./harness.ts";

const MERKLE = [{ name: "merkle", vk_hash: circuits.get("merkle")?.vk_hash ?? "" }];

/** Field by field: an answer is a success or a problem, and tests look at what they expect. */
export type Loose<Body> = Partial<Body> & { readonly code?: string; readonly detail?: string };

export class TestProver {
  readonly cluster: Cluster;
  readonly worker_id: string;
  readonly slots: number;
  boot_id = "boot-1";

  constructor(cluster: Cluster, worker_id: string, slots = 1) {
    this.cluster = cluster;
    this.worker_id = worker_id;
    this.slots = slots;
  }

  register(more: object = {}): Promise<Reply<Loose<Registered>>> {
    return this.cluster.post("/api/v1/workers", {
      worker_id: this.worker_id,
      boot_id: this.boot_id,
      max_concurrent_tasks: this.slots,
      circuits: MERKLE,
      ...more,
    });
  }

  pull(max = 1, wait = 0, init: RequestInit = {}): Promise<Reply<Loose<{ leases: readonly LeaseOffer[] }>>> {
    const body = JSON.stringify({ boot_id: this.boot_id, max, wait });
    return this.cluster.json(`/api/v1/workers/${this.worker_id}/pull`, { method: "POST", body, ...init });
  }

  /** Pulls what must be there. */
  async take(max = 1): Promise<readonly LeaseOffer[]> {
    const { status, body, text } = await this.pull(max);
    if (status !== 200 || body.leases === undefined) throw new Error(`no lease: ${status} ${text}`);
    return body.leases;
  }

  async takeOne(): Promise<LeaseOffer> {
    const [lease, ...others] = await this.take();
    if (lease === undefined || others.length > 0) throw new Error(`${others.length} leases too many`);
    return lease;
  }

  heartbeat(lease_ids: readonly string[] = []): Promise<Reply<Loose<HeartbeatAnswer>>> {
    return this.cluster.post(`/api/v1/workers/${this.worker_id}/heartbeat`, {
      boot_id: this.boot_id,
      leases: lease_ids.map((lease_id) => ({ lease_id })),
    });
  }

  complete(
    lease_id: string,
    proved: { readonly proof?: unknown; readonly public_inputs?: unknown },
    more: object = {},
  ): Promise<Reply<Loose<Completed>>> {
    const { proof, public_inputs } = proved;
    return this.cluster.post(`/api/v1/leases/${encodeURIComponent(lease_id)}/complete`, {
      worker_id: this.worker_id,
      proof,
      public_inputs,
      ...more,
    });
  }

  fail(lease_id: string, more: object = {}): Promise<Reply<Loose<LeaseEnded>>> {
    const failure = { worker_id: this.worker_id, error_code: "test-failure", message: "on purpose", ...more };
    return this.cluster.post(`/api/v1/leases/${lease_id}/fail`, failure);
  }

  release(lease_id: string): Promise<Reply<Loose<LeaseEnded>>> {
    return this.cluster.post(`/api/v1/leases/${lease_id}/release`, { worker_id: this.worker_id });
  }

  drain(): Promise<Reply<Loose<{ draining: boolean }>>> {
    return this.cluster.post(`/api/v1/workers/${this.worker_id}/drain`, {});
  }

  view(): Promise<Reply<{ state: string; draining: boolean; leases: readonly string[] }>> {
    return this.cluster.json(`/api/v1/workers/${this.worker_id}`);
  }

  async remove(): Promise<number> {
    const path = `/api/v1/workers/${this.worker_id}`;
    return (await this.cluster.json(path, { method: "DELETE" })).status;
  }
}

/** A real proof for a lease, about a second of a core. */
export function prove(prover: Prover, { circuit, task_id, input }: LeaseOffer): Promise<Proved> {
  return prover.prove({ circuit, task_id, input });
}

let contents = 0;

/** Submits a task with content that no other task has; gives its id. */
export async function submitTask(cluster: Cluster, options: object = {}): Promise<string> {
  contents += 1;
  const leaves = [contents.toString(16), "abcd"];
  const { status, body, text } = await cluster.post("/api/v1/tasks/merkle", { leaves, ...options });
  if (status !== 202) throw new Error(`not accepted: ${status} ${text}`);
  return String(body.task_id);
}

export async function taskOf(cluster: Cluster, task_id: string, at = ""): Promise<TaskAnswer> {
  const { status, body, text } = await cluster.json<TaskAnswer>(`${at}/api/v1/tasks/${task_id}`);
  if (status !== 200) throw new Error(`task ${task_id}: ${status} ${text}`);
  return body;
}

interface Attempt {
  readonly attempt: number;
  readonly worker_id: string;
  readonly outcome?: string;
  readonly error?: string;
}

export async function attemptsOf(cluster: Cluster, task_id: string): Promise<readonly Attempt[]> {
  return (await cluster.json<{ items: readonly Attempt[] }>(`/api/v1/tasks/${task_id}/attempts`)).body.items;
}
