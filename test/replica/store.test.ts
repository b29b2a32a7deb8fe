/** The stored log against the simplest model of one: an array. And the platform's limit for a row. */
import { afterEach, describe, expect, test } from "vitest";
import type { Command } from "../../src/coordinator/commands.ts";
import type { LogEntry } from "../../src/replica/codec.ts";
import { Store } from "../../src/replica/store.ts";
import { Random } from "../simulation/random.ts";
import { Group, NAMES, rowsOf } from "./harness.ts";
import { Disk, storageOn } from "./platform.ts";

const ROW_BYTES_MAX = 2_000_000;
const EVERYTHING = Number.MAX_SAFE_INTEGER;
const LARGE = "z".repeat(900_000);

function entry(index: number, term: number, id: string, text = ""): LogEntry {
  const command: Command = { v: 1, id, type: "append-event", kind: "noted", body: text };
  return { type: "command", term, index, time: 1, command };
}

/** What the model compares: place, term and command. */
const shown = (entries: readonly LogEntry[]) =>
  entries.map(({ index, term, ...rest }) => [index, term, "command" in rest && rest.command.id]);

/** Storage, and the places of the rows of the log whose entries were read. */
function countingReads(disk: Disk): {
  readonly storage: DurableObjectStorage;
  readonly bodies: readonly number[];
} {
  const bodies: number[] = [];
  const storage = storageOn(disk);
  const { exec } = storage.sql;
  const counted: typeof exec = (query, ...bindings) => {
    if (query.includes("body FROM log")) bodies.push(Number(bindings[0]));
    return exec(query, ...bindings);
  };
  storage.sql.exec = counted;
  return { storage, bodies };
}

/** Drives a store and an array alike through appends, replaced tails, commits and restarts. */
class Run {
  readonly #random: Random;
  readonly #disk = new Disk();
  #store = new Store(storageOn(this.#disk));
  #model: LogEntry[] = [];
  #term = 1;
  #commit = 0;
  #written = 0;
  restarts = 0;
  truncations = 0;
  cuts = 0;

  /** How often a write is of entries so large that old rows leave the cache. */
  readonly #large: number;

  constructor(seed: number, large: number) {
    this.#random = new Random(seed);
    this.#large = large;
  }

