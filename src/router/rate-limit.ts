/**
 * How often one token, or one address, may ask: token buckets in the memory of this isolate. The platform runs as many
 * isolates as it likes and shares nothing between them, so the limit that a client meets is this one times the isolates
 * that serve it: enough to stop one client from taking everything, no exact quota.
 */
import type { Configuration } from "../api/configuration.ts";
import { type Problem, problem } from "../api/problem.ts";
import { isLoopback } from "./authentication.ts";

/** Where no variable says otherwise, on a host that is not loopback. */
export const RATE_PER_S_DEFAULT = 500;
/** Seconds of the rate that may be saved up. */
const BURST_S = 2;
/** The least recently seen are forgotten: they would be full again soon. */
const BUCKETS_MAX = 10_000;

interface Bucket {
  tokens: number;
  /** When `tokens` was true. */
  at: number;
}

export class RateLimit {
  readonly #per_s: number;
  readonly #burst: number;
  /** The least recently seen first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(per_s: number, burst = per_s * BURST_S) {
    this.#per_s = per_s;
    this.#burst = burst;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one request from the bucket of `who`; gives the milliseconds until there is one to take, 0 if it was. */
  take(who: string, now: number): number {
    const bucket = this.#buckets.get(who) ?? { tokens: this.#burst, at: now };
    const earned = (Math.max(0, now - bucket.at) / 1_000) * this.#per_s;
    bucket.tokens = Math.min(this.#burst, bucket.tokens + earned);
    bucket.at = now;
    this.#buckets.delete(who);
    this.#buckets.set(who, bucket);
    this.#forget();
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - bucket.tokens) / this.#per_s) * 1_000);
  }

  #forget(): void {
    if (this.#buckets.size <= BUCKETS_MAX) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

/** Of an IPv6 address the network counts: one client has 2^64 addresses in it. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":");
  if (tail === undefined) return groups.slice(0, 4).join(":");
  const filled = [...groups, ...Array<string>(8).fill("0")];
  return filled.slice(0, 4).join(":");
}

/** Who is asking, as the platform saw it; nothing where no platform stands in front. */
export function addressOf(request: Request): string | undefined {
  const address = request.headers.get("cf-connecting-ip");
  return address === null ? undefined : networkOf(address.trim());
}

const limits = new WeakMap<Configuration, RateLimit>();

function limitOf(configuration: Configuration, request: Request): RateLimit | undefined {
  const { rate_limit_per_s, rate_limit_burst } = configuration;
  if (rate_limit_per_s === undefined && isLoopback(new URL(request.url).hostname)) return undefined;
  const known = limits.get(configuration);
  if (known !== undefined) return known;
  const limit = new RateLimit(rate_limit_per_s ?? RATE_PER_S_DEFAULT, rate_limit_burst);
  limits.set(configuration, limit);
  return limit;
}

/** A 429 for whoever asks too often. `what` is "address" or "token". */
export function rateProblem(
  { request, configuration }: { readonly request: Request; readonly configuration: Configuration },
  what: "address" | "token",
  who: string,
): Problem | undefined {
  const limit = limitOf(configuration, request);
  const retry_after_ms = limit?.take(`${what} ${who}`, Date.now()) ?? 0;
  if (retry_after_ms === 0) return undefined;
  const detail = `too many requests with this ${what}: nothing was done, go on more slowly`;
  return problem("rate-limited", detail, { retry_after_ms });
}
