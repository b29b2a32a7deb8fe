/** Counts of this isolate's own requests, as Prometheus text. */

interface RouteCount {
  requests: number;
  seconds: number;
}

const counts = new Map<string, RouteCount>();

function label(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** `route` is the pattern of the path, of which there are few; `-` for paths without a route. */
export function countRequest(method: string, route: string, status: number, duration_ms: number): void {
  const labels = `method=${label(method)},route=${label(route)},status="${status}"`;
  const count = counts.get(labels) ?? { requests: 0, seconds: 0 };
  count.requests += 1;
  count.seconds += duration_ms / 1_000;
  counts.set(labels, count);
}

export function httpMetrics(): string {
  const lines = [
    "# HELP http_requests_total Requests answered by this router isolate.",
    "# TYPE http_requests_total counter",
    ...[...counts].map(([labels, { requests }]) => `http_requests_total{${labels}} ${requests}`),
    "# HELP http_request_duration_seconds Time from request to answer.",
    "# TYPE http_request_duration_seconds summary",
    ...[...counts].flatMap(([labels, { requests, seconds }]) => [
      `http_request_duration_seconds_sum{${labels}} ${seconds.toFixed(3)}`,
      `http_request_duration_seconds_count{${labels}} ${requests}`,
    ]),
  ];
  return `${lines.join("\n")}\n`;
}
