/**
 * The figures of docs/benchmarks.md beside etcd's and NATS's, all driven by the same generator in turn, several times:
 *
 *     npm run bench [-- --quick] [-- --json] [-- --only single,batch]
 *
 * A figure is the median of its rounds; its spread is the lowest and the highest. Ratios are made within each round.
 * Everything runs on this machine and on loopback; every program that was started is ended.
 */
import { parseArgs } from "node:util";
import { drive, type Http, httpTo, type Load, type Send } from "./generator.ts";
import { startEtcd } from "./peers/etcd.ts";
import { startNats } from "./peers/nats.ts";
import { startWorkerd } from "./workerd.ts";
import {
  live,
  publish,
  putMany,
  putOne,
  putOneByGrpc,
  submitBatch,
  submitMerkle,
  submitNoop,
} from "./workloads.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
  },
});
const rounds = flags.quick ? 3 : 5;
const seconds = flags.quick ? 3 : 8;
const only = flags.only?.split(",");

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly must?: number;
  readonly goal?: number;
  readonly samples: readonly number[];
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const round = (value: number): number => Number(value.toPrecision(3));

function report({ name, unit, better, must, goal, samples }: Figure): void {
  const value = round(median(samples));
  const spread = [round(Math.min(...samples)), round(Math.max(...samples))] as const;
  if (flags.json) {
    console.log(JSON.stringify({ name, unit, value, must, goal, better, spread }));
    return;
  }
  const met = must === undefined || (better === "higher" ? value >= must : value <= must);
  const due = must === undefined ? "" : `must ${must}, goal ${goal ?? "-"}${met ? "" : "  NOT MET"}`;
  console.log(
    `${name.padEnd(58)} ${String(value).padStart(8)} ${unit.padEnd(8)} [${spread.join(" … ")}]  ${due}`,
  );
}

const wanted = (section: string): boolean => only === undefined || only.includes(section);
const closers: (() => Promise<unknown>)[] = [];
async function keep<Opened extends { close(): Promise<unknown> }>(opening: Promise<Opened>): Promise<Opened> {
  const opened = await opening;
  closers.unshift(() => opened.close());
  return opened;
}

async function startTroika(replicas: number): Promise<string> {
  const workerd = await keep(
    startWorkerd({ BENCH: "on", REPLICAS: String(replicas), MAX_BACKLOG: "10000000" }),
  );
  while ((await fetch(`${workerd.url}/readyz`)).status !== 200) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return workerd.url;
}

/** One system under one load; opened for it alone, so that nobody keeps connections that he does not use. */
async function measure(open: () => { readonly send: Send; close(): Promise<unknown> }, load: Load) {
  const { send, close } = open();
  const measured = await drive(send, load);
  await close();
  return measured;
}

const over = (connection: Http, send: Send) => ({ send, close: () => connection.close() });

