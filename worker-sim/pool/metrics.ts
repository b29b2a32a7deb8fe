/**
 * What a pool measures, and where it says so: `/metrics` in Prometheus text on a port of its own, with the memory and CPU of
 * its process. The pool reports events; nothing here decides anything.
 */
import { createServer, type Server } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** A proof from a tenth of a second to a minute: what a circuit takes, and what a busy machine makes of it. */
const PROVING_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];
const DELIVERY_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How a lease ended for this pool. `late`: accepted although the lease was over; `refused`: the proof was not taken. */
export type LeaseOutcome = "completed" | "late" | "refused" | "failed" | "cancelled" | "lost" | "released";

export interface PoolMetrics {
  readonly proved: (circuit: string, seconds: number) => void;
  readonly delivered: (seconds: number) => void;
  readonly ended: (circuit: string, outcome: LeaseOutcome) => void;
  readonly registered: () => void;
  readonly heartbeat: (answered: boolean) => void;
  /** Prometheus text, and its content type. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
}

export interface PoolGauges {
  readonly slots: number;
  readonly threads: number;
  /** Leases held now, by what is being done about them. */
  readonly states: () => Readonly<Record<"waiting" | "proving" | "delivering", number>>;
}

/** Each pool has a registry of its own: several may live in one process. */
export function createPoolMetrics(): PoolMetrics & { readonly watch: (gauges: PoolGauges) => void } {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const proving = new Histogram({
    name: "troika_pool_proving_seconds",
    help: "Witness and proof in a thread, without the wait for one.",
    labelNames: ["circuit"],
    buckets: PROVING_S,
    registers,
  });
  const delivery = new Histogram({
    name: "troika_pool_delivery_seconds",
    help: "From a finished proof to the coordinator's definite answer.",
    buckets: DELIVERY_S,
    registers,
  });
  const leases = new Counter({
    name: "troika_pool_leases_ended_total",
    help: "Leases that ended here, by circuit and outcome.",
    labelNames: ["circuit", "outcome"],
    registers,
  });
  const registrations = new Counter({
    name: "troika_pool_registrations_total",
    help: "Times that the coordinator took this pool in.",
    registers,
  });
  const heartbeats = new Counter({
    name: "troika_pool_heartbeats_total",
    help: "Heartbeats, by whether they had an answer.",
    labelNames: ["answered"],
    registers,
  });
  return {
    proved: (circuit, seconds) => proving.observe({ circuit }, seconds),
    delivered: (seconds) => delivery.observe(seconds),
    ended: (circuit, outcome) => leases.inc({ circuit, outcome }),
    registered: () => registrations.inc(),
    heartbeat: (answered) => heartbeats.inc({ answered: String(answered) }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    watch({ slots, threads, states }) {
      new Gauge({ name: "troika_pool_slots", help: "Leases that this pool holds at most.", registers }).set(
        slots,
      );
      new Gauge({ name: "troika_pool_threads", help: "Proofs at the same time.", registers }).set(threads);
      new Gauge({
        name: "troika_pool_leases",
        help: "Leases held now: waiting for a thread, being proved, or being delivered.",
        labelNames: ["state"],
        registers,
        collect() {
          for (const [state, count] of Object.entries(states())) this.set({ state }, count);
        },
      });
    },
  };
}

/** Serves `GET /metrics`. Rejects when the port cannot be had; port 0 takes any, which the server's address names. */
export function serveMetrics(metrics: PoolMetrics, port: number, host: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://pool");
    if (pathname !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(pathname === "/metrics" ? 405 : 404, { "content-type": "text/plain" });
      response.end(pathname === "/metrics" ? "GET it\n" : "only /metrics is here\n");
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      // Nobody who scrapes holds up the pool's end.
      server.unref();
      resolve(server);
    });
  });
}
