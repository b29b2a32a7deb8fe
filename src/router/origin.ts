/**
 * Which pages may talk to us. With tokens any page may: it has to have one. Without tokens, on a loopback host,
 * everything that reaches the port is trusted, and every page that is open in a browser on this machine reaches it. So
 * only pages of this machine are answered there, and no other page may write.
 */
import type { Configuration } from "../api/configuration.ts";
import { type Problem, problem } from "../api/problem.ts";
import { isLoopback } from "./authentication.ts";

const EXPOSED = "x-request-id, x-cache, location, retry-after, idempotency-replayed, x-raft-applied-index";

const PREFLIGHT: Readonly<Record<string, string>> = {
  "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
  "access-control-allow-headers":
    "authorization, content-type, idempotency-key, prefer, x-request-id, last-event-id",
  "access-control-max-age": "86400",
};

type Page = "any" | "none" | "local" | "foreign";

function pageOf(request: Request, { tokens }: Pick<Configuration, "tokens">): Page {
  if (tokens !== undefined) return "any";
  const origin = request.headers.get("origin");
  if (origin === null) return "none";
  const { hostname } = URL.parse(origin) ?? {};
  return hostname !== undefined && isLoopback(hostname) ? "local" : "foreign";
}

/** Headers that let a page read the answer. */
export function corsHeaders(
  request: Request,
  configuration: Pick<Configuration, "tokens">,
): Readonly<Record<string, string>> {
  const page = pageOf(request, configuration);
  const vary = page === "any" ? {} : { vary: "origin" };
  if (page === "foreign") return vary;
  const origin = page === "local" ? (request.headers.get("origin") ?? "") : "*";
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED,
    ...(request.method === "OPTIONS" ? PREFLIGHT : {}),
    ...vary,
  };
}

/** A page can have a browser send a simple POST without asking first: that is no preflight's business to stop. */
export function originProblem(
  request: Request,
  configuration: Pick<Configuration, "tokens">,
): Problem | undefined {
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  if (pageOf(request, configuration) !== "foreign") return undefined;
  const detail = `pages of ${request.headers.get("origin")} may not write here: no tokens are configured, so only pages of this machine may`;
  return problem("origin-not-allowed", detail);
}
