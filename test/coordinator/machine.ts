/**
 * A state machine with a log of its own, for tests: gives every command an id, an index and a time, and keeps them, so
 * that the same log can be applied again.
 */
import {
  type Command,
  type CommandBody,
  type Coordinator,
  createCoordinator,
  createMemoryRecords,
  type EntryPlace,
  type LeaseGrant,
  type Outcome,
  type Records,
  type SubmitTask,
  type Table,
  type TaskRecord,
  versionOf,
} from "../../src/coordinator/index.ts";

type PutOperationBody = Extract<CommandBody, { readonly type: "put-operation" }>;

export const TABLES: readonly Table[] = [
  "tasks",
  "inputs",
  "workers",
  "events",
  "content",
  "keys",
  "key_order",
  "ended",
  "operations",
  "operation_order",
  "system_events",
  "commands",
  "meta",
];
export const START = Date.UTC(2026, 0, 1);

export interface Entry {
  readonly command: Command;
  readonly place: EntryPlace;
}

export class Machine {
  readonly records: Records;
  readonly coordinator: Coordinator;
  readonly log: Entry[] = [];
  time = START;

  constructor(records: Records = createMemoryRecords()) {
    this.records = records;
    this.coordinator = createCoordinator({ records });
  }

  apply(body: CommandBody, id = `command-${this.log.length + 1}`): { outcome: Outcome; replayed: boolean } {
    const command = { v: versionOf(body.type), id, ...body } as Command;
    const place = { index: this.log.length + 1, term: 1, time: this.time };
    this.log.push({ command, place });
    return this.coordinator.apply(command, place);
  }

  submit(task: Partial<SubmitTask["task"]> & { readonly task_id: string }): Outcome {
    return this.apply({ type: "submit-task", task: taskOf(task) }).outcome;
  }

  register(
    worker_id: string,
    options: { boot_id?: string; slots?: number; circuits?: readonly string[] } = {},
  ): Outcome {
    const { boot_id = "boot-1", slots = 2, circuits = ["merkle"] } = options;
    const worker = { worker_id, boot_id, max_concurrent_tasks: slots, circuits, labels: {} };
    return this.apply({ type: "register-worker", worker }).outcome;
  }

  /** Ids of the leases granted. */
  grant(worker_id: string, max: number, boot_id = "boot-1", nonce = ""): readonly string[] {
    const { outcome } = this.apply({ type: "grant-leases", worker_id, boot_id, max, nonce });
    if (outcome.type !== "granted") throw new Error(`not granted: ${JSON.stringify(outcome)}`);
    return leaseIds(outcome.leases);
  }

  complete(
    lease_id: string,
    worker_id: string,
    options: { digest?: string; next_max?: number; next_boot_id?: string } = {},
  ): Outcome {
    const { digest = `proof of ${lease_id}`, next_max, next_boot_id = "boot-1" } = options;
    const next = next_max === undefined ? {} : { next: { max: next_max, boot_id: next_boot_id, nonce: "" } };
    const proof = { of: digest };
    return this.apply({ type: "complete-lease", lease_id, worker_id, proof, proof_digest: digest, ...next })
      .outcome;
  }

  fail(lease_id: string, worker_id: string, retryable = true): Outcome {
    const message = "out of memory";
    return this.apply({ type: "fail-lease", lease_id, worker_id, error_code: "prover", message, retryable })
      .outcome;
  }

  task(task_id: string): TaskRecord {
    const task = this.coordinator.task(task_id);
    if (task === undefined) throw new Error(`no task ${task_id}`);
    return task;
  }

  /** Newest first. */
  tasks(): readonly TaskRecord[] {
    return tasksOf(this.records);
  }

  leases(worker_id: string): readonly string[] {
    return this.coordinator.worker(worker_id)?.leases ?? [];
  }
}

/** Newest first. */
export function tasksOf(records: Records): readonly TaskRecord[] {
  const ids = Array.from(records.newestTasks()).flatMap(({ task }) => task?.task_id ?? []);
  return ids.map((task_id) => records.get("tasks", task_id)).filter((task) => task !== undefined);
}

export function taskOf(task: Partial<SubmitTask["task"]> & { readonly task_id: string }): SubmitTask["task"] {
  return {
    circuit: "merkle",
    circuit_type: "merkle_proof",
    input: { leaves: [task.task_id], leaf_index: 0 },
    blinding: "7",
    content_hash: `content of ${task.task_id}`,
    public_inputs: ["1", "2", "3"],
    priority: 0,
    max_attempts: 4,
    ...task,
  };
}

export function putOperation(
  operation_id: string,
  options: { payload?: string; type?: string; ttl_ms?: number; not_after?: number } = {},
): PutOperationBody {
  const { payload = "{}", type = "noted", ttl_ms = 60_000, not_after } = options;
  return {
    type: "put-operation",
    operation: {
      operation_id,
      type,
      payload,
      payload_bytes: payload.length,
      digest: `${type} ${payload}`,
      schema_version: 1,
    },
    ttl_ms,
    ...(not_after === undefined ? {} : { not_after }),
  };
}

export function leaseIds(leases: readonly LeaseGrant[]): readonly string[] {
  return leases.map(({ lease_id }) => lease_id);
}

/** A lease id without the part that only its holder knows. */
export function leaseName(lease_id: string): string {
  return lease_id.replace(/\.[0-9a-f]{16}$/, "");
}

/** Every record as canonical text, to be compared. */
export function contents(records: Records): string {
  const lines = TABLES.flatMap((table) =>
    Array.from(records.live(table), ([key, record]) => `${table} ${key} ${canonical(record)}`),
  );
  return lines.sort().join("\n");
}

/** Compact JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
