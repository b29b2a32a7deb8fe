/**
 * Where the time of the one thread goes that runs router and replicas here: workerd's own CPU profile under a load.
 *
 *     npx node bench/profile.ts [single|latency|batch|life] [--seconds 8] [--save profile.cpuprofile]
 *
 * Prints the rate and, by function, the share of the samples in which it ran, idle included.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { drive, type Http, httpTo, type Send } from "./generator.ts";
import { Inspector } from "./inspector.ts";
import { vkHash } from "./sections/life.ts";
import { freePort, startWorkerd } from "./workerd.ts";
import { live, submitBatch, submitNoop } from "./workloads.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "8" },
    save: { type: "string" },
    replicas: { type: "string", default: "3" },
  },
});

interface Workload {
  readonly connections: number;
  /** For so many seconds; says what was done in them. */
  readonly run: (http: Http, seconds: number) => Promise<string>;
}

function driven(connections: number, send: (http: Http) => Send): Workload {
  return {
    connections,
    async run(http, seconds) {
      const measured = await drive(send(http), { connections, seconds, warmup_seconds: 0 });
      return `${measured.per_second.toFixed(0)}/s p50 ${measured.p50_ms} ms p99 ${measured.p99_ms} ms`;
    },
  };
}

const WORKLOADS: Readonly<Record<string, Workload>> = {
  single: driven(32, submitNoop),
  latency: driven(1, submitNoop),
  batch: driven(16, (http) => submitBatch(http, 100)),
  life: {
    connections: 64,
    async run(http, seconds) {
      const vk_hash = await vkHash(http.url);
      const { per_second } = await live(http, { provers: 4, slots: 12, seconds, vk_hash });
      return `${per_second.toFixed(0)} lives/s`;
    },
  },
};

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
}

/** Share of the samples by function: alone, and with all that it calls. */
function shares({ nodes, samples }: Profile): readonly (readonly [string, number, number])[] {
  const alone = new Map<number, number>();
  for (const id of samples) alone.set(id, (alone.get(id) ?? 0) + 1);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const self = new Map<string, number>();
  const total = new Map<string, number>();
  const nameOf = ({ callFrame }: ProfileNode): string =>
    `${callFrame.functionName || "(anonymous)"}:${callFrame.lineNumber + 1}`;
  const walk = (node: ProfileNode, above: ReadonlySet<string>): number => {
    const name = nameOf(node);
    const own = alone.get(node.id) ?? 0;
    const within = new Set(above).add(name);
    let all = own;
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) all += walk(child, within);
    }
    self.set(name, (self.get(name) ?? 0) + own);
    if (!above.has(name)) total.set(name, (total.get(name) ?? 0) + all);
    return all;
  };
  const [root] = nodes;
  if (root !== undefined) walk(root, new Set());
  return [...self]
    .map(([name, own]) => [name, own / samples.length, (total.get(name) ?? 0) / samples.length] as const)
    .sort(([, a], [, b]) => b - a);
}

const [name = "single"] = positionals;
const workload = WORKLOADS[name];
if (workload === undefined)
  throw new Error(`there is no workload ${name}; there are ${Object.keys(WORKLOADS)}`);
const inspectorPort = await freePort();
const workerd = await startWorkerd({ BENCH: "on", REPLICAS: flags.replicas, MAX_BACKLOG: "10000000" }, [
  `--inspector-addr=127.0.0.1:${inspectorPort}`,
]);
try {
  while ((await fetch(`${workerd.url}/readyz`)).status !== 200) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const http = httpTo(workerd.url, workload.connections);
  await workload.run(http, 2);
  const inspector = await Inspector.open(inspectorPort);
  await inspector.ask("Profiler.enable");
  await inspector.ask("Profiler.setSamplingInterval", { interval: 200 });
  await inspector.ask("Profiler.start");
  const measured = await workload.run(http, Number(flags.seconds));
  const { profile } = await inspector.ask<{ readonly profile: Profile }>("Profiler.stop");
  inspector.close();
  await http.close();
  if (flags.save !== undefined) await writeFile(flags.save, JSON.stringify(profile));
  console.log(`${name}: ${measured}`);
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(8);
  console.log("    self    total  function:line of the bundle");
  for (const [name, own, all] of shares(profile).filter(([, own, all]) => own >= 0.005 || all >= 0.03)) {
    console.log(`${percent(own)} ${percent(all)}  ${name}`);
  }
} finally {
  await workerd.close();
}
