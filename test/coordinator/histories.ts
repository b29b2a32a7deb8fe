/**
 * Random histories of commands. A step says what happens in terms of what there is (the third lease, a wrong worker);
 * `bodyOf` makes a command of it, looking at the machine that goes through the history first. What that machine was
 * given is a plain log, which others then apply.
 */
import fc from "fast-check";
import type { CommandBody } from "../../src/coordinator/index.ts";
import { INPUT_BYTES_WITHIN } from "../../src/coordinator/state.ts";
import { type Machine, putOperation, taskOf } from "./machine.ts";

export const WORKERS = ["w0", "w1", "w2", "w3"] as const;
const CIRCUITS = [["merkle"], ["range"], ["merkle", "range"], []] as const;
/** Mostly none or little; now and then past a minute, a day, or back in time, as after a change of leader. */
const PAUSES_MS = [0, 0, 0, 1, 20, 900, 1_100, 5_000, 12_000, 61_000, 25 * 3_600_000, -2_000];

const TTLS_MS = [500, 30_000, 24 * 3_600_000];
const DELAYS_MS = [0, 1, 1_000, 10_000];
const DEADLINES_MS = [1, 1_000, 15_000, 3_600_000];

const task = fc.nat(24);
const worker = fc.nat(WORKERS.length - 1);
const boot = fc.nat(1);
const lease = fc.nat(1_000);
const pause = fc.nat(PAUSES_MS.length - 1);

export type Step = { readonly pause: number } & (
  | {
      readonly do: "submit";
      task: number;
      content: number;
      priority: number;
      attempts: number;
      limit: boolean;
      range: boolean;
      delay?: number;
      deadline?: number;
      key?: number;
    }
  | { readonly do: "batch"; tasks: readonly number[]; key?: number }
  | { readonly do: "cancel" | "retry"; task: number }
  | { readonly do: "change"; tasks: readonly number[]; retry: boolean }
  | { readonly do: "forget"; age: number; limit: number }
  | { readonly do: "advance"; limit: number }
  | { readonly do: "register"; worker: number; boot: number; slots: number; circuits: number }
  | { readonly do: "grant"; worker: number; max: number }
  | { readonly do: "start" | "release"; lease: number }
  | { readonly do: "complete"; lease: number; stranger: boolean; digest: number; next?: number }
  | { readonly do: "reject"; lease: number; stranger: boolean }
  | { readonly do: "fail"; lease: number; stranger: boolean; retryable: boolean }
  | { readonly do: "expire"; lease: number; timed_out: boolean }
  | { readonly do: "state"; worker: number; boot: number; state: number }
  | { readonly do: "drain" | "remove"; worker: number }
  | { readonly do: "event"; body: number; key?: number }
  | { readonly do: "operate"; operation: number; payload: number; ttl: number; late: boolean }
  | { readonly do: "repeat"; back: number }
);

/** `absent`: fields that a step may lack. */
function make(
  name: Step["do"],
  shape: Record<string, fc.Arbitrary<unknown>>,
  absent: readonly string[] = [],
) {
  const requiredKeys: string[] = [
    "do",
    "pause",
    ...Object.keys(shape).filter((key) => !absent.includes(key)),
  ];
  const all: Record<string, fc.Arbitrary<unknown>> = { do: fc.constant(name), pause, ...shape };
  const record = fc.record(all, { requiredKeys });
  return record as unknown as fc.Arbitrary<Step>;
}