  step(): void {
    const kind = this.#random.next();
    if (kind < 0.6) this.#write();
    else if (kind < 0.7) this.#advanceCommit();
    else if (kind < 0.73) this.#restart();
    else if (kind < 0.78) this.#cut();
    // Released entries are still there for whoever asks, and may be replaced.
    else if (kind < 0.83) this.#store.log.release(this.#random.between(0, this.#model.length));
    else this.#read();
    expect(this.#store.log.lastIndex).toBe(this.#model.length);
  }

  compare(): void {
    const { length } = this.#model;
    const { firstIndex } = this.#store.log;
    const left = this.#model.slice(firstIndex - 1);
    expect(shown(this.#store.log.read(firstIndex, length + 1, EVERYTHING))).toEqual(shown(left));
    for (const { index, term } of left) expect(this.#store.log.termAt(index)).toBe(term);
    expect(this.#store.log.termAt(length + 1)).toBeUndefined();
    for (const { bytes } of rowsOf(this.#disk)) expect(bytes).toBeLessThan(ROW_BYTES_MAX);
  }

  #write(): void {
    const { length } = this.#model;
    let first = length + 1;
    if (length > this.#commit && this.#random.chance(0.25)) {
      first = this.#random.between(this.#commit + 1, length);
      this.#term++;
      this.truncations++;
    } else if (this.#random.chance(0.1)) this.#term++;
    const large = this.#random.chance(this.#large);
    const count = large
      ? this.#random.between(1, 4)
      : this.#random.between(1, this.#random.chance(0.05) ? 1000 : 8);
    const text = large ? LARGE : "";
    // A new leader may bring entries that are older than the ones they replace.
    let term = this.#model[first - 2]?.term ?? 1;
    const entries = Array.from({ length: count }, (_, at) => {
      if (at === 0 || this.#random.chance(0.1)) term = this.#random.between(term, this.#term);
      return entry(first + at, term, `command-${++this.#written}`, text);
    });
    this.#model = [...this.#model.slice(0, first - 1), ...entries];
    this.#store.write({ entries, hardState: { term: this.#term, commit: this.#commit }, mustSync: true });
  }

  #advanceCommit(): void {
    this.#commit = this.#random.between(this.#commit, this.#model.length);
    this.#store.hint({ term: this.#term, commit: this.#commit });
  }

  #restart(): void {
    this.restarts++;
    if (this.#random.chance(0.5)) this.#checkpoint();
    this.#store = new Store(storageOn(this.#disk));
    const { commit, term } = this.#store.hardState();
    expect(commit).toBeLessThanOrEqual(this.#commit);
    expect(term).toBe(this.#written === 0 ? 0 : this.#term);
    // What is forgotten of the hint is forgotten by everybody.
    this.#store.hint({ term: this.#term, commit: this.#commit });
  }

  /** What is committed is in the tables from here on. */
  #checkpoint(): void {
    const { index, term, time } = this.#model[this.#commit - 1] ?? { index: 0, term: 0, time: 0 };
    if (index === 0) return;
    const configuration = { type: "stable", voters: ["a"], learners: [] } as const;
    this.#store.openTables();
    const handle = this.#store.handle(index);
    this.#store.writeCheckpoint({ last: { index, term, time }, configuration, handle }, []);
  }

  #cut(): void {
    this.#checkpoint();
    const { firstIndex } = this.#store.log;
    const through = this.#random.between(0, this.#commit);
    const removed = this.#store.cutLog(through, this.#random.between(1, 20));
    if (removed > 0) this.cuts++;
    expect(this.#store.log.firstIndex).toBe(firstIndex + removed);
    expect(this.#store.log.firstIndex).toBeLessThanOrEqual(Math.max(firstIndex, through + 1));
  }

  #read(): void {
    const { length } = this.#model;
    const { firstIndex } = this.#store.log;
    if (length < firstIndex) return;
    const from = this.#random.between(firstIndex, length);
    const to = this.#random.between(from + 1, length + 1);
    const all = this.#random.chance(0.7);
    const got = this.#store.log.read(from, to, all ? EVERYTHING : this.#random.between(1, 2000));
    expect(got.length).toBeGreaterThan(0);
    if (all) expect(got.length).toBe(to - from);
    expect(shown(got)).toEqual(shown(this.#model.slice(from - 1, from - 1 + got.length)));
    const at = this.#random.between(firstIndex - 1, length + 1);
    expect(this.#store.log.termAt(at)).toBe(at === 0 ? 0 : this.#model[at - 1]?.term);
  }
}

test("tables of the version before are refused by name, and code of that version refuses these", () => {
  const disk = new Disk();
  const identity = { name: "coordinator-1", incarnation: "a" };
  new Store(storageOn(disk)).setState("identity", identity);
  expect(new Store(storageOn(disk)).state("identity")).toEqual({ v: 2, ...identity });
  disk.exec("UPDATE state SET body = ? WHERE key = 'identity'", [JSON.stringify({ v: 1, ...identity })]);
  expect(() => new Store(storageOn(disk))).toThrow(/of version 1, of which this code reads none/);
});

describe("the stored log", () => {
  const RUNS = [
    { seed: 1, steps: 800, large: 0 },
    { seed: 2, steps: 800, large: 0 },
    { seed: 3, steps: 800, large: 0.01 },
    { seed: 4, steps: 160, large: 0.5 },
    { seed: 6, steps: 160, large: 0.5 },
  ];
  for (const { seed, steps, large } of RUNS) {
    test(`holds what an array would hold, through ${steps} random steps (seed ${seed}, large ${large})`, () => {
      const run = new Run(seed, large);
      for (let step = 0; step < steps; step++) run.step();
      run.compare();
      expect(run.restarts).toBeGreaterThan(0);
      expect(run.truncations).toBeGreaterThan(5);
      expect(run.cuts).toBeGreaterThan(2);
    });
  }

  test("knows after a restart what was committed, at the latest from the row that came next", () => {
    const disk = new Disk();
    const store = new Store(storageOn(disk));
    store.write({ entries: [entry(1, 1, "a")], hardState: { term: 1, commit: 0 }, mustSync: true });
    store.hint({ term: 1, commit: 1 });
    expect(new Store(storageOn(disk)).hardState().commit).toBe(0);
    store.write({ entries: [entry(2, 1, "b")], mustSync: true });
    expect(new Store(storageOn(disk)).hardState().commit).toBe(1);
  });

  test("never claims more committed than it holds, though a tail was replaced by a shorter one", () => {
    const disk = new Disk();
    const store = new Store(storageOn(disk));
    const entries = [entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")];
    store.write({ entries, hardState: { term: 1, commit: 0 }, mustSync: true });
    store.write({ entries: [entry(2, 2, "d")], hardState: { term: 2, commit: 1 }, mustSync: true });
    const again = new Store(storageOn(disk));
    expect(again.hardState()).toMatchObject({ term: 2, commit: 1 });
    expect(shown(again.log.read(1, 4, EVERYTHING))).toEqual([
      [1, 1, "a"],
      [2, 2, "d"],
    ]);
  });

  test("may be replaced from before what is kept in memory, and again from after it", () => {
    const store = new Store(storageOn(new Disk()));
    const replaceFrom = (first: number, count: number, term: number, text = "") => {
      for (let index = first; index < first + count; index++) {
        store.write({ entries: [entry(index, term, `${term}-${index}`, text)], mustSync: true });
      }
    };
    replaceFrom(1, 24, 1, LARGE);
    replaceFrom(3, 28, 2);
    replaceFrom(25, 3, 3);
    const terms = store.log.read(1, 28, EVERYTHING).map(({ index, term }) => [index, term]);
    expect(terms).toEqual(Array.from({ length: 27 }, (_, at) => [at + 1, at < 2 ? 1 : at < 24 ? 2 : 3]));
  });

  test("is not read at a start as far as the tables hold what it made, and is there for others all the same", () => {
    const disk = new Disk();
    const store = new Store(storageOn(disk));
    for (const [index, term] of [1, 1, 2, 3, 3].entries()) {
      store.write({ entries: [entry(index + 1, term, `command-${index}`)], mustSync: true });
    }
    store.openTables();
    const configuration = { type: "stable", voters: ["a"], learners: [] } as const;
    const last = { index: 3, term: 2, time: 1 };
    store.writeCheckpoint({ last, configuration, handle: store.handle(3) }, []);
    const { storage, bodies } = countingReads(disk);
    const { log } = new Store(storage);
    expect(bodies).toEqual([4, 5]);
    expect([0, 1, 2, 3, 4, 5, 6].map((index) => log.termAt(index))).toEqual([0, 1, 1, 2, 3, 3, undefined]);
    expect(shown(log.read(2, 5, EVERYTHING)).map(([index, term]) => [index, term])).toEqual([
      [2, 1],
      [3, 2],
      [4, 3],
    ]);
  });

  test("keeps entries in memory until they are released, and reads them from their rows from then on", () => {
    const { storage, bodies } = countingReads(new Disk());
    const store = new Store(storage);
    const write = (index: number) =>
      store.write({ entries: [entry(index, 1, `command-${index}`)], mustSync: true });
    const read = (from: number, to: number) => store.log.read(from, to, EVERYTHING).map(({ index }) => index);
    for (let index = 1; index <= 6; index++) write(index);
    expect(read(1, 7)).toEqual([1, 2, 3, 4, 5, 6]);
    store.log.release(4);
    expect(read(4, 7)).toEqual([4, 5, 6]);
    expect(bodies).toEqual([]);
    expect(read(2, 6)).toEqual([2, 3, 4, 5]);
    expect(bodies).toEqual([2, 3]);
    store.log.release(100);
    write(7);
    expect(read(6, 8)).toEqual([6, 7]);
    expect(bodies).toEqual([2, 3]);
    expect(read(5, 8)).toEqual([5, 6, 7]);
    expect(bodies).toEqual([2, 3, 5]);
  });

  test("writes entries of two terms as two rows, in one step", () => {
    const disk = new Disk();
    const storage = storageOn(disk);
    let steps = 0;
    const { transactionSync } = storage;
    storage.transactionSync = (work) => {
      steps++;
      return transactionSync(work);
    };
    const store = new Store(storage);
    store.write({ entries: [entry(1, 1, "a")], hardState: { term: 2, commit: 0 }, mustSync: true });
    const before = steps;
    store.write({ entries: [entry(2, 1, "b"), entry(3, 2, "c")], mustSync: true });
    expect(rowsOf(disk).map(({ first, last }) => [first, last])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(steps).toBe(before + 1);
    store.write({ entries: [entry(4, 2, "d")], mustSync: true });
    expect(steps).toBe(before + 1);
  });

  test("writes new rows in the places of those that were cut away, and deletes only what is large", () => {
    const disk = new Disk();
    const store = new Store(storageOn(disk));
    store.openTables();
    const configuration = { type: "stable", voters: ["a"], learners: [] } as const;
    for (let index = 1; index <= 500; index++) {
      const text = index % 50 === 0 ? LARGE : "";
      const before = store.rowsWritten;
      store.write({ entries: [entry(index, 1, `command-${index}`, text)], mustSync: true });
      expect(store.rowsWritten).toBe(before + 1);
      if (index % 40 !== 0) continue;
      const last = { index, term: 1, time: 1 };
      store.writeCheckpoint({ last, configuration, handle: store.handle(index) }, []);
      const cut = store.rowsWritten;
      expect(store.cutLog(index - 5, 100)).toBeGreaterThan(0);
      // Where the log begins, and the large one.
      expect(store.rowsWritten).toBeLessThanOrEqual(cut + 2);
    }
    expect(disk.exec("SELECT 1 FROM log", []).rows.length).toBeLessThan(60);
    const log = new Store(storageOn(disk)).log;
    expect(log.read(log.firstIndex, 501, EVERYTHING).map(({ index }) => index)).toEqual(
      Array.from({ length: 501 - log.firstIndex }, (_, at) => log.firstIndex + at),
    );
  });

  test("writes a batch as one row", () => {
    const disk = new Disk();
    const store = new Store(storageOn(disk));
    store.write({
      entries: Array.from({ length: 300 }, (_, at) => entry(at + 1, 1, `command-${at}`)),
      mustSync: true,
    });
    expect(rowsOf(disk)).toMatchObject([{ first: 1, last: 300 }]);
    expect(store.rowsWritten).toBe(1);
  });
});

describe("a row of the log stays below the platform's limit", () => {
  const TEXTS = {
    "of one byte": "y".repeat(900_000),
    "of two bytes": "ß".repeat(450_000),
    "of three bytes": "語".repeat(300_000),
    "of four bytes": "𝄞".repeat(225_000),
    "that JSON escapes": "\u0001".repeat(150_000),
    "that stand alone for half a character": "\ud834".repeat(150_000),
    "that are mostly of one byte": `${"y".repeat(600_000)}${"語".repeat(100_000)}`,
  };
  for (const [characters, text] of Object.entries(TEXTS)) {
    test(`with characters ${characters}`, () => {
      const disk = new Disk();
      const entries = Array.from({ length: 5 }, (_, at) => entry(at + 1, 1, `command-${at}`, text));
      new Store(storageOn(disk)).write({ entries, mustSync: true });
      for (const { bytes } of rowsOf(disk)) expect(bytes).toBeLessThan(ROW_BYTES_MAX);
      const again = new Store(storageOn(disk)).log.read(1, 6, EVERYTHING);
      expect(again).toEqual(entries);
    });
  }

  test("on every replica, and a command that no row could hold is refused", async () => {
    const group = await Group.founded();
    try {
      const event = (units: number) => ({
        type: "append-event",
        kind: "noted",
        body: JSON.stringify({ text: "語".repeat(units) }),
      });
      const answers = [event(300_000), event(300_000), event(300_000), event(700_000)].map((body) =>
        group.propose(body),
      );
      const given = await group.time.outcome(Promise.all(answers));
      expect(given.map(({ type }) => type)).toEqual(["applied", "applied", "applied", "unavailable"]);
      expect(given[3]).toMatchObject({ code: "too-large" });
      await group.time.pass(500);
      for (const name of NAMES) {
        const rows = rowsOf(group.platform.instance(name).disk);
        expect(rows.at(-1)?.last).toBeGreaterThanOrEqual(4);
        for (const { bytes } of rows) expect(bytes).toBeLessThan(ROW_BYTES_MAX);
      }
    } finally {
      group.release();
    }
  });
});

describe("a group at work", () => {
  let group: Group;
  afterEach(() => group.release());

  test("reads no entry from its rows, also not for a replica that was away for a while", async () => {
    group = await Group.founded({ variables: { CHECKPOINT_ENTRIES: "40", LOG_TAIL_ENTRIES: "20" } });
    const reads: string[] = [];
    for (const name of NAMES) {
      const { disk } = group.platform.instance(name);
      const exec = disk.exec.bind(disk);
      disk.exec = (query, bindings) => {
        if (query.includes("body FROM log")) reads.push(name);
        return exec(query, bindings);
      };
    }
    const write = async (count: number): Promise<void> => {
      for (let nth = 0; nth < count; nth++) {
        const answer = await group.time.outcome(
          group.propose({ type: "append-event", kind: "noted", body: `"${nth}"`, id: crypto.randomUUID() }),
        );
        expect(answer.type).toBe("applied");
      }
    };
    await write(100);
    expect(reads).toEqual([]);
    const [away] = group.followers;
    group.platform.fate = ({ from, to }) => (from.name === away || to === away ? "lost" : "arrives");
    await write(15);
    group.platform.fate = () => "arrives";
    await write(100);
    await group.time.pass(1_000);
    const last = NAMES.map((name) => rowsOf(group.platform.instance(name).disk).at(-1)?.last);
    expect(last).toEqual(NAMES.map(() => last[0]));
    expect(reads).toEqual([]);
  });
});
