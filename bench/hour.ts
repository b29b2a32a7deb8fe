/**
 * An hour of everything that clients do, at a moderate rate, while something fails every few seconds; and whether memory and
 * log stay as they are, and every promise is kept: no acknowledged write lost, every task ended, keyed events once and in
 * one order on every replica, reads and races for one thing explained by some order.
 *
 *     node bench/hour.ts [--minutes 60] [--every 10] [--out docs/hour]
 *
 * Every `--every` seconds a line is written to `OUT.jsonl`: memory of the process (RSS) and of the isolate (V8's heap; once
 * a minute after a full collection), log, tables and rates; and a line for each failure. At the end they become `OUT.svg`.
 *
 * A replica is stopped, isolated, reset or degraded (messages late and lost) for up to three seconds, one at a time. The
 * process is killed with `kill -9` about once a minute in the first fifth only: then the same one lives to the end, so that
 * memory which grows has the time to show. The log has to stay below MAX_LOG_ENTRIES. Memory is judged where there is an
 * hour's worth of it: the median of the last quarter against that of the second. Loopback only; it ends what it starts.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseConfiguration } from "../src/api/configuration.ts";
import { pause } from "../test/support/load/clients.ts";
import { type Findings, type Progress, startLoad } from "../test/support/load/load.ts";
import { type Fault, Group, REPLICAS, recovery } from "./group.ts";
import { type Curve, svgOf } from "./plot.ts";
import { startRealProofs } from "./real-proofs.ts";
import { type Vitals, vitalsOf } from "./vitals.ts";
import { freePort, startWorkerd } from "./workerd.ts";

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    every: { type: "string", default: "10" },
    out: { type: "string", default: "docs/hour" },
  },
});
const minutes = Number(flags.minutes);
const every_ms = Number(flags.every) * 1_000;

const WRITERS = 4;
const READERS = 3;
const WRITE_PAUSE_MS = 200;
const BATCH_ITEMS = 20;
const PROOF_EVERY_MS = 5_000;
/** Between failures, and how long one lasts. */
const CALM_MS = 4_000;
const HELD_MS = 3_000;
const KILLED_SHARE = 0.2;
const KILL_EVERY_MS = 60_000;
const COLLECT_EVERY = 6;
/** Growth from the second to the last quarter beyond which memory is not flat. */
const FLAT = 1.25;
const JUDGED_MINUTES = 30;

interface Line extends Vitals, Progress {
  readonly type: "vitals";
  readonly at_s: number;
  readonly proofs: number;
}
interface Failure {
  readonly type: "failure";
  readonly at_s: number;
  readonly kind: Fault["action"] | "kill";
  readonly replica?: string;
  readonly led?: boolean;
  /** Until the next acknowledged write that was sent after it. */
  readonly recovery_ms: number;
}

const variables = { BENCH: "on", LEASE_MS: "10000" };
const log_entries_max = parseConfiguration(variables).max_log_entries;
const inspector = await freePort();
const workerd = await startWorkerd(variables, [`--inspector-addr=127.0.0.1:${inspector}`]);
const group = new Group(workerd.url);
const vitals: Line[] = [];
const failures: Failure[] = [];
const problems: string[] = [];
const began = performance.now();
const seconds = (): number => Number(((performance.now() - began) / 1_000).toFixed(1));
const jsonl = `${flags.out}.jsonl`;
writeFileSync(jsonl, "");

function record<Kind extends Line | Failure>(list: Kind[], line: Kind): void {
  list.push(line);
  appendFileSync(jsonl, `${JSON.stringify(line)}\n`);
}

const among = <Item>(items: readonly Item[]): Item => {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
};

await group.ready();
const proofs = startRealProofs(group.client, workerd.url, PROOF_EVERY_MS);
const load = await startLoad({
  url: workerd.url,
  replicas: REPLICAS,
  name: "hour",
  writers: WRITERS,
  readers: READERS,
  pause_ms: WRITE_PAUSE_MS,
  batch_items: BATCH_ITEMS,
});

