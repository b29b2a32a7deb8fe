/** The whole life of tasks by provers that do nothing: submit, lease, complete; and the rows that it writes. */
import type { Section } from "../figure.ts";
import { httpTo } from "../generator.ts";
import { REPLICAS } from "../group.ts";
import { startTroika } from "../troika.ts";
import { metric } from "../vitals.ts";
import { live } from "../workloads.ts";

const PROVERS = 4;
const SLOTS = 12;

export async function vkHash(url: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/circuits/noop`);
  return ((await response.json()) as { readonly vk_hash: string }).vk_hash;
}

export const life: Section = {
  name: "life",
  async run(bench) {
    const troika = await bench.keep(startTroika());
    const vk_hash = await vkHash(troika.url);
    const http = await bench.keep(Promise.resolve(httpTo(troika.url, 64)));
    const samples: number[] = [];
    for (let round = 0; round < bench.rounds; round++) {
      const { per_second } = await live(http, {
        provers: PROVERS,
        slots: SLOTS,
        seconds: bench.seconds,
        vk_hash,
      });
      samples.push(per_second);
    }
    const name = "whole life of a task, provers that do nothing";
    return [{ name, unit: "/s", better: "higher", must: 1_500, goal: 5_000, samples }];
  },
};

/** Of all replicas together, since they were started: what SQLite says that each statement wrote, deletes included. */
export async function rowsWritten(url: string): Promise<number> {
  let rows = 0;
  for (const replica of REPLICAS) {
    const response = await fetch(`${url}/replicas/${replica}/metrics`);
    rows += metric(await response.text(), "storage_rows_written_total") ?? Number.NaN;
  }
  return rows;
}

/** Writes everything that is still in memory only. */
export async function checkpoint(url: string): Promise<void> {
  const response = await fetch(`${url}/api/v1/cluster/checkpoint`, { method: "POST" });
  if (!response.ok) throw new Error(`checkpoint: ${response.status} ${await response.text()}`);
  await response.body?.cancel();
}
