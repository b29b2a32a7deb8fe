/** What replicas say of themselves, at the router and on their own routes, and the faults of a local cluster. */
import { fault, type Health } from "../../api/cluster.ts";
import { type Problem, problem, type Result } from "../../api/problem.ts";
import { validate } from "../../api/validation.ts";
import type { Observe } from "../../replica/rpc.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../body.ts";
import { answer, type Handled, plain, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/cluster.ts";
import { httpMetrics } from "../http-metrics.ts";

/** On its own routes the replica's; else the leader's, and without one that of any replica that answers. */
export async function observe<Value>(context: RequestContext, what: Observe["what"]): Promise<Result<Value>> {
  const { cluster, own } = context;
  if (own !== undefined) return cluster.observe<Value>(own, what);
  const found = await cluster.leadership();
  const order =
    found === undefined
      ? cluster.names
      : [found.leads ? found.name : (found.leader ?? found.name), found.name];
  let failure: Problem | undefined;
  for (const name of new Set([...order, ...cluster.names])) {
    const view = await cluster.observe<Value>(name, what);
    if (view.ok) return view;
    failure = view.problem;
  }
  return { ok: false, problem: failure ?? problem("no-leader", "no replica answers") };
}

async function health(context: RequestContext): Promise<Handled> {
  const view = await observe<Health>(context, "health");
  if (view.ok) {
    const unhealthy = view.value.status === "unhealthy";
    // A replica answers 200 unless it is stopped; the router speaks for the cluster.
    return plain(unhealthy && context.own === undefined ? 503 : 200, view.value);
  }
  if (context.own !== undefined) return view.problem;
  return plain(503, { status: "unhealthy", reason: `no replica answers: ${view.problem.detail}` });
}

async function status(context: RequestContext): Promise<Handled> {
  const view = await observe<object>(context, "status");
  return view.ok ? plain(200, view.value) : view.problem;
}

async function metrics(context: RequestContext): Promise<Handled> {
  const view = await observe<string>(context, "metrics");
  if (!view.ok) return view.problem;
  const text = view.value.endsWith("\n") ? view.value : `${view.value}\n`;
  const own = context.own === undefined ? httpMetrics() : "";
  return new Response(text + own, {
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
  });
}

/** Ready means that a write could commit now, whichever replica is asked. */
async function ready(context: RequestContext): Promise<Handled> {
  const found = await context.cluster.leadership();
  if (found?.asleep === true) {
    const { leader = found.name, term } = found;
    return answer(context, 200, { ready: true, leader, term, asleep: true });
  }
  if (found?.ready === true)
    return answer(context, 200, { ready: true, leader: found.name, term: found.term });
  const detail =
    found?.leads === true ? `${found.name} leads, but without a majority yet` : "there is no leader";
  return problem("no-leader", `a write could not commit now: ${detail}`, { extra: { ready: false } });
}

function root(context: RequestContext): Handled {
  const { version } = context.configuration;
  return answer(context, 200, { service: "troika", version, endpoints: endpoints() });
}

function endpoints(): readonly string[] {
  return [
    "/health",
    "/readyz",
    "/status",
    "/metrics",
    "/events",
    "/api/v1/operations",
    "/api/v1/tasks",
    "/api/v1/workers",
    "/api/v1/circuits",
    "/api/v1/cluster",
    "/replicas/{id}/health",
    "/openapi.json",
    "/docs",
  ];
}

async function injectFault(context: RequestContext): Promise<Handled> {
  const replica = context.params.replica ?? "";
  if (!context.configuration.faults)
    return problem("not-found", "there is nothing here: fault routes are off");
  if (!(await context.cluster.knows(replica))) {
    return problem(
      "replica-unknown",
      `there is no replica ${replica}; there are ${context.cluster.names.join(", ")}`,
    );
  }
  const body = await readJson(context.request, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return body.problem;
  const request = validate(fault, body.value);
  if (!request.ok) return request.problem;
  const { action, delay_ms = 0, drop_rate = 0 } = request.value;
  const done = await context.cluster.fault(
    replica,
    action === "degrade" ? { action, delay_ms, drop_rate } : { action },
  );
  if (!done.ok) return done.problem;
  return answer(context, 200, { success: true, replica, action, state: done.value });
}

export const clusterRoutes: readonly Route[] = [
  { method: "GET", path: "/", access: "open", declares: declared.getRoot, handle: root },
  {
    method: "GET",
    path: "/livez",
    access: "open",
    declares: declared.getLive,
    handle: (context) => answer(context, 200, { status: "alive" }),
  },
  { method: "GET", path: "/readyz", access: "open", declares: declared.getReady, handle: ready },
  { method: "GET", path: "/health", access: "open", declares: declared.getHealth, handle: health },
  { method: "GET", path: "/status", access: "any", declares: declared.getStatus, handle: status },
  { method: "GET", path: "/metrics", access: "any", declares: declared.getMetrics, handle: metrics },
  {
    method: "POST",
    path: "/api/v1/faults/:replica",
    access: "operator",
    declares: declared.injectFault,
    passesStop: true,
    handle: injectFault,
  },
];
