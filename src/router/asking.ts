/** Questions to one replica, which nobody else can answer in its place: what it says of itself, and what is done to it alone. */
import { type Problem, problem, type Result } from "../api/problem.ts";
import type { Answer, Fault, ReplicaName } from "../replica/rpc.ts";
import { type AttemptResult, startAttempt } from "./attempt.ts";
import type { Group } from "./group.ts";

const FAULT_RETRY_PAUSE_MS = 50;

interface Question {
  readonly path: string;
  readonly body: object;
  readonly request_id: string;
  readonly timeout_ms: number;
  /** Where it is to run, if it is asked for the first time ever. */
  readonly location_hint?: string | undefined;
}

export function stoppedProblem(replica: ReplicaName): Problem {
  return problem(
    "replica-stopped",
    `${replica} was stopped by an operator; start it, or ask another replica`,
  );
}

export function unreachableProblem(replica: ReplicaName, detail: string): Problem {
  return problem("replica-unreachable", `${replica} does not answer (${detail})`);
}

/** Asks once. Never rejects. */
export function askOnce(
  { transport }: Pick<Group, "transport">,
  replica: ReplicaName,
  { path, body, request_id, timeout_ms, location_hint }: Question,
): Promise<AttemptResult> {
  return startAttempt(transport, replica, {
    path,
    body: JSON.stringify(body),
    request_id,
    timeout_ms,
    location_hint,
  }).result;
}

/** The answer, or in words why there is none. */
export async function ask<Value>(
  group: Pick<Group, "transport">,
  replica: ReplicaName,
  question: Question,
): Promise<Result<Value>> {
  const answer = await askOnce(group, replica, question);
  switch (answer.type) {
    case "answer":
      return { ok: true, value: (answer.value as Answer<Value>).result };
    case "stopped":
      return { ok: false, problem: stoppedProblem(replica) };
    case "broken":
      return { ok: false, problem: unreachableProblem(replica, answer.detail) };
    case "unavailable":
      return { ok: false, problem: problem(answer.code, answer.detail) };
    default:
      return { ok: false, problem: unreachableProblem(replica, `it answers ${answer.type}`) };
  }
}

/** Repeated until the replica confirms it. A reset destroys whoever would confirm it. */
export async function setFault(
  group: Pick<Group, "transport">,
  replica: ReplicaName,
  fault: Fault,
  { request_id, deadline }: { readonly request_id: string; readonly deadline: number },
): Promise<Result<unknown>> {
  for (;;) {
    const timeout_ms = Math.max(1, deadline - Date.now());
    const answer = await askOnce(group, replica, { path: "/fault", body: fault, request_id, timeout_ms });
    if (answer.type === "answer") return { ok: true, value: (answer.value as Answer).result };
    if (fault.action === "reset" && answer.type === "broken") return { ok: true, value: {} };
    const detail = answer.type === "broken" ? answer.detail : `it answers ${answer.type}`;
    if (Date.now() + FAULT_RETRY_PAUSE_MS >= deadline) {
      return { ok: false, problem: unreachableProblem(replica, detail) };
    }
    await new Promise((resolve) => setTimeout(resolve, FAULT_RETRY_PAUSE_MS));
  }
}
