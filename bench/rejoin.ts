/**
 * A replica that was down while the log was compacted three times comes back under load, and then a learner takes the
 * place of one that was removed: how long each takes until it has applied what its leader had, and what the load's rate
 * is meanwhile.
 *
 *     node bench/rejoin.ts [--tasks 20000] [--seconds 5]
 */
import { parseArgs } from "node:util";
import { httpTo } from "./generator.ts";
import { Group, REPLICAS } from "./group.ts";
import { startTroika } from "./troika.ts";
import { submitBatch, submitNoop } from "./workloads.ts";

const { values: flags } = parseArgs({
  options: { tasks: { type: "string", default: "20000" }, seconds: { type: "string", default: "5" } },
});
const CONNECTIONS = 16;
const CHECKPOINT_ENTRIES = 1_000;
const MEMBERS = "/api/v1/cluster/members";

interface Indexes {
  readonly first_log_index: number;
  readonly applied_index: number;
}

const troika = await startTroika({ CHECKPOINT_ENTRIES: String(CHECKPOINT_ENTRIES), LOG_TAIL_ENTRIES: "500" });
const group = new Group(troika.url);
const http = httpTo(troika.url, CONNECTIONS);

async function indexesOf(name: string): Promise<Indexes> {
  return (await (await fetch(`${troika.url}/replicas/${name}/status`)).json()) as Indexes;
}

let going = true;
let count = 0;
const submit = submitNoop(http);
const seconds = (since: number) => (performance.now() - since) / 1000;

/** Submissions a second, while `work` goes on. */
async function rateDuring(work: Promise<unknown>): Promise<number> {
  const [from, since] = [count, performance.now()];
  await work;
  return Math.round((count - from) / seconds(since));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function rejoins(what: string, name: string, begin: () => Promise<unknown>): Promise<void> {
  const before = await rateDuring(
    new Promise((resolve) => setTimeout(resolve, Number(flags.seconds) * 1000)),
  );
  const taken = troika.logs.filter((line) => line.includes("snapshot: taken in")).length;
  const { applied_index } = await indexesOf(await group.leader());
  const since = performance.now();
  const caughtUp = async (): Promise<void> => {
    await begin();
    await until(async () => (await indexesOf(name)).applied_index >= applied_index);
  };
  const during = await rateDuring(caughtUp());
  const took = Math.round(seconds(since) * 1000);
  const lines = troika.logs.filter((line) => line.includes("snapshot: taken in")).slice(taken);
  if (lines.length === 0) throw new Error(`${name} came back without a snapshot`);
  console.log(`${what}: ${took} ms; ${before} submissions/s before, ${during} meanwhile`);
}

try {
  const batch = submitBatch(http, 500);
  for (let at = 0; at < Number(flags.tasks); at += 500) await batch(0);
  const leader = await group.leader();
  const [away, other] = REPLICAS.filter((name) => name !== leader);
  if (away === undefined || other === undefined) throw new Error("a group has three replicas");
  const { applied_index } = await indexesOf(away);
  await group.fault(away, { action: "stop" });
  const load = Array.from({ length: CONNECTIONS }, async (_, connection) => {
    while (going) {
      await submit(connection);
      count++;
    }
  });
  await until(async () => (await indexesOf(leader)).first_log_index > applied_index + 3 * CHECKPOINT_ENTRIES);
  console.log(`${flags.tasks} tasks and ${count} more are stored`);
  await rejoins("down during three compactions, started → caught up", away, () =>
    group.fault(away, { action: "start" }),
  );
  const removed = await fetch(`${troika.url}${MEMBERS}/${other}`, { method: "DELETE" });
  if (!removed.ok) throw new Error(await removed.text());
  await rejoins("a blank learner, added → caught up", other, () => http.post(MEMBERS, { node_id: other }));
  going = false;
  await Promise.all(load);
} finally {
  going = false;
  await http.close();
  await troika.close();
}
