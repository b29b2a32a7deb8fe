/**
 * The figures of docs/benchmarks.md, measured on this machine and on loopback: ours beside etcd's and NATS's, driven by the
 * same generator in turn, several times.
 *
 *     npm run bench [-- --quick] [-- --json] [-- --only single,batch] [-- --table replaced]
 *
 * A figure is the median of its rounds; its spread is the lowest and the highest. Ratios are made within each round.
 * `--table replaced` measures what the replaced systems publish instead, on plain workerd and under `wrangler dev`.
 * Every program that was started is ended.
 */
import { parseArgs } from "node:util";
import { figuresOf, jsonOf, lineOf, type Section } from "./figure.ts";
import { batch } from "./sections/batch.ts";
import { latency, single } from "./sections/beside.ts";
import { failover } from "./sections/failover.ts";
import { idle } from "./sections/idle.ts";
import { life } from "./sections/life.ts";
import { merkle } from "./sections/merkle.ts";
import { proofs } from "./sections/proofs.ts";
import { dev, inside, plain } from "./sections/replaced.ts";
import { replicas } from "./sections/replicas.ts";
import { rows } from "./sections/rows.ts";
import { startUp } from "./sections/start-up.ts";
import { stored } from "./sections/stored.ts";

const TABLES: Readonly<Record<string, readonly Section[]>> = {
  figures: [single, latency, batch, replicas, life, merkle, proofs, failover, rows, idle, startUp, stored],
  replaced: [plain, inside, dev],
};

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    table: { type: "string", default: "figures" },
  },
});
const table = TABLES[flags.table];
if (table === undefined) throw new Error(`--table is one of ${Object.keys(TABLES).join(", ")}`);
const names = table.map(({ name }) => name);
const wanted = flags.only?.split(",") ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) throw new Error(`--only takes ${names.join(", ")}; not ${unknown.join(", ")}`);

const options = {
  quick: flags.quick,
  rounds: flags.quick ? 3 : 5,
  seconds: flags.quick ? 2 : 8,
  // Where objects are asked for, nothing else is written.
  note: (text: string) => (flags.json ? console.error(text) : console.log(`# ${text}`)),
};
for (const section of table) {
  if (!wanted.includes(section.name)) continue;
  for (const figure of await figuresOf(section, options))
    console.log(flags.json ? jsonOf(figure) : lineOf(figure));
}
