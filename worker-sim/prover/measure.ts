// `node worker-sim/prover/measure.ts [threads] [proofs]`: what proving costs here without any cluster, and what the
// coordinator's share of it costs in Node and in workerd. The figures of docs/proofs.md come from it.

import { availableParallelism, cpus } from "node:os";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Log, LogLevel, Miniflare } from "miniflare";
import { taskContext } from "../../src/proofs/context.ts";
import { atOnce, circuits, newBlinding } from "../../src/proofs/index.ts";
import { sampleOf } from "../../test/proofs/samples.ts";
import { createProver, type Proved } from "./index.ts";

const PROOFS_OF_EACH = 7;

const [threads = availableParallelism(), proofs = 20] = process.argv.slice(2).map(Number);
const circuit = circuits.get("merkle");
if (circuit === undefined) throw new Error("no merkle circuit");
const merkle = circuit;

function task(leafCount: number) {
  const leaves = Array.from({ length: leafCount }, () => newBlinding().slice(0, 60));
  const input = merkle.canonical({ leaves, leaf_index: leafCount - 1 });
  return { task_id: crypto.randomUUID(), input, blinding: newBlinding() };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function report(what: string, figure: number, unit: string): void {
  console.log(`${what.padEnd(52)} ${figure.toFixed(2).padStart(9)} ${unit}`);
}

/** Everything a prover can be asked for, in one thread: how long each takes, and what it costs to have all of them loaded. */
async function measureCircuits(): Promise<void> {
  const prover = createProver({ threads: 1 });
  for (const circuit of circuits.values()) {
    const prove = async () => {
      const task_id = crypto.randomUUID();
      const input = circuit.canonical(sampleOf(circuit.name));
      const context = taskContext(circuit.name, circuit.vk_hash, task_id);
      const lease = { ...input, blinding: newBlinding(), context };
      return prover.prove({ circuit: circuit.name, task_id, input: lease });
    };
    await prove();
    const proved = [];
    for (let i = 0; i < PROOFS_OF_EACH; i++) proved.push(await prove());
    const median_ms = median(proved.map(({ duration_ms }) => duration_ms));
    report(`${circuit.name}: witness and proof, median of ${PROOFS_OF_EACH}`, median_ms, "ms");
    report(`memory of the process, one thread, up to ${circuit.name}`, process.memoryUsage().rss / 1e6, "MB");
  }
  await prover.close();
}

async function measureProver(): Promise<Proved & { readonly task: ReturnType<typeof task> }> {
  const prover = createProver({ threads });
  const prove = async () => {
    const each = task(2);
    const context = atOnce(merkle.statement(each)).public_inputs[2];
    const input = { ...each.input, blinding: each.blinding, context };
    return { task: each, ...(await prover.prove({ circuit: "merkle", task_id: each.task_id, input })) };
  };
  await Promise.all(Array.from({ length: threads }, prove));
  const began_ms = performance.now();
  const proved = await Promise.all(Array.from({ length: proofs }, prove));
  const seconds = (performance.now() - began_ms) / 1000;
  report(
    `witness and proof, median of ${proofs}`,
    median(proved.map(({ duration_ms }) => duration_ms)),
    "ms",
  );
  report(`throughput, ${threads} threads`, proofs / seconds, "proofs/s");
  report("memory of the process", process.memoryUsage().rss / 1e6, "MB");
  await prover.close();
  const [first] = proved;
  if (first === undefined) throw new Error("nothing was proved");
  return first;
}

const COORDINATOR = `
  import { atOnce, circuits } from "./src/proofs/index.ts";
  import poseidonModule from "./src/proofs/poseidon/poseidon.wasm";
  import { installPoseidon } from "./src/proofs/poseidon/poseidon.ts";
  const merkle = circuits.get("merkle");
  export function run({ action, times, task, proof, public_inputs }) {
    for (let i = 0; i < times; i++) {
      if (action === "install") installPoseidon(poseidonModule);
      else if (action === "statement") atOnce(merkle.statement(task));
      else if (!merkle.verify(proof, public_inputs, public_inputs).valid) throw new Error("refused");
    }
  }
  export default {
    async fetch(request) {
      run(await request.json());
      return new Response();
    },
  };
`;

type Run = (job: object) => void | Promise<void>;

async function measureCoordinator(
  where: string,
  run: Run,
  proved: Awaited<ReturnType<typeof measureProver>>,
) {
  /** The best of several batches: what it costs where nothing else runs. */
  const timed = async (times: number, job: object, batches = 8) => {
    let best_ms = Number.POSITIVE_INFINITY;
    for (let batch = 0; batch < batches; batch++) {
      const began_ms = performance.now();
      await run({ ...job, times });
      best_ms = Math.min(best_ms, (performance.now() - began_ms) / times);
    }
    return best_ms;
  };
  const verification = { action: "verify", proof: proved.proof, public_inputs: proved.public_inputs };
  report(`${where}: first verification, key prepared`, await timed(1, verification, 1), "ms");
  report(`${where}: verification`, await timed(20, verification), "ms");
  for (const how of ["poseidon-lite", "WebAssembly"]) {
    if (how === "WebAssembly") await run({ action: "install", times: 1 });
    for (const [leaves, times] of [
      [1, 50],
      [1000, 1],
    ] as const) {
      const statement = { action: "statement", task: task(leaves) };
      report(`${where}, ${how}: statement over ${leaves} leaves`, await timed(times, statement), "ms");
    }
  }
}

async function inWorkerd(): Promise<{ readonly run: Run; readonly stop: () => Promise<void> }> {
  const resolveDir = fileURLToPath(new URL("../../", import.meta.url));
  const stdin = { contents: COORDINATOR, resolveDir, loader: "js" as const };
  const { outputFiles } = await build({
    stdin,
    bundle: true,
    format: "esm",
    target: "es2024",
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    outdir: "/",
    write: false,
  });
  const modules = Object.fromEntries(
    outputFiles.map(({ path, text, contents }) =>
      path.endsWith(".wasm")
        ? [basename(path), { type: "wasm" as const, contents }]
        : ["worker.js", { type: "esm" as const, contents: text }],
    ),
  );
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    log: new Log(LogLevel.NONE),
    telemetry: { enabled: false },
    workers: [
      {
        config: {
          name: "measured",
          compatibilityDate: "2026-11-01",
          manifest: { mainModule: "worker.js", modulesRoot: "/", modules },
        },
      },
    ],
  });
  await miniflare.ready;
  const run: Run = async (job) => {
    const response = await miniflare.dispatchFetch("http://localhost/", {
      method: "POST",
      body: JSON.stringify(job),
    });
    if (!response.ok) throw new Error(await response.text());
  };
  return { run, stop: () => miniflare.dispose() };
}

console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}`);
await measureCircuits();
const proved = await measureProver();
const { run, stop } = await inWorkerd();
await measureCoordinator("workerd", run, proved);
await stop();
