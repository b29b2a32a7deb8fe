/**
 * Requests that nobody should send: made from the contract's own schemas and then spoiled, and of raw bytes. Each must be
 * answered as the contract says, and one that is refused must leave the state as it was. Seeded: a finding can be had again.
 */
import fc from "fast-check";
import { openApi } from "../../src/router/openapi.ts";
import { routes } from "../../src/router/table.ts";
import type { Cluster } from "./harness.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export interface HostileRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Statuses that the route declares; absent where there is no route. */
  readonly declared?: ReadonlySet<number>;
}

const document = openApi(routes) as unknown as Document;

/** Values that have broken somebody's parser before. */
const NASTY: readonly unknown[] = [
  null,
  true,
  "",
  " ",
  "\u0000",
  "../../etc/passwd",
  "'; DROP TABLE log; --",
  "__proto__",
  "\ud800",
  "é́‮",
  "0x",
  "0x123...",
  "x".repeat(70_000),
  -1,
  0.5,
  1e308,
  -0,
  Number.MAX_SAFE_INTEGER + 2,
  21888242871839275222246405745257275088548364400416034343698204186575808495617n.toString(),
  [],
  {},
  [[[[[[[[[[]]]]]]]]]],
  { __proto__: null, constructor: 1, toString: 2 },
  Array.from({ length: 2_000 }, () => 1),
  Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}`, at])),
];
const nasty = fc.constantFrom(...NASTY);

function oneString({ pattern, format }: Schema): fc.Arbitrary<unknown> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time") return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  // One new member is enough: a group of thirty would be slow for reasons of its own.
  if (pattern !== undefined && new RegExp(pattern).test("coordinator-4") && !new RegExp(pattern).test("w"))
    return fc.constantFrom("coordinator-2", "coordinator-4");
  if (pattern !== undefined) {
    try {
      return fc.stringMatching(new RegExp(pattern));
    } catch {
      return fc.string();
    }
  }
  return fc.oneof(fc.string(), fc.nat(1_000_000).map(String));
}

/** Values that fit the schema, as far as a schema says it. */
function fitting(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  const name = schema.$ref?.split("/").at(-1);
  if (name !== undefined) return fitting(document.components.schemas[name] ?? {}, depth + 1);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((each) => fitting(each, depth + 1)));
  if (schema.allOf !== undefined) {
    return fc
      .tuple(...schema.allOf.map((each) => fitting(each, depth + 1)))
      .map((parts) => Object.assign({}, ...(parts as object[])) as unknown);
  }
  const [type] = [schema.type].flat();
  switch (type) {
    case "string":
      return oneString(schema);
    case "integer":
      return fc.integer({
        min: Math.max(schema.minimum ?? -1_000, -(2 ** 31)),
        max: Math.min(schema.maximum ?? 1_000, 2 ** 31 - 1),
      });
    case "number":
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(fitting(schema.items ?? {}, depth + 1), {
        minLength: schema.minItems ?? 0,
        maxLength: (schema.minItems ?? 0) + 3,
      });
    case "object": {
      const properties = Object.entries(schema.properties ?? {});
      const model = Object.fromEntries(
        properties.map(([field, each]) => [
          field,
          // Nobody wants to wait for a long poll here.
          field === "wait" ? fc.constant(0) : fitting(each, depth + 1),
        ]),
      );
      if (properties.length === 0)
        return fc.dictionary(fc.stringMatching(/^[A-Za-z_]\w{0,8}$/), fc.jsonValue({ maxDepth: 2 }), {
          maxKeys: 3,
        });
      const required = (schema.required ?? []).filter((field) => field in model);
      return fc.record(model, { requiredKeys: required });
    }
    default:
      return depth > 6 ? fc.constant(null) : fc.jsonValue({ maxDepth: 2 });
  }
}

/** The same with one field put wrong, left out or added. */
function spoiled(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(value, fc.nat(), nasty, fc.constantFrom("replace", "remove", "add", "whole"))
    .map(([given, at, wrong, how]) => {
      if (how === "whole" || typeof given !== "object" || given === null) return wrong;
      const copy: Record<string, unknown> = { ...(given as object) };
      const keys = Object.keys(copy);
      const key = keys[at % Math.max(1, keys.length)] ?? "extra";
      if (how === "remove") delete copy[key];
      else copy[how === "add" ? "extra" : key] = wrong;
      return copy;
    });
}

const HEADERS = fc.constantFrom<Readonly<Record<string, string>>>(
  {},
  {},
  {},
  { "content-type": "application/x-www-form-urlencoded" },
  { "idempotency-key": "same" },
  { "idempotency-key": "with space" },
  { prefer: "wait=0" },
  { "x-request-id": "x".repeat(300) },
  { "last-event-id": "-1" },
  { "if-none-match": "*" },
  { origin: "https://example.com" },
  { authorization: "Bearer nobody" },
  { "content-encoding": "gzip" },
);

const PREFIXES = fc.constantFrom(
  "",
  "",
  "",
  "/replicas/coordinator-1",
  "/replicas/coordinator-2",
  "/replicas/nobody",
);

const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => each as Uint8Array<ArrayBuffer>);

function bodyOf(operation: Operation): fc.Arbitrary<string | Uint8Array<ArrayBuffer>> {
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const json = schema === undefined ? fc.jsonValue({ maxDepth: 2 }) : fitting(schema);
  const text = (value: unknown) => JSON.stringify(value) ?? "null";
  return fc.oneof(
    { weight: 3, arbitrary: json.map(text) },
    { weight: 5, arbitrary: spoiled(json).map(text) },
    {
      weight: 1,
      arbitrary: fc.tuple(json.map(text), fc.nat()).map(([all, at]) => all.slice(0, at % (all.length + 1))),
    },
    { weight: 1, arbitrary: bytes },
    {
      weight: 1,
      arbitrary: fc.constantFrom("[".repeat(50_000), '{"a":'.repeat(20_000), "", "\ufeff{}", "NaN"),
    },
  );
}

const parameter = fc.oneof(
  fc.constantFrom("merkle", "w", "00000000-0000-4000-8000-000000000000", "coordinator-4", "a.1.0"),
  fc.uuid(),
  fc.string({ maxLength: 40 }),
);

function encoded(text: string): string {
  // As a whole segment these are taken out of the path before it is sent.
  if (text === "." || text === "..") return "x";
  try {
    return encodeURIComponent(text);
  } catch {
    return "%ED%A0%80";
  }
}

function fromRoute(path: string, method: string, operation: Operation): fc.Arbitrary<HostileRequest> {
  const given = operation.parameters ?? [];
  const query = given.filter((each) => each.in === "query");
  const declared = new Set(Object.keys(operation.responses).map(Number));
  const pairs = query.map(({ name, schema }) =>
    fc.option(
      fc
        .oneof(name === "wait" ? fc.constantFrom("0", "x", "26") : fitting(schema), nasty)
        .map(
          (value) =>
            `${name}=${encoded(typeof value === "string" ? value.slice(0, 200) : JSON.stringify(value).slice(0, 200))}`,
        ),
    ),
  );
  const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name);
  return fc
    .tuple(PREFIXES, fc.tuple(...names.map(() => parameter)), fc.tuple(...pairs), HEADERS, bodyOf(operation))
    .map(([prefix, values, search, headers, body]) => {
      let at = 0;
      const filled = path.replaceAll(/\{\w+\}/g, () => encoded(values[at++] || "x"));
      const asked = search.filter((each) => each !== null);
      const all = `${prefix}${filled}${asked.length === 0 ? "" : `?${asked.join("&")}`}`;
      return { method, path: all, headers, declared, ...(method === "GET" ? {} : { body }) };
    });
}

const anyRoute = fc.oneof(
  ...Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => fromRoute(path, method.toUpperCase(), operation)),
  ),
);

const anywhere: fc.Arbitrary<HostileRequest> = fc
  .tuple(
    fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS"),
    fc.array(
      fc.oneof(
        fc.constantFrom("api", "v1", "tasks", "events", "replicas", "..", "peer", "propose", "%"),
        fc.webSegment(),
      ),
      { maxLength: 6 },
    ),
    bytes,
    HEADERS,
  )
  .map(([method, segments, body, headers]) => ({
    method,
    path: `/${segments.map((segment) => (segment === "%" ? "%zz" : segment)).join("/")}`,
    headers,
    ...(method === "GET" ? {} : { body }),
  }));

export function hostileRequests(seed: number, count: number): readonly HostileRequest[] {
  const all = fc.oneof({ weight: 9, arbitrary: anyRoute }, { weight: 1, arbitrary: anywhere });
  return fc.sample(all, { seed, numRuns: count });
}

/** What a refused request must not change. What time alone changes is left out. */
async function stateOf(cluster: Cluster, until: number): Promise<string> {
  const read = (path: string) =>
    cluster.json<{ items: readonly Record<string, unknown>[] }>(`${path}?limit=500`);
  const [tasks, workers, operations, status, group] = await Promise.all([
    read("/api/v1/tasks"),
    read("/api/v1/workers"),
    read("/api/v1/operations"),
    cluster.json("/status"),
    cluster.json<{ members: readonly Record<string, unknown>[] }>("/api/v1/cluster"),
  ]);
  return JSON.stringify([
    tasks.body.items.map(({ task_id, attempts_spent, losses, attempt, worker_id, priority, tags }) => [
      task_id,
      attempts_spent,
      losses,
      attempt,
      worker_id,
      priority,
      tags,
    ]),
    workers.body.items,
    // What is kept for a short time only is forgotten with the next entry of the log, whatever that is.
    operations.body.items.filter(({ expires_at }) => Date.parse(String(expires_at)) > until),
    status.body.event_count,
    // Who leads is not theirs: an election changes it at any time.
    group.body.members.map(({ node_id, incarnation, role }) => [node_id, incarnation, role === "learner"]),
  ]);
}

const HONEST: ReadonlySet<unknown> = new Set([
  "no-leader",
  "overloaded",
  "commit-outcome-unknown",
  "replica-unreachable",
  "not-available",
  "transfer-failed",
]);

/** A refusal that is itself the outcome, which the contract keeps: a failed operation, a spent attempt. */
const OUTCOMES: ReadonlySet<unknown> = new Set(["operation-failed", "proof-invalid"]);

export interface Findings {
  /** How many requests had each status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
}

const HOUR_MS = 3_600_000;

/** Where two texts part, with a little before it. */
function difference(before: string, after: string): string {
  let at = 0;
  while (at < before.length && before[at] === after[at]) at++;
  const shown = (text: string): string => text.slice(Math.max(0, at - 100), at + 200);
  return `${shown(before)} became ${shown(after)}`;
}

/** Sends them one after the other. Whoever answered wrongly, or changed what it refused to change, is a finding. */
export async function sendAll(cluster: Cluster, requests: readonly HostileRequest[]): Promise<Findings> {
  const statuses: Record<string, number> = {};
  const findings: string[] = [];
  const until = Date.now() + HOUR_MS;
  let before = await stateOf(cluster, until);
  for (const [at, request] of requests.entries()) {
    const { method, path, headers, body, declared } = request;
    const shown = `#${at} ${method} ${path.slice(0, 200)} ${JSON.stringify(headers)} ${typeof body === "string" ? body.slice(0, 200) : body === undefined ? "" : Buffer.from(body).toString("base64")}`;
    const response = await fetch(`${cluster.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      redirect: "manual",
    });
    const text = await response.text();
    const { status } = response;
    statuses[status] = (statuses[status] ?? 0) + 1;
    const problem = response.headers.get("content-type") === "application/problem+json";
    const code = problem ? (JSON.parse(text) as { code?: unknown }).code : undefined;
    if (status >= 500 && !HONEST.has(code)) findings.push(`${shown}: ${status} ${text.slice(0, 300)}`);
    if (status >= 400 && !problem) findings.push(`${shown}: ${status} is no problem: ${text.slice(0, 300)}`);
    if (declared !== undefined && !declared.has(status))
      findings.push(`${shown}: ${status} ${String(code)} is not declared`);
    // Whatever a read that succeeded might have changed is seen at the next refusal.
    if (method === "GET" && status < 400) continue;
    const after = await stateOf(cluster, until);
    if (status >= 400 && status !== 504 && !OUTCOMES.has(code) && after !== before)
      findings.push(
        `${shown}: refused with ${status} ${String(code)}, and the state changed: ${difference(before, after)}`,
      );
    before = after;
  }
  return { statuses, findings };
}
