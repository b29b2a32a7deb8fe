/**
 * A replica struck down at every step of a checkpoint, of a snapshot that it sends, and of one that it takes in: alone,
 * with or without what it had not flushed, or with the whole process. It starts again, struck down once more while it does
 * so; what was acknowledged is there, and its records equal those of the replicas that went on.
 */
import { afterEach, describe, expect, test } from "vitest";
import { differences, recordsOf } from "../support/records.ts";
import { MATTERS, Strike } from "../support/steps.ts";
import { type Body, Group, NAMES } from "./harness.ts";
import type { Platform } from "./platform.ts";

type End = NonNullable<ReturnType<Platform["strike"]>>;
const ENDS: readonly End[] = ["aborted", "aborted, unflushed", "killed"];
/** Every end at every step, chunk after chunk, takes minutes: `CRASHES=all`. Else the ends take turns at a receiver. */
const ALL = process.env.CRASHES === "all";
const TIMES = ALL ? Number.POSITIVE_INFINITY : 1;

let group: Group;
afterEach(() => group.release());

const SMALL = {
  CHECKPOINT_ENTRIES: "10",
  LOG_TAIL_ENTRIES: "2",
  MAX_LOG_ENTRIES: "400",
  MAX_BATCH_ENTRIES: "1",
};

const LARGE = 12;

let written: number;
/** Acknowledged, by the id of their command. */
let seqs: Map<string, number>;

/** The first are events, a few of which fill a chunk; later on every third is an open task. */
function body(number: number): Body {
  if (number % 3 > 0 || number <= LARGE) {
    const text = "y".repeat(number <= LARGE ? 30_000 : 20);
    return { type: "append-event", kind: "noted", body: JSON.stringify({ number, text }) };
  }
  return {
    type: "submit-task",
    task: {
      task_id: `task-${number}`,
      circuit: "merkle",
      circuit_type: "merkle_proof",
      input: { text: "x".repeat(200) },
      input_bytes: 200,
      blinding: "1",
      content_hash: `content-${number}`,
      public_inputs: ["1", "2", "3"],
      priority: 0,
      max_attempts: 4,
    },
  };
}

