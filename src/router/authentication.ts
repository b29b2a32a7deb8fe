/** Who asks. Without a secret the API is open on a loopback host and closed anywhere else, never open by accident. */
import type { Configuration, TokenEntry } from "../api/configuration.ts";
import { type Problem, problem } from "../api/problem.ts";
import { sha256Hex } from "./digest.ts";

export type Authenticated =
  | { readonly ok: true; readonly token: string }
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

export async function authenticate(request: Request, configuration: Configuration): Promise<Authenticated> {
  const { tokens } = configuration;
  if (tokens === undefined) {
    if (isLoopback(new URL(request.url).hostname)) return { ok: true, token: "-" };
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
  return { ok: true, token: entry.name };
}
