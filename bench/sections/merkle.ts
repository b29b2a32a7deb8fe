/** Submissions whose statement has to be computed: two leaves and their tree. By the processor time that workerd took. */
import type { Section } from "../figure.ts";
import { measureAt, startTroika } from "../troika.ts";
import { processorMs } from "../vitals.ts";
import { submitMerkle } from "../workloads.ts";

export const merkle: Section = {
  name: "merkle",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const load = { connections: 16, seconds: bench.seconds, warmup_seconds: 0 };
    await measureAt(troika.url, submitMerkle, { ...load, seconds: 1 });
    const rates: number[] = [];
    const per_core: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const before = processorMs(troika.pid);
      const { count, per_second } = await measureAt(troika.url, submitMerkle, load);
      per_core.push(count / ((processorMs(troika.pid) - before) / 1_000));
      rates.push(per_second);
    }
    const name = "merkle submissions of two leaves";
    return [
      { name: `${name}, per core`, unit: "/s", better: "higher", must: 350, goal: 2_000, samples: per_core },
      { name: `${name}, 16 connections`, unit: "/s", better: "higher", samples: rates },
    ];
  },
};
