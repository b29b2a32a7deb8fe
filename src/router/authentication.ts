/** Who asks. Without a secret the API is open on a loopback host and closed anywhere else, never open by accident. */
import type { Configuration, Role, TokenEntry } from "../api/configuration.ts";
import { type Problem, problem } from "../api/problem.ts";
import type { Route } from "./context.ts";
import type { Access } from "./declaration.ts";
import { sha256Hex } from "./digest.ts";

export type Authenticated =
  /** No role where the host is open: then everything may be called. */
  | { readonly ok: true; readonly token: string; readonly role?: Role }
  | { readonly ok: false; readonly problem: Problem };

export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** Takes the same time wherever the two differ. */
function equalDigests(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

function unauthorized(detail: string, challenge: string): Authenticated {
  const headers = { "www-authenticate": challenge };
  return { ok: false, problem: problem("unauthorized", detail, { headers }) };
}

/** Looks at every entry, so that the time tells nothing about which one it was. */
async function entryOf(token: string, entries: readonly TokenEntry[]): Promise<TokenEntry | undefined> {
  const digest = await sha256Hex(token);
  let found: TokenEntry | undefined;
  for (const entry of entries) {
    if (equalDigests(digest, entry.sha256)) found = entry;
  }
  return found;
}

export async function authenticate(
  request: Request,
  hostname: string,
  configuration: Configuration,
): Promise<Authenticated> {
  const { tokens } = configuration;
  if (tokens === undefined) {
    if (isLoopback(hostname)) return { ok: true, token: "-" };
    const detail =
      "this deployment has no tokens: set the secret TROIKA_TOKENS (wrangler secret put TROIKA_TOKENS)";
    return { ok: false, problem: problem("not-configured", detail) };
  }
  const header = request.headers.get("authorization");
  if (header === null) {
    return unauthorized("send a token as Authorization: Bearer …", 'Bearer realm="troika"');
  }
  const [, token] = /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(header) ?? [];
  const entry = token === undefined ? undefined : await entryOf(token, tokens);
  if (entry === undefined) {
    return unauthorized("the token is not known here", 'Bearer realm="troika", error="invalid_token"');
  }
  return { ok: true, token: entry.name, role: entry.role };
}

/** An operator may what the others may: he could make himself their tokens. */
export function mayCall(access: Access, role: Role | undefined): boolean {
  return (
    role === undefined || access === "open" || access === "any" || access === role || role === "operator"
  );
}

/** Names what is needed, and what there was. */
export function roleProblem(
  { method, path, access }: Pick<Route, "method" | "path" | "access">,
  { token, role }: { readonly token: string; readonly role?: Role },
): Problem | undefined {
  if (mayCall(access, role)) return undefined;
  const needed = access === "operator" ? "operator" : `${access} or operator`;
  const detail = `${method} ${path} needs a token with the role ${needed}; the token ${token} has the role ${role}`;
  return problem("role-not-allowed", detail);
}