async function look(nth: number): Promise<void> {
  const seen = await vitalsOf(workerd, inspector, nth % COLLECT_EVERY === 0);
  record(vitals, {
    type: "vitals",
    at_s: seconds(),
    ...seen,
    ...load.progress(),
    proofs: proofs.submitted(),
  });
  if (nth % COLLECT_EVERY !== 0) return;
  const { events, operations, tasks, completions, reads, raced, broken } = load.progress();
  const megabytes = (bytes: number | null): string => (bytes === null ? "-" : (bytes / 1_048_576).toFixed(0));
  console.log(
    `${(seconds() / 60).toFixed(1)} min: RSS ${megabytes(seen.rss_bytes)} MiB, live heap ${megabytes(seen.live_heap_bytes)} MiB, ` +
      `log ${seen.log_entries.join("/")}, files ${megabytes(seen.file_bytes)} MiB; ${events} events, ${operations} operations, ` +
      `${tasks} tasks, ${completions} completions, ${reads} reads, ${raced} raced; ${failures.length} failures, ${broken} promises broken`,
  );
}

async function fail(kind: Failure["kind"]): Promise<void> {
  if (kind === "kill") {
    const at_s = seconds();
    await workerd.kill();
    const since = performance.now();
    await workerd.start();
    record(failures, {
      type: "failure",
      at_s,
      kind,
      recovery_ms: await recovery(kind, since, load.acknowledged),
    });
    return;
  }
  const leader = await group.leader();
  const led = Math.random() < 0.5;
  const replica = led ? leader : among(REPLICAS.filter((name) => name !== leader));
  const fault: Fault =
    kind === "degrade"
      ? { action: kind, delay_ms: Math.round(50 * Math.random()), drop_rate: 0.2 * Math.random() }
      : { action: kind };
  const at_s = seconds();
  await group.fault(replica, fault);
  const since = performance.now();
  const recovery_ms = await recovery(kind, since, load.acknowledged);
  await pause(HELD_MS * Math.random());
  if (kind === "stop") await group.fault(replica, { action: "start" });
  if (kind === "isolate" || kind === "degrade") await group.fault(replica, { action: "heal" });
  record(failures, { type: "failure", at_s, kind, replica, led, recovery_ms });
}

async function failing(until: number): Promise<void> {
  const kills_until = began + KILLED_SHARE * (until - began);
  for (let kill_at = began + 20_000; performance.now() < until; ) {
    await pause(CALM_MS * (0.5 + Math.random()));
    const kill = performance.now() > kill_at && performance.now() < kills_until;
    if (kill) kill_at = performance.now() + KILL_EVERY_MS;
    await fail(kill ? "kill" : among(["stop", "isolate", "reset", "degrade"] as const));
    await group.ready();
  }
}

