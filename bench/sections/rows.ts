/**
 * Rows written per task in three replicas together, by SQLite's own count: a batch of tasks that is leased, completed and
 * written to its tables to the end. Nothing is deleted for its age meanwhile.
 */
import type { Section } from "../figure.ts";
import { httpTo } from "../generator.ts";
import { startTroika } from "../troika.ts";
import { live } from "../workloads.ts";
import { checkpoint, rowsWritten, vkHash } from "./life.ts";

/** Tasks of a batch: the smallest for which the figure has to hold, and a large one. */
const SIZES = [10, 100] as const;

export const rows: Section = {
  name: "rows",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const vk_hash = await vkHash(troika.url);
    const http = await bench.keep(Promise.resolve(httpTo(troika.url, 64)));
    const samples = new Map<number, number[]>(SIZES.map((size) => [size, []]));
    for (let round = 0; round < bench.rounds; round++) {
      for (const size of SIZES) {
        await checkpoint(troika.url);
        const before = await rowsWritten(troika.url);
        const { lives } = await live(http, {
          provers: 4,
          slots: 12,
          seconds: bench.seconds,
          vk_hash,
          batch: size,
        });
        await checkpoint(troika.url);
        samples.get(size)?.push(((await rowsWritten(troika.url)) - before) / lives);
      }
    }
    return [...samples].map(([size, of]) => ({
      name: `rows written per task in three replicas, batches of ${size}`,
      unit: "rows",
      better: "lower" as const,
      ...(size === 10 ? { must: 12, goal: 6 } : {}),
      samples: of,
    }));
  },
};
