/** What this isolate counts of its own: requests, and proofs that it verified. */
import { Histogram } from "../api/histogram.ts";
import { family, histograms, type Labels } from "../api/prometheus.ts";

const requests = new Map<string, { readonly labels: Labels; count: number }>();
const durations = new Map<string, { readonly labels: Labels; readonly times: Histogram }>();
const verifications = new Map<string, { readonly labels: Labels; readonly times: Histogram }>();

/** Of labels there are few: route patterns, methods, statuses, circuits. */
function timesOf(
  all: Map<string, { readonly labels: Labels; readonly times: Histogram }>,
  labels: Labels,
): Histogram {
  const key = JSON.stringify(labels);
  const known = all.get(key) ?? { labels, times: new Histogram() };
  all.set(key, known);
  return known.times;
}

/** `route` is the pattern of the path; `-` for paths without a route. */
export function countRequest(given: string, route: string, status: number, duration_ms: number): void {
  // A method may be any word: of those without a route one is like the other.
  const method = route === "-" ? "-" : given;
  const labels = { method, route, status: String(status) };
  const key = JSON.stringify(labels);
  const known = requests.get(key) ?? { labels, count: 0 };
  known.count += 1;
  requests.set(key, known);
  timesOf(durations, { method, route }).observe(duration_ms);
}

export function countVerification(circuit: string, valid: boolean, duration_ms: number): void {
  timesOf(verifications, { circuit, valid: String(valid) }).observe(duration_ms);
}

function samples(all: ReadonlyMap<string, { readonly labels: Labels; readonly times: Histogram }>) {
  return Array.from(all.values(), ({ labels, times }) => [labels, times] as const);
}

export function httpMetrics(): string {
  return [
    family(
      "http_requests_total",
      "counter",
      "Requests answered by this router isolate.",
      Array.from(requests.values(), ({ labels, count }) => [count, labels] as const),
    ),
    histograms(
      "http_request_duration_seconds",
      "Time from request to answer, long polls included.",
      samples(durations),
    ),
    histograms(
      "troika_verification_seconds",
      "Verifying a proof, the wait for its turn included.",
      samples(verifications),
    ),
  ].join("");
}