const submit = {
  task,
  content: fc.nat(20),
  priority: fc.integer({ min: -2, max: 2 }),
  attempts: fc.integer({ min: 1, max: 4 }),
  limit: fc.boolean(),
  range: fc.boolean(),
  delay: fc.nat(3),
  deadline: fc.nat(3),
  key: fc.nat(5),
};
const stranger = fc.boolean();
const step = fc.oneof(
  { weight: 8, arbitrary: make("submit", submit, ["delay", "deadline", "key"]) },
  {
    weight: 2,
    arbitrary: make("batch", { tasks: fc.array(task, { maxLength: 5 }), key: fc.nat(5) }, ["key"]),
  },
  // So large that its answer has a record of its own.
  { weight: 1, arbitrary: make("batch", { tasks: fc.array(task, { minLength: 17, maxLength: 20 }) }) },
  { weight: 2, arbitrary: make("change", { tasks: fc.array(task, { maxLength: 5 }), retry: fc.boolean() }) },
  { weight: 1, arbitrary: make("forget", { age: fc.nat(3), limit: fc.nat(4) }) },
  { weight: 2, arbitrary: make("cancel", { task }) },
  { weight: 2, arbitrary: make("retry", { task }) },
  { weight: 2, arbitrary: make("advance", { limit: fc.nat(4) }) },
  {
    weight: 3,
    arbitrary: make("register", { worker, boot, slots: fc.nat(4), circuits: fc.nat(CIRCUITS.length - 1) }),
  },
  { weight: 8, arbitrary: make("grant", { worker, max: fc.nat(5) }) },
  { weight: 4, arbitrary: make("start", { lease }) },
  {
    weight: 5,
    arbitrary: make("complete", { lease, stranger, digest: fc.nat(1), next: fc.nat(2) }, ["next"]),
  },
  { weight: 2, arbitrary: make("reject", { lease, stranger }) },
  { weight: 4, arbitrary: make("fail", { lease, stranger, retryable: fc.boolean() }) },
  { weight: 2, arbitrary: make("release", { lease }) },
  { weight: 2, arbitrary: make("expire", { lease, timed_out: fc.boolean() }) },
  { weight: 2, arbitrary: make("state", { worker, boot, state: fc.nat(2) }) },
  { weight: 1, arbitrary: make("drain", { worker }) },
  { weight: 1, arbitrary: make("remove", { worker }) },
  { weight: 2, arbitrary: make("event", { body: fc.nat(2), key: fc.nat(5) }, ["key"]) },
  {
    weight: 3,
    arbitrary: make("operate", {
      operation: fc.nat(5),
      payload: fc.nat(1),
      ttl: fc.nat(TTLS_MS.length - 1),
      late: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: make("repeat", { back: fc.nat(12) }) },
);

/** Starts with workers and tasks, so that most of what follows meets something. */
export function histories(steps_max: number): fc.Arbitrary<readonly Step[]> {
  const opening: Step[] = WORKERS.map((_name, at) => ({
    do: "register",
    pause: 0,
    worker: at,
    boot: 0,
    slots: 2,
    circuits: 2,
  }));
  return fc
    .array(step, { minLength: 1, maxLength: steps_max, size: "max" })
    .map((steps) => [...opening, ...steps]);
}

/** Lets a step happen to the machine. */
export function take(machine: Machine, one: Step): ReturnType<Machine["apply"]> {
  machine.time += PAUSES_MS[one.pause] ?? 0;
  if (one.do !== "repeat") return machine.apply(bodyOf(machine, one));
  const entry = machine.log[Math.max(0, machine.log.length - 1 - one.back)];
  if (entry === undefined) throw new Error("nothing to repeat: the history has no opening");
  const { v: _v, id, ...body } = entry.command;
  return machine.apply(body as CommandBody, id);
}

function bodyOf(machine: Machine, one: Exclude<Step, { readonly do: "repeat" }>): CommandBody {
  switch (one.do) {
    case "submit": {
      const { task_id, content_hash } = { task_id: `t${one.task}`, content_hash: `c${one.content}` };
      const limit = one.limit ? { max_runtime_ms: 3_000 } : {};
      const circuit = one.range ? "range" : "merkle";
      const time = {
        ...(one.delay === undefined ? {} : { delay_ms: DELAYS_MS[one.delay] ?? 0 }),
        ...(one.deadline === undefined ? {} : { deadline: machine.time + (DEADLINES_MS[one.deadline] ?? 0) }),
      };
      const { priority, attempts: max_attempts } = one;
      // Every other one is too large for its task's record.
      const large = one.content % 2 === 0 ? {} : { input_bytes: INPUT_BYTES_WITHIN + 1 };
      const key =
        one.key === undefined ? {} : { client_key: { scope: "s", key: `k${one.key}`, digest: content_hash } };
      return {
        type: "submit-task",
        task: taskOf({ task_id, content_hash, circuit, priority, max_attempts, ...limit, ...time, ...large }),
        ...key,
      };
    }
    case "batch": {
      const items = one.tasks.map((at, index) => ({
        index,
        task: taskOf({ task_id: `t${at}`, content_hash: `c${at % 20}` }),
      }));
      const key =
        one.key === undefined
          ? {}
          : { client_key: { scope: "b", key: `k${one.key}`, digest: one.tasks.join() } };
      return { type: "submit-batch", items, ...key };
    }
    case "change": {
      const task_ids = one.tasks.map((at) => `t${at}`);
      return { type: "change-tasks", action: one.retry ? "retry" : "cancel", task_ids };
    }
    case "forget": {
      const ended_before = machine.time - (DEADLINES_MS[one.age] ?? 0);
      return { type: "forget-tasks", ended_before, limit: one.limit };
    }
    case "cancel":
      return { type: "cancel-task", task_id: `t${one.task}` };
    case "retry":
      return { type: "retry-task", task_id: `t${one.task}` };
    case "advance":
      return { type: "advance-tasks", limit: one.limit };
    case "register": {
      const circuits = CIRCUITS[one.circuits] ?? [];
      const worker = { boot_id: `b${one.boot}`, max_concurrent_tasks: one.slots, circuits, labels: {} };
      return { type: "register-worker", worker: { worker_id: workerAt(one.worker), ...worker } };
    }
    case "grant": {
      const worker_id = workerAt(one.worker);
      const boot_id = machine.coordinator.workerRecord(worker_id)?.boot_id ?? "none";
      return { type: "grant-leases", worker_id, boot_id, max: one.max, nonce: nonceOf(machine) };
    }
    case "start":
      return { type: "start-leases", lease_ids: [leaseAt(machine, one.lease).lease_id] };
    case "complete": {
      const next =
        one.next === undefined
          ? {}
          : { next: { max: one.next, boot_id: `b${one.lease % 2}`, nonce: nonceOf(machine) } };
      return {
        type: "complete-lease",
        ...heldBy(machine, one),
        proof: { p: one.digest },
        proof_digest: `d${one.digest}`,
        ...next,
      };
    }
    case "reject":
      return { type: "reject-proof", ...heldBy(machine, one), reason: "wrong" };
    case "fail":
      return {
        type: "fail-lease",
        ...heldBy(machine, one),
        error_code: "e",
        message: "m",
        retryable: one.retryable,
      };
    case "release":
      return { type: "release-lease", ...leaseAt(machine, one.lease) };
    case "expire": {
      const { lease_id } = leaseAt(machine, one.lease);
      return { type: "expire-lease", lease_id, reason: one.timed_out ? "timed-out" : "missing" };
    }
    case "state": {
      const state = (["active", "suspect", "dead"] as const)[one.state] ?? "dead";
      return { type: "set-worker-state", worker_id: workerAt(one.worker), boot_id: `b${one.boot}`, state };
    }
    case "drain":
      return { type: "drain-worker", worker_id: workerAt(one.worker) };
    case "remove":
      return { type: "remove-worker", worker_id: workerAt(one.worker) };
    case "event": {
      const body = `{"n":${one.body}}`;
      const key =
        one.key === undefined ? {} : { client_key: { scope: "e", key: `k${one.key}`, digest: body } };
      return { type: "append-event", kind: "Kind", body, ...key };
    }
    case "operate": {
      const ttl_ms = TTLS_MS[one.ttl] ?? 0;
      const late = one.late ? { not_after: machine.time - one.payload } : {};
      return putOperation(`o${one.operation}`, { payload: `{"n":${one.payload}}`, ttl_ms, ...late });
    }
  }
}

/** Different for each entry of the log. */
function nonceOf(machine: Machine): string {
  return machine.log.length.toString(16).padStart(16, "0");
}

function workerAt(at: number): string {
  return WORKERS[at % WORKERS.length] ?? WORKERS[0];
}

/** One of the leases ever granted: mostly a current one, so that histories get somewhere. */
function leaseAt(machine: Machine, pick: number): { readonly lease_id: string; readonly worker_id: string } {
  const tasks = machine.tasks();
  const current = tasks.flatMap(({ status, attempts }) =>
    status === "assigned" || status === "in_progress" ? attempts.slice(-1) : [],
  );
  const leases = pick % 3 > 0 && current.length > 0 ? current : tasks.flatMap(({ attempts }) => attempts);
  return leases[pick % Math.max(1, leases.length)] ?? { lease_id: "t0.1", worker_id: WORKERS[0] };
}

function heldBy(
  machine: Machine,
  one: { readonly lease: number; readonly stranger: boolean },
): { lease_id: string; worker_id: string } {
  const { lease_id, worker_id } = leaseAt(machine, one.lease);
  // Now and then somebody else speaks for it.
  return { lease_id, worker_id: one.stranger && one.lease % 4 === 0 ? "stranger" : worker_id };
}
