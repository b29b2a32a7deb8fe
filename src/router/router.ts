/**
 * The stateless Worker: finds the route, asks who calls, and turns whatever comes of it into an answer with the
 * headers that every answer has. Every route exists twice, at the root and under `/replicas/{id}`.
 */
import { Router } from "itty-router";
import { type Configuration, ConfigurationError, parseConfiguration } from "../api/configuration.ts";
import { log } from "../api/log.ts";
import { type Problem, problem, problemReply } from "../api/problem.ts";
import type { ReplicaName } from "../replica/rpc.ts";
import { authenticate, roleProblem } from "./authentication.ts";
import { discardBody } from "./body.ts";
import { Cluster } from "./cluster.ts";
import type { Handled, RequestContext, Route } from "./context.ts";
import { countRequest } from "./http-metrics.ts";
import { corsHeaders, originProblem } from "./origin.ts";
import { addressOf as clientAddressOf, rateProblem } from "./rate-limit.ts";
import { routes } from "./table.ts";
import type { Transport } from "./transport.ts";

interface Match {
  readonly route: Route;
  /** Parts of the path, as they stand in it. */
  readonly params: Readonly<Record<string, string>>;
}

/** The library makes the patterns. Its way of asking them takes an address apart anew, and costs more than the answer. */
const patterns = Router();
for (const { method, path } of routes) patterns[method.toLowerCase()]?.(path, () => undefined);
const table = patterns.routes.map(([method, pattern], at) => ({
  method,
  pattern,
  route: routes[at] as Route,
}));

function matching(method: string, path: string): Match | undefined {
  for (const { method: of, pattern, route } of table) {
    const found = of === method ? pattern.exec(path) : null;
    if (found !== null) return { route, params: found.groups ?? {} };
  }
  return undefined;
}

function allowedMethods(path: string): readonly string[] {
  const methods = new Set(table.flatMap(({ method, pattern }) => (pattern.test(path) ? [method] : [])));
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods];
}

interface Address {
  /** The replica whose own route this is. */
  readonly own?: ReplicaName;
  readonly path: string;
}

function addressOf(pathname: string): Address {
  const [, own, path] = /^\/replicas\/([^/]+)(\/.*)?$/.exec(pathname) ?? [];
  return own === undefined ? { path: pathname } : { own, path: path ?? "/" };
}

function requestId(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\x20-\x7e]{1,128}$/.test(given) ? given : crypto.randomUUID();
}

/** The id of a lease is for its holder alone: of it, the log shows task and number. */
function loggedPath(path: string): string {
  return path.replace(/(\/leases\/[^/.%]*(?:\.\d+)?)[^/]*/, "$1");
}