async function looking(until: number): Promise<void> {
  for (let nth = 0; performance.now() < until; nth++) {
    const due = began + nth * every_ms;
    await pause(Math.max(0, due - performance.now()));
    await look(nth);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Of the last quarter against the second one, in which nothing is killed any more. */
function growth(of: (line: Line) => number | null): number {
  const within = (from: number, to: number) =>
    median(
      vitals
        .filter(({ at_s }) => at_s >= from * minutes * 60 && at_s < to * minutes * 60)
        .flatMap((line) => of(line) ?? []),
    );
  return within(0.75, 1.01) / within(0.25, 0.5);
}

function draw(): string {
  const MIB = 1_048_576;
  const curve = (name: string, colour: string, of: (line: Line, nth: number) => number | null): Curve => ({
    name,
    colour,
    points: vitals.map((line, nth) => [line.at_s / 60, of(line, nth)]),
  });
  const mib = (of: (line: Line) => number | null) => (line: Line) => {
    const bytes = of(line);
    return bytes === null ? null : bytes / MIB;
  };
  const rate = (of: (line: Line) => number) => (line: Line, nth: number) => {
    const before = vitals[nth - 1];
    return before === undefined ? null : (of(line) - of(before)) / (line.at_s - before.at_s);
  };
  const live = curve(
    "live heap",
    "#07a",
    mib((line) => line.live_heap_bytes),
  );
  const colours = ["#07a", "#b50", "#393"];
  const each = (of: (line: Line) => readonly (number | null)[], scale: number) =>
    REPLICAS.map((name, nth) =>
      curve(name, colours[nth] ?? "#000", (line) => {
        const value = of(line)[nth] ?? null;
        return value === null ? null : value / scale;
      }),
    );
  return svgOf({
    title: `${minutes} minutes of mixed load, ${failures.length} failures`,
    unit: "minutes",
    ends: Math.max(seconds() / 60, 0.1),
    marks: failures.filter(({ kind }) => kind === "kill").map(({ at_s }) => at_s / 60),
    marked: "red: kill -9 of the process; other failures every few seconds are not drawn",
    panels: [
      {
        title: "memory, MiB",
        curves: [
          curve(
            "RSS of workerd",
            "#b50",
            mib((line) => line.rss_bytes),
          ),
          curve(
            "heap",
            "#9bd",
            mib((line) => line.heap_bytes),
          ),
          { ...live, points: live.points.filter(([, value]) => value !== null) },
        ],
      },
      { title: "log, entries", curves: each(({ log_entries }) => log_entries, 1) },
      { title: "database, MiB", curves: each(({ database_bytes }) => database_bytes, MIB) },
      {
        title: "acknowledged per second",
        curves: [
          curve(
            "events",
            "#07a",
            rate(({ events }) => events),
          ),
          curve(
            "tasks",
            "#b50",
            rate(({ tasks }) => tasks),
          ),
          curve(
            "completions",
            "#393",
            rate(({ completions }) => completions),
          ),
          curve(
            "operations",
            "#808",
            rate(({ operations }) => operations),
          ),
        ],
      },
      {
        title: "reads checked per second",
        curves: [
          curve(
            "of the last event",
            "#07a",
            rate(({ reads }) => reads),
          ),
          curve(
            "in races",
            "#b50",
            rate(({ raced }) => raced),
          ),
        ],
      },
    ],
  });
}

let found: Findings;
try {
  const until = began + minutes * 60_000;
  await Promise.all([failing(until), looking(until)]);
  await group.ready();
  const [wrong, findings] = await Promise.all([proofs.finish(), load.stop()]);
  problems.push(...wrong);
  found = findings;
} finally {
  if (vitals.length > 0) writeFileSync(`${flags.out}.svg`, draw());
  await proofs.close();
  await workerd.close();
}
problems.push(...found.broken);

console.log(
  `acknowledged: ${found.events} events, ${found.operations} operations, ${found.tasks} tasks; ${proofs.submitted()} more were really proved`,
);
console.log(
  `${found.repeats} repeats had the first answer; ${found.reads} reads and ${found.raced} operations in races were checked`,
);
for (const kind of ["stop", "isolate", "reset", "degrade", "kill"]) {
  const times = failures.filter((failure) => failure.kind === kind).map(({ recovery_ms }) => recovery_ms);
  if (times.length > 0)
    console.log(
      `${kind.padEnd(8)} ${times.length} times, next acknowledgement after ${median(times).toFixed(0)} ms (median), ${Math.max(...times).toFixed(0)} ms (most)`,
    );
}
const late = failures.filter(({ recovery_ms }) => !Number.isFinite(recovery_ms));
for (const { kind, at_s } of late) problems.push(`nothing was acknowledged after the ${kind} at ${at_s} s`);
const longest = vitals.flatMap(({ log_entries }) => log_entries.flatMap((entries) => entries ?? []));
const most = longest.reduce((max, entries) => Math.max(max, entries), 0);
console.log(`log: at most ${most} entries of ${log_entries_max} allowed`);
if (most > log_entries_max) problems.push(`the log grew to ${most} entries`);
for (const [name, grown] of [
  ["live heap", growth(({ live_heap_bytes }) => live_heap_bytes)],
  ["RSS", growth(({ rss_bytes }) => rss_bytes)],
] as const) {
  console.log(`${name}: last quarter against the second ${grown.toFixed(2)}`);
  if (minutes >= JUDGED_MINUTES && !(grown <= FLAT)) problems.push(`${name} grew by ${grown.toFixed(2)}`);
}
console.log(`promises that were not kept: ${problems.length}`);
for (const problem of problems.slice(0, 20)) console.log(`problem: ${problem.slice(0, 2_000)}`);
process.exitCode = problems.length > 0 ? 1 : 0;
