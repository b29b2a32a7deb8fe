/** Prometheus text, format 0.0.4. */
import { Histogram } from "./histogram.ts";

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [value: number, labels?: Labels];
export type Plain = "gauge" | "counter";

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function line(name: string, labels: Labels, value: number | string): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}\n`;
}

function head(name: string, type: Plain | "histogram", help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

export function family(name: string, type: Plain, help: string, samples: readonly Sample[]): string {
  return head(name, type, help) + samples.map(([value, labels = {}]) => line(name, labels, value)).join("");
}

/** One histogram for each set of labels, in seconds. */
export function histograms(
  name: string,
  help: string,
  samples: Iterable<readonly [labels: Labels, latency: Histogram]>,
): string {
  const lines = Array.from(samples, ([labels, { buckets, count, sum_s }]) =>
    [
      ...buckets.map(([le, value]) => line(`${name}_bucket`, { ...labels, le }, value)),
      line(`${name}_sum`, labels, sum_s.toFixed(3)),
      line(`${name}_count`, labels, count),
    ].join(""),
  );
  return head(name, "histogram", help) + lines.join("");
}

export function histogram(name: string, help: string, labels: Labels, latency = new Histogram()): string {
  return histograms(name, help, [[labels, latency]]);
}
