/**
 * The load generator that drives every system alike: a closed loop of so many connections, each of which sends its next
 * request when it has the answer to the last one. What is counted was acknowledged within the time.
 */
import { createHistogram } from "node:perf_hooks";
import { Pool } from "undici";

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  /** Not counted. */
  readonly warmup_seconds?: number;
}

export interface Measured {
  readonly per_second: number;
  readonly mean_ms: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly count: number;
}

/** One request of one connection; resolves when it is acknowledged, rejects when it is not. */
export type Send = (connection: number) => Promise<void>;

export async function drive(
  send: Send,
  { connections, seconds, warmup_seconds = 1 }: Load,
): Promise<Measured> {
  const begins = performance.now() + warmup_seconds * 1000;
  const counted = new Counted(begins, begins + seconds * 1000);
  const loop = async (connection: number): Promise<void> => {
    for (;;) {
      const sent = performance.now();
      if (sent >= counted.ends) return;
      await send(connection);
      counted.answered(sent, performance.now());
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, connection) => loop(connection)));
  return counted.measured();
}

/**
 * An open loop: so many requests a second become due, whatever becomes of those before. What waits for a connection is
 * slow, not absent: latency counts from when a request was due.
 */
export async function paced(
  send: Send,
  { connections, seconds, per_second, warmup_seconds = 1 }: Load & { readonly per_second: number },
): Promise<Measured> {
  const started = performance.now();
  const begins = started + warmup_seconds * 1000;
  const counted = new Counted(begins, begins + seconds * 1000);
  let next = 0;
  const loop = async (connection: number): Promise<void> => {
    for (;;) {
      const due = started + (next++ * 1000) / per_second;
      if (due >= counted.ends || performance.now() >= counted.ends) return;
      const early_ms = due - performance.now();
      if (early_ms > 0) await new Promise((resolve) => setTimeout(resolve, early_ms));
      await send(connection);
      counted.answered(due, performance.now());
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, connection) => loop(connection)));
  return counted.measured();
}

/** What was sent and acknowledged between two moments. */
class Counted {
  readonly ends: number;
  readonly #begins: number;
  readonly #histogram = createHistogram();
  #count = 0;

  constructor(begins: number, ends: number) {
    this.#begins = begins;
    this.ends = ends;
  }

  answered(sent: number, answered: number): void {
    if (sent < this.#begins || answered > this.ends) return;
    this.#count++;
    this.#histogram.record(Math.max(1, Math.round((answered - sent) * 1000)));
  }

  measured(): Measured {
    const seconds = (this.ends - this.#begins) / 1000;
    if (this.#count === 0) throw new Error(`nothing was acknowledged within ${seconds} s`);
    const ms = (percentile: number): number => this.#histogram.percentile(percentile) / 1000;
    return {
      per_second: this.#count / seconds,
      mean_ms: this.#histogram.mean / 1000,
      p50_ms: ms(50),
      p95_ms: ms(95),
      p99_ms: ms(99),
      count: this.#count,
    };
  }
}

export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Http {
  readonly url: string;
  /** The parsed answer; anything but a 2xx is an error with the status and the text in it. */
  post<Body = unknown>(path: string, body: unknown): Promise<Body>;
  put<Body = unknown>(path: string, body: unknown): Promise<Body>;
  get<Body = unknown>(path: string): Promise<Body>;
  close(): Promise<void>;
}

/** Keeps so many connections open and never has two requests on one of them. */
export function httpTo(url: string, connections: number): Http {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const ask = async <Body>(method: "GET" | "POST" | "PUT", path: string, body?: string): Promise<Body> => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await pool.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
    const text = await response.body.text();
    if (response.statusCode < 200 || response.statusCode > 299) {
      throw new HttpError(response.statusCode, `${method} ${url}${path}: ${response.statusCode} ${text}`);
    }
    return (text === "" ? undefined : JSON.parse(text)) as Body;
  };
  return {
    url,
    post: (path, body) => ask("POST", path, JSON.stringify(body)),
    put: (path, body) => ask("PUT", path, JSON.stringify(body)),
    get: (path) => ask("GET", path),
    close: () => pool.close(),
  };
}
