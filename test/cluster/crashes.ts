/**
 * `npm run crashes -- [--rounds 40] [--seed S] [--minutes 10]`: on plain workerd, under load, a replica is struck down at
 * random steps of checkpoints, of snapshots that it sends and of snapshots that it takes in: aborted, or its process
 * killed with -9 in the midst of its transaction. At the end the load's ledger says whether what was acknowledged is there, once,
 * and the replicas' files whether they hold the same records. Prints its seed; ends by itself.
 */
import { parseArgs } from "node:util";
import { Group, REPLICAS } from "../../bench/group.ts";
import { startWorkerd } from "../../bench/workerd.ts";
import { Random } from "../simulation/random.ts";
import { pause } from "../support/load/clients.ts";
import { startLoad } from "../support/load/load.ts";
import { differences } from "../support/records.ts";
import type { Order } from "../support/steps.ts";
import { recordsIn } from "./storage.ts";

const CRASHING = new URL("../support/crashing-worker.ts", import.meta.url);
const PHASES = ["checkpoint", "send", "receive"] as const;
/** More than a phase has steps, now and then: the last ones are to be struck too. */
const STEPS: Readonly<Record<(typeof PHASES)[number], number>> = { checkpoint: 12, send: 20, receive: 40 };
/** A replica that is so far behind its leader's checkpoint cannot be helped by a log any more. */
const BEHIND = 90;
const PATIENCE_MS = 30_000;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "40" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "10" },
  },
});
const seed = Number(flags.seed);
const random = new Random(seed);
const until = Date.now() + Number(flags.minutes) * 60_000;
console.log(`seed ${seed}, at most ${flags.rounds} rounds or ${flags.minutes} minutes`);

const variables = { CHECKPOINT_ENTRIES: "40", LOG_TAIL_ENTRIES: "10", MAX_LOG_ENTRIES: "2000", BENCH: "on" };
const workerd = await startWorkerd(variables, [], CRASHING);
const group = new Group(workerd.url);
const problems: string[] = [];
const struck = new Map<string, number>();
let missed = 0;

async function post(path: string, body: object): Promise<void> {
  const response = await fetch(workerd.url + path, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  await response.body?.cancel();
}

async function condition(what: string, holds: () => Promise<boolean>, ms = PATIENCE_MS): Promise<boolean> {
  for (const deadline = Date.now() + ms; Date.now() < deadline; await pause(20)) {
    if (await holds().catch(() => false)) return true;
  }
  if (what !== "") problems.push(`not within ${ms} ms: ${what}`);
  return false;
}

async function checkpointOf(name: string): Promise<number> {
  const response = await fetch(`${workerd.url}/replicas/${name}/status`);
  const { checkpoint_index } = (await response.json()) as { readonly checkpoint_index?: number };
  if (checkpoint_index === undefined) throw new Error(`${name} does not say where its checkpoint is`);
  return checkpoint_index;
}

function victimOf(phase: (typeof PHASES)[number], leader: string): string {
  const followers = REPLICAS.filter((name) => name !== leader);
  if (phase === "send") return leader;
  if (phase === "receive") return followers[random.between(0, 1)] ?? leader;
  return REPLICAS[random.between(0, 2)] ?? leader;
}

async function strike(round: number): Promise<void> {
  const phase = PHASES[round % PHASES.length] ?? "checkpoint";
  const leader = await group.leader();
  const victim = victimOf(phase, leader);
  const order: Order = { at: random.between(1, STEPS[phase]), how: random.next() < 0.5 ? "abort" : "hold" };
  const seen = workerd.logs.length;
  const away = phase === "send" ? REPLICAS.find((name) => name !== leader) : victim;
  if (phase !== "checkpoint" && away !== undefined) {
    await group.fault(away, { action: "isolate" });
    const behind = await checkpointOf(away);
    await condition("the others go on", async () => (await checkpointOf(leader)) > behind + BEHIND);
  }
  // One that was just struck down may not answer yet.
  const armed = async () => {
    await post(`/strike/${victim}`, order);
    return true;
  };
  await condition(`${victim} is armed`, armed);
  if (phase !== "checkpoint" && away !== undefined) await group.fault(away, { action: "heal" });
  let line: string | undefined;
  await condition(
    "",
    async () => {
      line = workerd.logs.slice(seen).find((one) => one.includes("struck: "));
      return line !== undefined;
    },
    5_000,
  );
  if (line === undefined) missed++;
  else {
    const name = `${order.how} ${line.slice(line.indexOf(" at: ") + 5)}`;
    struck.set(name, (struck.get(name) ?? 0) + 1);
  }
  // Also where the step was not reached: what is armed must not strike later.
  if (order.how === "hold" || line === undefined) {
    await workerd.kill();
    await workerd.start();
  }
  const began = Date.now();
  await group.ready();
  const index = await checkpointOf(await group.leader());
  for (const name of REPLICAS) {
    await condition(`${name} catches up`, async () => (await checkpointOf(name)) >= index);
  }
  console.log(
    `${round}: ${phase}, ${victim} ${order.how} at step ${order.at}${line === undefined ? " (not reached)" : `: ${line.slice(line.indexOf(" at: ") + 5)}`}; well after ${Date.now() - began} ms`,
  );
}

let rounds = 0;
try {
  await group.ready();
  const load = await startLoad({
    url: workerd.url,
    replicas: REPLICAS,
    name: "load",
    writers: 3,
    readers: 1,
    pause_ms: 10,
  });
  for (; rounds < Number(flags.rounds) && Date.now() < until && problems.length === 0; rounds++) {
    await strike(rounds);
  }
  const found = await load.stop();
  problems.push(...found.broken);
  console.log(
    `${rounds} rounds, ${missed} of them with fewer steps; acknowledged ${found.events} events, ${found.operations} operations, ${found.tasks} tasks; ${found.reads} reads checked`,
  );
  const same = async () => {
    await post("/api/v1/cluster/checkpoint", {});
    return new Set(await Promise.all(REPLICAS.map(checkpointOf))).size === 1;
  };
  await condition("all hold a checkpoint at the same index", same);
  await workerd.kill();
  const [first, ...others] = await Promise.all(REPLICAS.map((name) => recordsIn(workerd.directory, name)));
  for (const other of first === undefined ? [] : others) {
    const differing = differences(first ?? new Map(), other);
    if (differing.length > 0) problems.push(`${differing.length} records differ: ${differing.slice(0, 5)}`);
  }
  console.log(`${first?.size} records, compared at all replicas`);
} finally {
  await workerd.close();
}
for (const line of workerd.logs.filter((one) => one.includes("stopping this instance"))) {
  if (!/struck down/.test(line)) problems.push(line);
}
for (const [step, times] of [...struck].toSorted()) console.log(`${String(times).padStart(4)}  ${step}`);
console.log(
  problems.length === 0 ? `nothing broken (seed ${seed})` : `seed ${seed}: ${problems.length} problems`,
);
for (const problem of problems.slice(0, 20)) console.log(`problem: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
