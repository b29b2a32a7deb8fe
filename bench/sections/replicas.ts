/** What three replicas cost against one. Here all of them share one thread. */
import type { Section } from "../figure.ts";
import { measureAt, startTroika } from "../troika.ts";
import { submitNoop } from "../workloads.ts";

export const replicas: Section = {
  name: "replicas",
  async run(bench) {
    const three = await bench.keep(startTroika());
    const one = await bench.keep(startTroika({ REPLICAS: "1" }));
    const load = { connections: 32, seconds: bench.seconds };
    const samples: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const many = await measureAt(three.url, submitNoop, load);
      const alone = await measureAt(one.url, submitNoop, load);
      samples.push(many.per_second / alone.per_second);
    }
    const name = "three replicas against one, throughput";
    return [{ name, unit: "x", better: "higher", must: 0.5, goal: 0.8, samples }];
  },
};
