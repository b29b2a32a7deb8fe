/** Provers: registration, pulling, heartbeats, drain and removal. */
import { identifier, LIST_LIMIT_MAX } from "../../api/fields.ts";
import { problem, type Result } from "../../api/problem.ts";
import { renderWorker } from "../../api/render.ts";
import { pathPart, validate } from "../../api/validation.ts";
import {
  heartbeat,
  hintParameters,
  pull,
  registration,
  workerListParameters,
  workerParameters,
} from "../../api/workers.ts";
import { circuitsOf } from "../../proofs/index.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../body.ts";
import { answer, type Handled, NO_CONTENT, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/workers.ts";
import { renderOffers } from "../offers.ts";
import { command, expectOutcome, readHeaders, refusal } from "../requests.ts";

const HEARTBEATS_PER_LEASE = 3;

function workerId(context: RequestContext): Result<string> {
  return validate(identifier, context.params.worker_id, pathPart("worker_id"));
}

async function register(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const worker = validate(registration, body.value);
  if (!worker.ok) return worker.problem;
  // A prover with another key would only make proofs that fail here.
  const known = circuitsOf(context.configuration);
  const shared = worker.value.circuits.filter(({ name, vk_hash }) => known.get(name)?.vk_hash === vk_hash);
  const names = [...new Set(shared.map(({ name }) => name))];
  const applied = await context.cluster.propose(
    command({ type: "register-worker", worker: { ...worker.value, circuits: names } }),
  );
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "registered");
  if (outcome.type === "refused") return refusal(outcome);
  const { lease_ms } = context.configuration;
  return answer(context, outcome.created ? 201 : 200, {
    worker_id: worker.value.worker_id,
    lease_ms,
    heartbeat_interval_ms: Math.floor(lease_ms / HEARTBEATS_PER_LEASE),
    circuits: names,
    leases: renderOffers(worker.value.worker_id, outcome.leases, lease_ms),
  });
}

async function pullLeases(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(pull, body.value);
  if (!request.ok) return request.problem;
  const { boot_id, max, wait } = request.value;
  const applied = await context.cluster.pull({
    command_id: crypto.randomUUID(),
    worker_id: id.value,
    boot_id,
    max,
    wait_ms: Math.round(wait * 1_000),
  });
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "granted");
  if (outcome.type === "refused") return refusal(outcome);
  if (outcome.leases.length === 0) return NO_CONTENT;
  const { lease_ms } = context.configuration;
  return answer(context, 200, { leases: renderOffers(id.value, outcome.leases, lease_ms) });
}

async function hints(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const parameters = validate(hintParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  if (context.request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    const detail = "this address is for WebSockets; where they are not to be had, pull with wait";
    return problem("upgrade-required", detail, { headers: { upgrade: "websocket" } });
  }
  const opened = await context.cluster.hints({ worker_id: id.value, boot_id: parameters.value.boot_id });
  if (!opened.ok) return opened.problem;
  return opened.value instanceof Response ? opened.value : refusal(opened.value);
}

async function beat(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(heartbeat, body.value);
  if (!request.ok) return request.problem;
  const leases = request.value.leases.map(({ lease_id, progress }) =>
    progress === undefined ? { lease_id } : { lease_id, progress },
  );
  const beaten = await context.cluster.heartbeat({
    worker_id: id.value,
    boot_id: request.value.boot_id,
    leases,
  });
  if (!beaten.ok) return beaten.problem;
  if (beaten.value.type === "refused") return refusal(beaten.value);
  return answer(context, 200, beaten.value.result);
}

async function drain(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const applied = await context.cluster.propose(command({ type: "drain-worker", worker_id: id.value }));
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "done");
  if (outcome.type === "refused") return refusal(outcome);
  return answer(context, 200, { worker_id: id.value, draining: true });
}

async function remove(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const applied = await context.cluster.propose(command({ type: "remove-worker", worker_id: id.value }));
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "done");
  if (outcome.type === "refused") return refusal(outcome);
  return NO_CONTENT;
}

async function list(context: RequestContext): Promise<Handled> {
  const parameters = validate(workerListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, limit = LIST_LIMIT_MAX, cursor } = parameters.value;
  const query = { type: "workers", limit, ...(cursor === undefined ? {} : { cursor }) } as const;
  const read = await context.cluster.read(query, consistency);
  if (!read.ok) return read.problem;
  const { items, next_cursor } = read.value.result;
  const page = { items: items.map(renderWorker), ...(next_cursor === undefined ? {} : { next_cursor }) };
  return answer(context, 200, page, readHeaders(read.value));
}

async function get(context: RequestContext): Promise<Handled> {
  const id = workerId(context);
  if (!id.ok) return id.problem;
  const parameters = validate(workerParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency } = parameters.value;
  const read = await context.cluster.read({ type: "worker", worker_id: id.value }, consistency);
  if (!read.ok) return read.problem;
  if (read.value.result === null) return problem("worker-unknown", `worker ${id.value} is not registered`);
  return answer(context, 200, renderWorker(read.value.result), readHeaders(read.value));
}

export const workerRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/workers",
    access: "prover",
    declares: declared.registerWorker,
    handle: register,
  },
  { method: "GET", path: "/api/v1/workers", access: "any", declares: declared.listWorkers, handle: list },
  {
    method: "GET",
    path: "/api/v1/workers/:worker_id",
    access: "any",
    declares: declared.getWorker,
    handle: get,
  },
  {
    method: "DELETE",
    path: "/api/v1/workers/:worker_id",
    access: "prover",
    declares: declared.removeWorker,
    handle: remove,
  },
  {
    method: "POST",
    path: "/api/v1/workers/:worker_id/pull",
    access: "prover",
    declares: declared.pullLeases,
    handle: pullLeases,
  },
  {
    method: "GET",
    path: "/api/v1/workers/:worker_id/hints",
    access: "prover",
    declares: declared.waitForHints,
    handle: hints,
  },
  {
    method: "POST",
    path: "/api/v1/workers/:worker_id/heartbeat",
    access: "prover",
    declares: declared.beat,
    handle: beat,
  },
  {
    method: "POST",
    path: "/api/v1/workers/:worker_id/drain",
    access: "prover",
    declares: declared.drainWorker,
    handle: drain,
  },
];