async function run(): Promise<void> {
  const troika = await startTroika(3);
  const peers = wanted("single") || wanted("latency") || wanted("batch");
  const etcd = peers ? await keep(startEtcd()) : undefined;
  const nats = peers && (wanted("single") || wanted("latency")) ? await keep(startNats()) : undefined;
  const ours = (connections: number, workload: (http: Http) => Send) => () => {
    const http = httpTo(troika, connections);
    return over(http, workload(http));
  };
  const theirs = (connections: number, workload: (http: Http) => Send) => () => {
    if (etcd === undefined) throw new Error("etcd was not started");
    const http = etcd.http(connections);
    return over(http, workload(http));
  };

  for (const [section, connections] of [
    ["single", 32],
    ["latency", 1],
  ] as const) {
    if (!wanted(section) || etcd === undefined || nats === undefined) continue;
    const load = { connections, seconds };
    const grpc = etcd.grpc();
    const clients = await nats.clients(Math.min(connections, 8));
    const figures = {
      troika: [] as { per_second: number; p50_ms: number }[],
      etcd: [] as { per_second: number; p50_ms: number }[],
      grpc: [] as { per_second: number; p50_ms: number }[],
      nats: [] as { per_second: number; p50_ms: number }[],
    };
    for (let at = 0; at < rounds; at++) {
      figures.troika.push(await measure(ours(connections, submitNoop), load));
      figures.etcd.push(await measure(theirs(connections, putOne), load));
      figures.grpc.push(await drive(putOneByGrpc(grpc), load));
      figures.nats.push(await drive(publish(clients.streams), load));
    }
    grpc.close();
    await clients.close();
    const pick = section === "single" ? "per_second" : "p50_ms";
    const unit = section === "single" ? "/s" : "ms";
    const better = section === "single" ? "higher" : "lower";
    const what = section === "single" ? "single submissions, 32 connections" : "one connection, p50";
    for (const [system, measured] of Object.entries(figures)) {
      report({ name: `${what}: ${system}`, unit, better, samples: measured.map((one) => one[pick]) });
    }
    const ratio = figures.troika.map((one, at) => one[pick] / (figures.etcd[at]?.[pick] ?? Number.NaN));
    report({
      name: `${what}, against etcd`,
      unit: "x",
      better,
      must: section === "single" ? 0.6 : 1.5,
      goal: 1,
      samples: ratio,
    });
  }

  if (wanted("batch") && etcd !== undefined) {
    const load = { connections: 16, seconds };
    const mine: number[] = [];
    const others: number[] = [];
    for (let at = 0; at < rounds; at++) {
      mine.push(
        100 *
          (
            await measure(
              ours(16, (http) => submitBatch(http, 100)),
              load,
            )
          ).per_second,
      );
      others.push(
        100 *
          (
            await measure(
              theirs(16, (http) => putMany(http, 100)),
              load,
            )
          ).per_second,
      );
    }
    report({
      name: "batches of 100, 16 connections: troika",
      unit: "tasks/s",
      better: "higher",
      samples: mine,
    });
    report({
      name: "batches of 100, 16 connections: etcd",
      unit: "puts/s",
      better: "higher",
      samples: others,
    });
    report({
      name: "batches of 100, 16 connections, against etcd",
      unit: "x",
      better: "higher",
      must: 2,
      goal: 4,
      samples: mine.map((value, at) => value / (others[at] ?? Number.NaN)),
    });
  }

  if (wanted("replicas")) {
    const alone = await startTroika(1);
    const ratios: number[] = [];
    for (let at = 0; at < rounds; at++) {
      const load = { connections: 32, seconds };
      const three = await measure(ours(32, submitNoop), load);
      const http = httpTo(alone, 32);
      const one = await measure(() => over(http, submitNoop(http)), load);
      ratios.push(three.per_second / one.per_second);
    }
    report({
      name: "three replicas against one, throughput",
      unit: "x",
      better: "higher",
      must: 0.5,
      goal: 0.8,
      samples: ratios,
    });
  }

  if (wanted("merkle")) {
    const samples: number[] = [];
    const load = { connections: 16, seconds };
    for (let at = 0; at < rounds; at++)
      samples.push((await measure(ours(16, submitMerkle), load)).per_second);
    report({
      name: "merkle submissions of two leaves (one thread of workerd)",
      unit: "/s",
      better: "higher",
      must: 350,
      goal: 2000,
      samples,
    });
  }

  if (wanted("life")) {
    const http = httpTo(troika, 64);
    const { vk_hash } = await http.get<{ readonly vk_hash: string }>("/api/v1/circuits/noop");
    const samples: number[] = [];
    const rows: number[] = [];
    for (let at = 0; at < rounds; at++) {
      const before = await rowsWritten(http);
      const { per_second, completed } = await live(http, { provers: 4, slots: 12, seconds, vk_hash });
      samples.push(per_second);
      rows.push(((await rowsWritten(http)) - before) / completed);
    }
    await http.close();
    report({
      name: "whole life of a task, provers that do nothing",
      unit: "/s",
      better: "higher",
      must: 1500,
      goal: 5000,
      samples,
    });
    report({
      name: "rows written per task in three replicas together",
      unit: "rows",
      better: "lower",
      must: 12,
      goal: 6,
      samples: rows,
    });
  }
}

async function rowsWritten(http: Http): Promise<number> {
  let rows = 0;
  for (const replica of ["coordinator-1", "coordinator-2", "coordinator-3"]) {
    const response = await fetch(`${http.url}/replicas/${replica}/metrics`);
    const line = /^storage_rows_written_total\{[^}]*\} (\d+)/m.exec(await response.text());
    rows += Number(line?.[1] ?? Number.NaN);
  }
  return rows;
}

try {
  await run();
} finally {
  for (const close of closers) await close();
}
