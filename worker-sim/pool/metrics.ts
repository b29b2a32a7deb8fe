/** What a pool says of itself to Prometheus: its process, its threads, and what became of the leases that it was given. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Histogram } from "../../src/api/histogram.ts";
import { family, histograms } from "../../src/api/prometheus.ts";

/** `taken`: the proof was accepted. `refused`: it was not. `failed`: there was none. `returned`: given back unproved. */
export const outcomes = ["taken", "refused", "failed", "returned"] as const;
export type Outcome = (typeof outcomes)[number];

/** Upper bounds in ms: from the smallest circuit to one that takes a quarter of an hour. */
const PROVING_BOUNDS_MS = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000];

export class PoolMetrics {
  readonly #ended = new Map<Outcome, number>(outcomes.map((outcome) => [outcome, 0]));
  readonly #proving = new Map<string, Histogram>();

  ended(outcome: Outcome): void {
    this.#ended.set(outcome, (this.#ended.get(outcome) ?? 0) + 1);
  }

  proved(circuit: string, duration_ms: number): void {
    let histogram = this.#proving.get(circuit);
    if (histogram === undefined) {
      histogram = new Histogram(PROVING_BOUNDS_MS);
      this.#proving.set(circuit, histogram);
    }
    histogram.observe(duration_ms);
  }

  render(pool: { readonly held: number; readonly slots: number }): string {
    const { rss } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return [
      family("process_resident_memory_bytes", "gauge", "Memory of the process, threads included.", [[rss]]),
      family("process_cpu_seconds_total", "counter", "Time that the process has had on all cores.", [
        [(user + system) / 1e6],
      ]),
      family("process_start_time_seconds", "gauge", "When the process began, in seconds since 1970.", [
        [Math.round(Date.now() / 1_000 - process.uptime())],
      ]),
      family("troika_pool_slots", "gauge", "Leases that the pool may hold.", [[pool.slots]]),
      family("troika_pool_leases", "gauge", "Leases that the pool holds.", [[pool.held]]),
      family(
        "troika_pool_leases_ended_total",
        "counter",
        "Leases by what became of them.",
        Array.from(this.#ended, ([outcome, count]) => [count, { outcome }]),
      ),
      histograms(
        "troika_pool_proving_seconds",
        "Time a thread took for a proof.",
        Array.from(this.#proving, ([circuit, histogram]) => [{ circuit }, histogram]),
      ),
    ].join("");
  }
}

export interface MetricsServer {
  readonly port: number;
  close(): void;
}

/** `GET /metrics` on every interface; port 0 is any free one. Rejects where the port is taken. */
export async function serveMetrics(port: number, render: () => string): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => {
    if (request.method !== "GET" || request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(render());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  // Being scraped keeps nobody alive.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
