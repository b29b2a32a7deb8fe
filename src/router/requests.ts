/** Steps that several routes begin with. */
import { idempotencyKey, WAIT_S_MAX } from "../api/fields.ts";
import { type Problem, problem } from "../api/problem.ts";
import { header, validate } from "../api/validation.ts";
import type { ClientKey, Command, CommandBody } from "../coordinator/commands.ts";
import type { Outcome, RefusalCode, Refused } from "../coordinator/outcomes.ts";
import { versionOf } from "../coordinator/versions.ts";
import type { Answer } from "../replica/rpc.ts";
import { STREAM_HEADER } from "./attempt.ts";
import type { RequestContext } from "./context.ts";
import { sha256Hex } from "./digest.ts";

/** A command with its id, made once: the router's own repeats carry the same one. */
export function command(body: CommandBody): Command {
  return { v: versionOf(body.type), id: crypto.randomUUID(), ...body } as Command;
}

export type Keyed =
  | { readonly ok: true; readonly client_key?: ClientKey }
  | { readonly ok: false; readonly problem: Problem };

/** The idempotency key of a creating POST, scoped by token and route. */
export async function clientKey(context: RequestContext, route: string, bytes: Uint8Array): Promise<Keyed> {
  const given = context.request.headers.get("idempotency-key");
  if (given === null) return { ok: true };
  const key = validate(idempotencyKey, given, header("Idempotency-Key"));
  if (!key.ok) return key;
  const scope = `${context.token} ${route}`;
  return { ok: true, client_key: { scope, key: key.value, digest: await sha256Hex(bytes) } };
}

export function replayHeader(replayed: boolean): Readonly<Record<string, string>> {
  return replayed ? { "idempotency-replayed": "true" } : {};
}

/** How far the replica that answered had applied the log. */
export function readHeaders(read: Answer): Readonly<Record<string, string>> {
  return { [STREAM_HEADER]: String(read.applied_index) };
}

/** Milliseconds that the client is ready to wait: `?wait=` or `Prefer: wait=`, the parameter first; undefined if it says none. */
export function statedWaitMs(context: RequestContext, parameter: number | undefined): number | undefined {
  if (parameter !== undefined) return parameter * 1_000;
  const [, seconds] =
    /(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/i.exec(context.request.headers.get("prefer") ?? "") ?? [];
  return seconds === undefined ? undefined : Math.min(Number(seconds), WAIT_S_MAX) * 1_000;
}

/** The same where whoever says none does not wait. */
export function waitMs(context: RequestContext, parameter: number | undefined): number {
  return statedWaitMs(context, parameter) ?? 0;
}

/** Codes of the state machine are codes of the contract. */
export function refusal({ code, detail }: { readonly code: RefusalCode; readonly detail: string }): Problem {
  return problem(code, detail);
}

/** The outcome that a command of this kind must have. A refusal is left to the caller. */
export function expectOutcome<Type extends Outcome["type"]>(
  outcome: Outcome,
  type: Type,
): Extract<Outcome, { readonly type: Type }> | Refused {
  if (outcome.type === type || outcome.type === "refused") {
    return outcome as Extract<Outcome, { readonly type: Type }> | Refused;
  }
  throw new Error(`the state machine answered ${outcome.type} where ${type} was due`);
}

type Present<Fields> = { readonly [Name in keyof Fields]: Exclude<Fields[Name], undefined> };

/** Without the fields that have no value. */
export function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Present<Fields>;
}