function decoded(params: Match["params"]): Readonly<Record<string, string>> | undefined {
  try {
    return Object.fromEntries(
      Object.entries(params).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
  } catch {
    return undefined;
  }
}

export interface RouterOptions {
  readonly env: Record<string, unknown>;
  /** Made once per request. */
  readonly transport: (configuration: Configuration) => Transport;
  /** The script of the page at `/docs`: a text of the bundle, which only the entry can import. */
  readonly viewer: string;
}

interface Dispatched {
  readonly result: Handled;
  /** The pattern that matched, for counting. */
  readonly route: string;
  /** Name of the token. */
  readonly token: string;
}

async function dispatch(
  request: Request,
  url: URL,
  request_id: string,
  options: RouterOptions,
): Promise<Dispatched> {
  const configuration = parseConfiguration(options.env);
  const { own, path } = addressOf(url.pathname);
  const fail = (failure: Problem, route = "-", token = "-"): Dispatched => ({
    result: failure,
    route,
    token,
  });

  const client = clientAddressOf(request);
  // Before anything else: whoever guesses tokens is slowed down too.
  const hurried =
    client === undefined ? undefined : rateProblem({ request, configuration }, "address", client);
  if (hurried !== undefined) return fail(hurried);
  const foreign = originProblem(request, configuration);
  if (foreign !== undefined) return fail(foreign);
  const method = request.method === "HEAD" ? "GET" : request.method;
  const match = matching(method, path);
  if (match === undefined) {
    const allowed = allowedMethods(path);
    if (allowed.length === 0) return fail(problem("not-found", `there is nothing at ${url.pathname}`));
    const detail = `${url.pathname} takes ${allowed.join(", ")}, not ${request.method}`;
    return fail(problem("method-not-allowed", detail, { headers: { allow: allowed.join(", ") } }));
  }
  const { route } = match;
  const name = own === undefined ? route.path : `/replicas/:id${route.path}`;
  const authenticated =
    route.access === "open"
      ? { ok: true as const, token: "-" }
      : await authenticate(request, url.hostname, configuration);
  if (!authenticated.ok) return fail(authenticated.problem, name);
  const { token } = authenticated;
  const refused =
    roleProblem(route, authenticated) ??
    (token === "-" ? undefined : rateProblem({ request, configuration }, "token", token));
  if (refused !== undefined) return fail(refused, name, token);
  const params = decoded(match.params);
  if (params === undefined)
    return fail(problem("invalid-request", "the path is not valid percent-encoding"), name, token);

  const cluster = new Cluster({
    configuration,
    transport: options.transport(configuration),
    request_id,
    own,
    reads: route.method === "GET",
  });
  if (own !== undefined && !(await cluster.knows(own))) {
    return fail(
      problem("replica-unknown", `there is no replica ${own}; there are ${cluster.names.join(", ")}`),
    );
  }
  if (route.access !== "open") cluster.create();
  const context: RequestContext = {
    request,
    request_id,
    configuration,
    cluster,
    own,
    params,
    // Of one that is given twice the last counts.
    query: url.search === "" ? {} : Object.fromEntries(url.searchParams),
    token,
    viewer: options.viewer,
  };
  const result = await route.handle(context);
  // A stopped replica refuses everything on its own routes, also what the router could answer without it.
  if (own !== undefined && route.passesStop !== true && !cluster.ownAsked) {
    const alive = await cluster.observe(own, "leadership");
    if (!alive.ok) return fail(alive.problem, name, token);
  }
  return { result, route: name, token };
}

function unexpected(error: unknown, request_id: string): Problem {
  if (error instanceof ConfigurationError) return problem("misconfigured", error.message);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log({ level: "error", replica: "router", request_id, message: "unexpected error", error: text });
  return problem(
    "internal",
    "something went wrong here that should not have; the request id leads to it in the logs",
  );
}

/** Undefined where it is not readable: then nothing is answered but that. */
function readable({ env }: RouterOptions): Configuration | undefined {
  try {
    return parseConfiguration(env);
  } catch {
    return undefined;
  }
}

/** Answers one request. Never rejects. */
export async function route(request: Request, options: RouterOptions): Promise<Response> {
  const started = Date.now();
  const request_id = requestId(request);
  const url = new URL(request.url);
  const instance = url.pathname;
  const configuration = readable(options);
  const forPages = configuration === undefined ? {} : corsHeaders(request, configuration);
  if (request.method === "OPTIONS") {
    return new Response(null, {
      status: 204,
      headers: { ...forPages, "x-request-id": request_id },
    });
  }
  const {
    result,
    route: name,
    token,
  } = await dispatch(request, url, request_id, options).catch(
    (error: unknown): Dispatched => ({ result: unexpected(error, request_id), route: "-", token: "-" }),
  );
  await discardBody(request).catch(() => undefined);
  const sent =
    result instanceof Response || "body" in result ? result : problemReply(result, { instance, request_id });
  const { status } = sent;
  const ms = Date.now() - started;
  countRequest(request.method, name, status, ms);
  if (status >= 400 || configuration?.request_log !== "failed") {
    const whose = { replica: "router", request_id, token: token === "-" ? undefined : token };
    log({ ...whose, method: request.method, path: loggedPath(instance), status, ms });
  }
  // A socket is the platform's from here on.
  if (sent instanceof Response && status === 101) return sent;
  const headers = { ...forPages, "x-request-id": request_id };
  const silent = request.method === "HEAD";
  if (!(sent instanceof Response)) {
    return new Response(silent ? null : sent.body, { status, headers: { ...sent.headers, ...headers } });
  }
  if (silent) await sent.body?.cancel();
  const response = silent ? new Response(null, sent) : sent;
  for (const [header, value] of Object.entries(headers)) response.headers.set(header, value);
  return response;
}
