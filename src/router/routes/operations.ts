/** Operations: put under an id of their sender's, looked up, listed, exported. */
import { LIST_LIMIT_DEFAULT } from "../../api/fields.ts";
import {
  operationId,
  operationListParameters,
  operationParameters,
  operationReadParameters,
  operationSubmission,
} from "../../api/operations.ts";
import { problem, type Result } from "../../api/problem.ts";
import { renderOperation, renderStanding } from "../../api/render.ts";
import { pathPart, validate } from "../../api/validation.ts";
import type { PutOperation } from "../../coordinator/commands.ts";
import { compactJson, ITEM_BYTES_MAX, invalidBody, readJson } from "../body.ts";
import {
  answer,
  answerText,
  type Handled,
  type RequestContext,
  type Route,
  streamedAnswer,
} from "../context.ts";
import * as declared from "../declarations/operations.ts";
import { canonicalJson, sha256Hex } from "../digest.ts";
import { command, expectOutcome, readHeaders, refusal, replayHeader, statedWaitMs } from "../requests.ts";

function idOf(context: RequestContext): Result<string> {
  return validate(operationId, context.params.operation_id, pathPart("operation_id"));
}

/** When its sender no longer wants it, if the request says so. */
function lastMoment(timestamp: number | string | undefined, ttl_ms: number | undefined) {
  if (timestamp === undefined || ttl_ms === undefined) return {};
  return { not_after: (typeof timestamp === "number" ? timestamp : Date.parse(timestamp)) + ttl_ms };
}

async function operationFrom(
  context: RequestContext,
  operation_id: string,
): Promise<Result<Omit<PutOperation, "v" | "id">>> {
  const body = await readJson(context.request, ITEM_BYTES_MAX);
  if (!body.ok) return body;
  const submitted = validate(operationSubmission, body.value);
  if (!submitted.ok) return submitted;
  const { type, daemon_id, timestamp, schema_version, ttl_ms } = submitted.value;
  const select = (value: unknown): unknown => (value as { readonly payload: unknown }).payload;
  const payload = compactJson(body.bytes, select);
  const canonical = compactJson(body.bytes, select, canonicalJson);
  if (payload === undefined || canonical === undefined) return invalidBody("payload is nested too deeply");
  const operation = {
    operation_id,
    type,
    payload,
    payload_bytes: new TextEncoder().encode(payload).byteLength,
    digest: await sha256Hex(`${type}\n${canonical}`),
    schema_version,
    ...(daemon_id === undefined ? {} : { daemon_id }),
    ...(timestamp === undefined ? {} : { timestamp }),
  };
  const kept_ms = ttl_ms ?? context.configuration.operation_ttl_ms;
  const value = {
    type: "put-operation",
    operation,
    ttl_ms: kept_ms,
    ...lastMoment(timestamp, ttl_ms),
  } as const;
  return { ok: true, value };
}

async function put(context: RequestContext): Promise<Handled> {
  const id = idOf(context);
  if (!id.ok) return id.problem;
  const parameters = validate(operationParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const body = await operationFrom(context, id.value);
  if (!body.ok) return body.problem;
  const wait_ms = statedWaitMs(context, parameters.value.wait);
  const proposed = await context.cluster.proposeWithin(command(body.value), wait_ms);
  if (!proposed.ok) return proposed.problem;
  if (proposed.value.type === "appended") {
    const { index, term, replicated } = proposed.value;
    const state = replicated === true ? "REPLICATED" : "PENDING";
    return answer(context, 202, renderStanding({ operation_id: id.value, state, log_index: index, term }));
  }
  const outcome = expectOutcome(proposed.value.outcome, "operation-applied");
  if (outcome.type === "refused") return refusal(outcome);
  const standing = renderStanding(outcome);
  if (outcome.state === "FAILED") {
    const detail = `operation ${id.value} failed: ${outcome.error}`;
    return problem("operation-failed", detail, { extra: standing });
  }
  return answer(context, 200, standing, replayHeader(outcome.log_index !== proposed.value.index));
}

async function get(context: RequestContext): Promise<Handled> {
  const id = idOf(context);
  if (!id.ok) return id.problem;
  const parameters = validate(operationReadParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const query = { type: "operation", operation_id: id.value } as const;
  const read = await context.cluster.read(query, parameters.value.consistency);
  if (!read.ok) return read.problem;
  const { result } = read.value;
  if (result === null) {
    const detail = `no operation ${id.value} is known; if it was put, putting it again is harmless`;
    return problem("operation-not-found", detail);
  }
  return answerText(context, renderOperation(result), readHeaders(read.value));
}

async function list(context: RequestContext): Promise<Handled> {
  const parameters = validate(operationListParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const { consistency, state, after, limit = LIST_LIMIT_DEFAULT } = parameters.value;
  const query = { type: "operations", after, limit, ...(state === undefined ? {} : { state }) } as const;
  const read = await context.cluster.read(query, consistency);
  if (!read.ok) return read.problem;
  const { items, next_cursor } = read.value.result;
  const cursor = next_cursor === undefined ? "" : `,"next_cursor":${JSON.stringify(next_cursor)}`;
  const text = `{"items":[${items.map(renderOperation).join(",")}]${cursor}}`;
  return answerText(context, text, readHeaders(read.value));
}

async function exportAll(context: RequestContext): Promise<Handled> {
  const parameters = validate(operationReadParameters, context.query);
  if (!parameters.ok) return parameters.problem;
  const read = await context.cluster.operations(parameters.value);
  return read.ok ? streamedAnswer(read.value) : read.problem;
}

export const operationRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/operations/export",
    access: "any",
    declares: declared.exportOperations,
    handle: exportAll,
  },
  {
    method: "GET",
    path: "/api/v1/operations",
    access: "any",
    declares: declared.listOperations,
    handle: list,
  },
  {
    method: "PUT",
    path: "/api/v1/operations/:operation_id",
    access: "submitter",
    declares: declared.putOperation,
    handle: put,
  },
  {
    method: "GET",
    path: "/api/v1/operations/:operation_id",
    access: "any",
    declares: declared.getOperation,
    handle: get,
  },
];
