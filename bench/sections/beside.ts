/** Single writes beside etcd's puts and NATS's publications, all with the same generator in turn. */
import type { Bench, Figure, Section } from "../figure.ts";
import { drive, type Measured } from "../generator.ts";
import { startEtcd } from "../peers/etcd.ts";
import { startNats } from "../peers/nats.ts";
import { measure, measureAt, startTroika } from "../troika.ts";
import { publish, putOne, putOneByGrpc, submitNoop } from "../workloads.ts";

interface Beside {
  readonly connections: number;
  readonly what: string;
  readonly figure: (measured: Measured) => number;
  readonly unit: string;
  readonly better: Figure["better"];
  readonly must: number;
}

async function beside(bench: Bench, { connections, what, figure, unit, better, must }: Beside) {
  const troika = await bench.keep(startTroika());
  const etcd = await bench.keep(startEtcd());
  const nats = await bench.keep(startNats());
  const load = { connections, seconds: bench.seconds };
  const grpc = etcd.grpc();
  const clients = await bench.keep(nats.clients(Math.min(connections, 8)));
  const samples = { troika: [], etcd: [], grpc: [], nats: [] } as Record<string, number[]>;
  const ratios: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const ours = figure(await measureAt(troika.url, submitNoop, load));
    const theirs = figure(await measure(etcd.http(connections), putOne, load));
    samples.troika?.push(ours);
    samples.etcd?.push(theirs);
    samples.grpc?.push(figure(await drive(putOneByGrpc(grpc), load)));
    samples.nats?.push(figure(await drive(publish(clients.streams), load)));
    ratios.push(ours / theirs);
  }
  grpc.close();
  return [
    ...Object.entries(samples).map(([system, of]) => ({
      name: `${what}: ${system === "grpc" ? "etcd by gRPC" : system}`,
      unit,
      better,
      samples: of,
    })),
    { name: `${what}, against etcd`, unit: "x", better, must, goal: 1, samples: ratios },
  ];
}

export const single: Section = {
  name: "single",
  run: (bench) =>
    beside(bench, {
      connections: 32,
      what: "single submissions, 32 connections",
      figure: ({ per_second }) => per_second,
      unit: "/s",
      better: "higher",
      must: 0.6,
    }),
};

export const latency: Section = {
  name: "latency",
  run: (bench) =>
    beside(bench, {
      connections: 1,
      what: "one connection, p50",
      figure: ({ p50_ms }) => p50_ms,
      unit: "ms",
      better: "lower",
      must: 1.5,
    }),
};
