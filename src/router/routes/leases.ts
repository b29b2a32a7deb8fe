/**
 * How a lease ends. A proof is verified here, against our own key and the statement that the task carries since its
 * submission; what is proposed then is checked again on apply.
 */
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { endedStatuses } from "../../api/tasks.ts";
import { validate } from "../../api/validation.ts";
import { type CompletionRequest, completion, failure, release } from "../../api/workers.ts";
import type { CompleteLease } from "../../coordinator/commands.ts";
import { circuitsOf } from "../../proofs/index.ts";
import { type LeaseStanding, newNonce } from "../../replica/rpc.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../body.ts";
import type { Cluster } from "../cluster.ts";
import { answer, type Handled, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/leases.ts";
import { canonicalJson, sha256Hex } from "../digest.ts";
import { tooBusy } from "../gate.ts";
import { type KnownLease, knownLeases } from "../known-leases.ts";
import { renderOffers } from "../offers.ts";
import { command, expectOutcome, refusal } from "../requests.ts";
import { verify } from "../verification.ts";

type Standing = KnownLease & Partial<LeaseStanding>;

/** A leader's own state will do, since apply decides; but what it does not know yet is asked with a round. */
async function readLease(cluster: Cluster, lease_id: string): Promise<Result<Standing | null>> {
  const known = knownLeases.take(lease_id);
  if (known !== undefined) return { ok: true, value: known };
  const query = { type: "lease", lease_id } as const;
  const first = await cluster.read(query, "leader");
  if (!first.ok || first.value.result !== null) {
    return first.ok ? { ok: true, value: first.value.result } : first;
  }
  const second = await cluster.read(query, "linearizable");
  return second.ok ? { ok: true, value: second.value.result } : second;
}

/** Who asks for more without saying which process it is gets nothing, and its proof counts all the same. */
function asked(next: CompletionRequest["next"]): Pick<CompleteLease, "next"> {
  if (next === undefined || next.max === 0 || next.boot_id === undefined) return {};
  return { next: { max: next.max, boot_id: next.boot_id, nonce: newNonce() } };
}

function leaseId(context: RequestContext): string {
  return context.params.lease_id ?? "";
}

type Judged =
  | { readonly type: "valid"; readonly proof_digest: string }
  | { readonly type: "invalid"; readonly reason: string }
  | { readonly type: "problem"; readonly problem: Problem };

/** Whether a proof is one of this task. Through a lease that has completed it, only the proof itself still counts. */
async function judge(
  context: RequestContext,
  task: Standing,
  { proof, public_inputs }: Pick<CompletionRequest, "proof" | "public_inputs">,
): Promise<Judged> {
  const circuit = circuitsOf(context.configuration).get(task.circuit);
  if (circuit === undefined) {
    const detail = `this version of the router cannot verify proofs of ${task.circuit}`;
    return { type: "problem", problem: problem("not-available", detail) };
  }
  const signals = task.outcome === "completed" ? task.public_inputs : public_inputs;
  const expected = task.public_inputs;
  const verified = await verify(circuit, proof, { given: signals, expected }, context.cluster.deadline);
  if (verified.type === "too-busy") return { type: "problem", problem: tooBusy("verifications") };
  const verdict = verified.value;
  if (!verdict.valid) return { type: "invalid", reason: verdict.reason };
  // What is no proof may be of any size and depth: only what was found to be one is written down canonically.
  return { type: "valid", proof_digest: await sha256Hex(canonicalJson(proof)) };
}

async function complete(context: RequestContext): Promise<Handled> {
  const lease_id = leaseId(context);
  const body = await readJson(context.request);
  if (!body.ok) return body.problem;
  const request = validate(completion, body.value);
  if (!request.ok) return request.problem;
  const { worker_id, proof, public_inputs, next } = request.value;

  const lease = await readLease(context.cluster, lease_id);
  if (!lease.ok) return lease.problem;
  if (lease.value === null) return problem("lease-unknown", `there is no lease ${lease_id}`);
  const task = lease.value;
  if (task.worker_id !== worker_id) {
    return problem("lease-superseded", `lease ${lease_id} was not granted to worker ${worker_id}`);
  }
  const accepted = task.outcome === "completed";
  if (!accepted && task.status !== undefined && endedStatuses.has(task.status)) {
    return problem("lease-superseded", `task ${task.task_id} is ${task.status} and takes no proof any more`);
  }
  const judged = await judge(context, task, { proof, public_inputs });
  if (judged.type === "problem") return judged.problem;
  if (judged.type === "invalid" && !accepted) {
    return reject(context, { lease_id, worker_id, reason: judged.reason });
  }
  if (judged.type === "invalid" || (accepted && judged.proof_digest !== task.proof_digest)) {
    const detail = `task ${task.task_id} was completed through this lease with another proof`;
    return problem("proof-mismatch", detail);
  }
  const { proof_digest } = judged;
  const applied = await context.cluster.propose(
    command({ type: "complete-lease", lease_id, worker_id, proof, proof_digest, ...asked(next) }),
  );
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "completed");
  if (outcome.type === "refused") return refusal(outcome);
  return answer(context, 200, {
    status: "completed",
    task_id: outcome.task_id,
    ...(outcome.duplicate ? { duplicate: true } : {}),
    ...(outcome.accepted_late ? { accepted_late: true } : {}),
    leases: renderOffers(worker_id, outcome.leases, context.configuration.lease_ms),
  });
}

/** Spends the attempt if the lease is current. */
async function reject(
  context: RequestContext,
  found: { readonly lease_id: string; readonly worker_id: string; readonly reason: string },
): Promise<Handled> {
  const applied = await context.cluster.propose(command({ type: "reject-proof", ...found }));
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "attempt-ended");
  if (outcome.type === "refused") return refusal(outcome);
  return problem("proof-invalid", `the proof is not accepted: ${found.reason}`);
}

async function fail(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(failure, body.value);
  if (!request.ok) return request.problem;
  return end(context, { type: "fail-lease", lease_id: leaseId(context), ...request.value });
}

async function giveBack(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(release, body.value);
  if (!request.ok) return request.problem;
  return end(context, { type: "release-lease", lease_id: leaseId(context), ...request.value });
}

async function end(context: RequestContext, body: Parameters<typeof command>[0]): Promise<Handled> {
  const applied = await context.cluster.propose(command(body));
  if (!applied.ok) return applied.problem;
  const outcome = expectOutcome(applied.value.outcome, "attempt-ended");
  if (outcome.type === "refused") return refusal(outcome);
  return answer(context, 200, { task_id: outcome.task_id, status: outcome.status });
}

export const leaseRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/leases/:lease_id/complete",
    access: "prover",
    declares: declared.completeLease,
    handle: complete,
  },
  {
    method: "POST",
    path: "/api/v1/leases/:lease_id/fail",
    access: "prover",
    declares: declared.failLease,
    handle: fail,
  },
  {
    method: "POST",
    path: "/api/v1/leases/:lease_id/release",
    access: "prover",
    declares: declared.releaseLease,
    handle: giveBack,
  },
];
