/**
 * Start-up with 100,000 tasks that wait: the process is killed with `kill -9` and started again on its storage. The figure
 * is the time to load: from the first request to when all three replicas, which share a thread here, have answered from
 * what they have read, which needs no leader. Beside it the whole group's: from the start of the process to a write that
 * is acknowledged, an election included.
 */
import type { Section } from "../figure.ts";
import { httpTo } from "../generator.ts";
import { REPLICAS } from "../group.ts";
import { startTroika } from "../troika.ts";
import { submitBatch, submitNoop, whenNotTooBusy } from "../workloads.ts";

const TASKS = 100_000;
const SIZE = 500;
const AT_ONCE = 4;

export const startUp: Section = {
  name: "start-up",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const http = await bench.keep(Promise.resolve(httpTo(troika.url, AT_ONCE)));
    const submit = submitBatch(http, SIZE);
    let left = TASKS / SIZE;
    const fill = async (): Promise<void> => {
      while (left-- > 0) await whenNotTooBusy(() => submit(0));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, fill));
    const loads: number[] = [];
    const writes: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      await troika.kill();
      const started = performance.now();
      await troika.start();
      const asked = performance.now();
      for (const replica of REPLICAS) {
        const response = await fetch(
          `${troika.url}/replicas/${replica}/api/v1/tasks?limit=1&consistency=stale`,
        );
        const { items } = (await response.json()) as { readonly items: readonly unknown[] };
        if (items.length !== 1) throw new Error(`${replica} does not show its tasks`);
      }
      loads.push(performance.now() - asked);
      const http = httpTo(troika.url, 1);
      await whenNotTooBusy(() => submitNoop(http)(0));
      writes.push(performance.now() - started);
      await http.close();
      const response = await fetch(`${troika.url}/metrics`);
      const waiting = /^troika_tasks\{status="pending"\} (\d+)/m.exec(await response.text())?.[1];
      if (Number(waiting) !== TASKS + round + 1) throw new Error(`${waiting} tasks wait`);
    }
    const name = "start-up with 100,000 live tasks";
    return [
      { name, unit: "ms", better: "lower", must: 2_000, goal: 500, samples: loads },
      { name: `${name}: process started → first write`, unit: "ms", better: "lower", samples: writes },
    ];
  },
};
