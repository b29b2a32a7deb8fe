/** Batches of a hundred tasks beside etcd's transactions of a hundred puts. */
import type { Section } from "../figure.ts";
import { startEtcd } from "../peers/etcd.ts";
import { measure, measureAt, startTroika } from "../troika.ts";
import { putMany, submitBatch } from "../workloads.ts";

const SIZE = 100;
const CONNECTIONS = 16;

export const batch: Section = {
  name: "batch",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const etcd = await bench.keep(startEtcd());
    const load = { connections: CONNECTIONS, seconds: bench.seconds };
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const batches = await measureAt(troika.url, (http) => submitBatch(http, SIZE), load);
      const transactions = await measure(etcd.http(CONNECTIONS), (http) => putMany(http, SIZE), load);
      ours.push(SIZE * batches.per_second);
      theirs.push(SIZE * transactions.per_second);
    }
    const what = `batches of ${SIZE}, ${CONNECTIONS} connections`;
    const ratios = ours.map((value, at) => value / (theirs[at] ?? Number.NaN));
    return [
      { name: `${what}: troika`, unit: "tasks/s", better: "higher", samples: ours },
      { name: `${what}: etcd`, unit: "puts/s", better: "higher", samples: theirs },
      { name: `${what}, against etcd`, unit: "x", better: "higher", must: 2, goal: 4, samples: ratios },
    ];
  },
};