/** As a client does it: repeated under its id until it is acknowledged. */
async function write(): Promise<void> {
  const number = ++written;
  const id = `write-${number}`;
  for (let attempt = 1; attempt <= 2_000; attempt++) {
    const answer = await group.propose({ ...body(number), id }).catch(() => undefined);
    if (answer?.type === "applied") {
      const { outcome } = answer;
      if (outcome.type === "event-appended") seqs.set(id, outcome.seq);
      else expect(outcome.type).toBe("submitted");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${id} was never acknowledged`);
}

async function writeMany(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await group.time.outcome(write(), 30_000);
}

const diskOf = (name: string) => group.platform.instance(name).disk;

function checkpointOf(name: string): number {
  const [row] = diskOf(name).exec("SELECT body FROM state WHERE key = 'checkpoint'", []).rows;
  const { body: text } = row as { readonly body: string };
  return (JSON.parse(text) as { readonly index: number }).index;
}

async function checkpoints(): Promise<readonly number[]> {
  const taken = NAMES.map((name) =>
    group.call<{ result: { checkpoint_index: number } }>(name, "/checkpoint", {}),
  );
  return (await group.time.outcome(Promise.all(taken))).map(({ result }) => result.checkpoint_index);
}

/** All come to hold the same; then their tables must say the same, and what was acknowledged, once. */
async function expectEqualRecords(): Promise<void> {
  await writeMany(1);
  for (let tries = 1; new Set(await checkpoints()).size > 1; tries++) {
    if (tries > 40) throw new Error(`not caught up: ${await checkpoints()}`);
    await group.time.pass(250);
  }
  const [first, ...others] = NAMES.map((name) => recordsOf((query) => diskOf(name).exec(query, []).rows));
  if (first === undefined) throw new Error("a group has three replicas");
  for (const other of others) expect(differences(first, other)).toEqual([]);
  expect(new Set(seqs.values()).size).toBe(seqs.size);
  expect(Math.max(...seqs.values())).toBe(seqs.size);
  for (const [id, seq] of [...seqs].slice(-30)) {
    const { body: text } = JSON.parse(first.get(`events ${seq}`) ?? "{}") as { readonly body?: string };
    expect(text, `event ${seq}`).toContain(`"number":${id.split("-")[1]},`);
  }
}

/** Strikes `name` at the `at`-th step that matters, and again in the midst of starting. */
function strikeDown(name: string, at: number, end: End): Strike {
  const strike = new Strike(at, (step) => MATTERS.test(step), TIMES);
  const again = new Strike(1 + (at % 11), () => true);
  group.platform.strike = (instance, step) => {
    if (instance.name !== name) return undefined;
    if (!strike.done) return strike.hits(step) ? end : undefined;
    return again.hits(step) ? "aborted" : undefined;
  };
  return strike;
}

/** Strikes at the first step, the second, and so on, until a round has fewer. What was passed in all of them. */
async function everyStep(round: (at: number) => Promise<Strike>): Promise<ReadonlySet<string>> {
  const passed = new Set<string>();
  for (let at = 1; ; at++) {
    const strike = await round(at);
    group.platform.strike = () => undefined;
    await expectEqualRecords();
    for (const step of strike.passed) passed.add(step);
    if (!strike.done) return passed;
  }
}

async function founded(): Promise<void> {
  seqs = new Map();
  written = 0;
  group = await Group.founded({ variables: SMALL });
  await writeMany(LARGE + 10);
}

/** Of a replica that was away, or of the one that it pulls from, while checkpoints go on. */
async function everyStepOfSnapshot(
  role: "sender" | "receiver",
  endAt: (at: number) => End,
): Promise<ReadonlySet<string>> {
  await founded();
  const { platform, time, logs } = group;
  const pulls = () => logs.filter((line) => line.includes("snapshot: pulling")).length;
  return everyStep(async (at) => {
    const away = group.followers[at % 2 === 0 ? 0 : 1];
    platform.fate = ({ from, to }) => (from.name === away || to === away ? "lost" : "arrives");
    await writeMany(22);
    const behind = checkpointOf(group.leader);
    expect(checkpointOf(away)).toBeLessThan(behind - 10);
    const before = pulls();
    const strike = strikeDown(role === "receiver" ? away : group.leader, at, endAt(at));
    platform.fate = () => "arrives";
    await writeMany(12);
    // A process that was killed does not start by itself.
    for (let tries = 1; checkpointOf(away) < behind; tries++) {
      if (tries > 100) throw new Error(`${away} is at ${checkpointOf(away)} of ${behind}`);
      await writeMany(1);
      await time.pass(100);
    }
    expect(pulls()).toBeGreaterThan(before);
    return strike;
  });
}

for (const end of ENDS) {
  describe(`a replica ${end}`, () => {
    for (const role of ["leader", "follower"]) {
      test(`at every step of a checkpoint, as ${role}, and of cutting its log, loses nothing`, async () => {
        await founded();
        const passed = await everyStep(async (at) => {
          const strike = strikeDown(role === "leader" ? group.leader : group.followers[0], at, end);
          await writeMany(14);
          return strike;
        });
        expect([...passed]).toEqual(
          expect.arrayContaining([
            "INSERT live",
            "INSERT records",
            "INSERT arrivals",
            "INSERT state checkpoint",
            "commit INSERT live",
            "committed INSERT live",
            "INSERT state log_start",
            "committed INSERT state log_start",
          ]),
        );
      });
    }

    test("at every step of a snapshot that it sends loses nothing", async () => {
      const passed = await everyStepOfSnapshot("sender", () => end);
      const steps = [
        "SELECT records",
        "SELECT live",
        "SELECT arrivals",
        "INSERT records",
        "committed INSERT live",
      ];
      expect([...passed]).toEqual(expect.arrayContaining(steps));
    });
  });
}

for (const [turn, end] of (ALL ? ENDS : ENDS.slice(0, 1)).entries()) {
  test(`a replica ${ALL ? end : "struck down"} at every step of a snapshot that it takes in loses nothing`, async () => {
    const passed = await everyStepOfSnapshot("receiver", (at) => ENDS[ALL ? turn : at % ENDS.length] ?? end);
    expect([...passed]).toEqual(
      expect.arrayContaining([
        "CREATE records",
        "INSERT records",
        "commit DELETE records",
        "committed DELETE records",
        "DELETE live",
        "INSERT live",
        "INSERT arrivals",
        "DELETE log",
        "INSERT state checkpoint",
        "DROP records",
        "DROP arrivals",
        "commit DELETE log",
        "committed DELETE log",
      ]),
    );
  });
}
