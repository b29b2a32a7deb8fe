/**
 * The two halves of a snapshot in place, on SQLite, without a group around them: what is sent again, what is kept, and
 * how far the sender goes to meet a receiver.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pull, type PullOutcome } from "../../src/replica/pull.ts";
import { RowsDigest } from "../../src/replica/rows-digest.ts";
import { Sending, type TransferAnswer, type TransferRequest } from "../../src/replica/sending.ts";
import { Store } from "../../src/replica/store.ts";
import { Tables } from "../../src/replica/tables.ts";
import { storedRecords } from "../support/records.ts";
import { idsThatShare } from "../support/shared-places.ts";
import { Disk, storageOn } from "./platform.ts";

const CONFIGURATION = { type: "stable", voters: ["a"], learners: [] } as const;
const OTHER = "other";

/** A replica's storage with events in its tables. */
class Side {
  readonly disk = new Disk();
  readonly store = new Store(storageOn(this.disk));
  readonly sending = new Sending(this.store, () => {});
  #index = 0;

  constructor() {
    this.store.openTables();
  }

  /** A checkpoint with these events in it; without a text they are gone. */
  checkpoint(events: Iterable<readonly [seq: number, text: string | undefined]>): void {
    const { tables } = this.store;
    const changed = [];
    for (const [seq, text] of events) {
      const key = String(seq);
      if (text === undefined) tables.delete("events", key);
      else tables.put("events", key, { v: 1, seq, log_index: seq, time: 0, kind: "noted", body: text });
      changed.push({ table: "events" as const, key });
    }
    this.#index += changed.length;
    const last = { index: this.#index, term: 1, time: 0 };
    const handle = this.store.handle(this.#index);
    this.sending.moved();
    this.store.writeCheckpoint({ last, configuration: CONFIGURATION, handle }, changed, (table, key, body) =>
      this.sending.changing(table, key, body),
    );
  }
}

interface Transfer {
  readonly outcome: PullOutcome;
  readonly pull: Pull;
  readonly answers: readonly TransferAnswer[];
}

/** Pulls `from` into `into`, as it is; `before` each request something may happen, and its answer may be lost. */
async function transfer(
  from: Side,
  into: Side,
  before: (request: TransferRequest, nth: number) => "lost" | undefined = () => undefined,
): Promise<Transfer> {
  const generation = into.store.stage();
  const answers: TransferAnswer[] = [];
  const pull = new Pull({
    generation,
    fill: (work) => into.store.fillStaged(generation, work),
    ask: async (request) => {
      for (;;) {
        const fate = before(request, answers.length);
        // What travels is text.
        const answer = JSON.parse(JSON.stringify(from.sending.answer(OTHER, request, 0))) as TransferAnswer;
        if (fate === "lost") continue;
        answers.push(answer);
        return answer;
      }
    },
    tell: (request) => void from.sending.answer(OTHER, request, 0),
  });
  return { outcome: await pull.run(), pull, answers };
}

/** What was pulled, as if it were in use. */
function stagedRecords(into: Side, number = 1): readonly string[] {
  return storedRecords((query) => into.disk.exec(query, []).rows, number)
    .map((record) => record.join(" "))
    .sort();
}

function sameRecords(from: Side, into: Side): void {
  expect(stagedRecords(into)).toEqual(stagedRecords(from, 0));
}

const events = (from: number, count: number, text: string) =>
  Array.from({ length: count }, (_, at) => [from + at, text] as const);

describe("a transfer", () => {
  test("brings every record through changes before, behind and at the place that it has come to", async () => {
    const [from, into] = [new Side(), new Side()];
    from.checkpoint(events(1000, 6_000, "first"));
    const { outcome, answers } = await transfer(from, into, (_, nth) => {
      if (nth > 0 && nth < 6) {
        from.checkpoint([
          [1000 + nth, `again ${nth}`],
          [1000 + nth * 1_000, `again ${nth}`],
          [6_999 - nth, `again ${nth}`],
          [6_900 - nth, undefined],
          [1_200 + nth, undefined],
          [8_000 + nth, "new"],
        ]);
      }
      return undefined;
    });
    expect(outcome).toMatchObject({ type: "complete", snapshot: { last: { index: 6_030 } } });
    expect(answers.length).toBeGreaterThan(8);
    sameRecords(from, into);
  });

  test("loses nothing with answers that are lost, of whatever kind", async () => {
    const [from, into] = [new Side(), new Side()];
    from.checkpoint(events(1000, 4_000, "first"));
    const lost = new Set<string>();
    let changes = 0;
    const { outcome } = await transfer(from, into, ({ step }, nth) => {
      // Each request's first answer is lost, and meanwhile something changes.
      const name = `${step.type} ${nth}`;
      if (lost.has(name)) return undefined;
      lost.add(name);
      if (++changes < 12) from.checkpoint([[1_000 + 7 * changes, `again ${changes}`]]);
      return "lost";
    });
    expect(outcome.type).toBe("complete");
    expect(new Set([...lost].map((name) => name.split(" ")[0]))).toEqual(
      new Set(["records", "pin", "live", "arrivals"]),
    );
    sameRecords(from, into);
  });

  test("begins anew behind more changes than the sender remembers, and what has not changed is not sent again", async () => {
    const [from, into] = [new Side(), new Side()];
    const text = "x".repeat(200);
    from.checkpoint(events(100_000, 30_000, text));
    let changed = false;
    const first = await transfer(from, into, (_, nth) => {
      if (changed || nth < 24) return undefined;
      changed = true;
      for (let at = 0; at < 20_001; at += 500) {
        from.checkpoint(Array.from({ length: 500 }, (_, one) => [100_000 + at + one, "changed"] as const));
      }
      return undefined;
    });
    expect(first.outcome).toEqual({ type: "forgotten" });
    expect(stagedRecords(into).length).toBeGreaterThan(20_000);
    // As a replica that was started again meanwhile.
    from.checkpoint(Array.from({ length: 20_500 }, (_, one) => [100_000 + one, text] as const));
    from.checkpoint([[110_000, "changed"]]);
    const again = await transfer(from, into);
    expect(again.outcome.type).toBe("complete");
    const [, rows, kept] = /rows=(\d+) kept=(\d+)/.exec(again.pull.summary) ?? [];
    expect(Number(kept)).toBeGreaterThan(18_000);
    expect(Number(kept) + Number(rows)).toBe(30_000);
    sameRecords(from, into);
  });

  test("keeps nothing of an earlier attempt that the sender does not have", async () => {
    const [other, from, into] = [new Side(), new Side(), new Side()];
    other.checkpoint([...events(1000, 3_000, "other"), ...events(8000, 2_000, "other")]);
    from.checkpoint([...events(1000, 900, "other"), ...events(5000, 2_500, "ours")]);
    await transfer(other, into);
    expect(stagedRecords(into)).toHaveLength(5_000);
    expect((await transfer(from, into)).outcome.type).toBe("complete");
    sameRecords(from, into);
  });

  test("finds keys in the order of the database, whatever characters they are made of", async () => {
    const [from, into] = [new Side(), new Side()];
    const keys = ["a", "z", "é", "語", "\ue000", "\uffee", "😀", "𝄞", "a😀", "a\uffee", "a語"];
    const put = (key: string, number: number): void => {
      const record = { v: 1 as const, time: number, digest: "d", index: number, outcome: {} };
      from.store.tables.put("keys", key, record);
    };
    for (const key of keys) for (let at = 0; at < 300; at++) put(`${key} ${at}`, at);
    from.checkpoint([[1, "one"]]);
    const { outcome } = await transfer(from, into, (_, nth) => {
      for (const key of keys) put(`${key} ${nth}`, 1_000 + nth);
      if (nth < 6) from.checkpoint([[nth, "more"]]);
      return undefined;
    });
    expect(outcome.type).toBe("complete");
    sameRecords(from, into);
  });

  test("brings records of all kinds, also those that share their rows, whatever it finds and whatever changes meanwhile", async () => {
    const shared = idsThatShare(20).flat();
    const step = fc.record({
      table: fc.constantFrom("inputs", "keys", "content"),
      nth: fc.nat(shared.length - 1),
      text: fc.option(fc.string({ maxLength: 30 }), { nil: undefined, freq: 3 }),
      /** Fills a chunk by itself. */
      large: fc.boolean(),
    });
    const steps = fc.array(step, { maxLength: 40 });
    type Change = typeof step extends fc.Arbitrary<infer One> ? One : never;
    const change = (side: Side, { table, nth, text = "", large }: Change): void => {
      const { tables } = side.store;
      const key = shared[nth] ?? "";
      const long = large ? text.padEnd(100_000, '"') : text;
      if (text === "") tables.delete(table, key);
      else if (table === "inputs") tables.put("inputs", key, { v: 1, input: { long } });
      else if (table === "content") tables.put("content", key, { v: 1, task_id: long });
      else tables.put("keys", key, { v: 1, time: 0, digest: long, index: 0, outcome: {} });
    };
    await fc.assert(
      fc.asyncProperty(steps, steps, steps, fc.nat(9), async (theirs, stale, meanwhile, cutOff) => {
        const [from, into, other] = [new Side(), new Side(), new Side()];
        for (const one of [...theirs, ...stale]) change(other, one);
        other.checkpoint(events(1, 300, "other"));
        // What an earlier attempt has brought of another state, up to somewhere.
        await transfer(other, into, (_, nth) => {
          if (nth >= cutOff) throw new Error("cut off");
          return undefined;
        }).catch(() => undefined);
        for (const one of theirs) change(from, one);
        from.checkpoint(events(1, 400, "ours"));
        const { outcome } = await transfer(from, into, (_, nth) => {
          for (const one of meanwhile.slice(nth * 4, nth * 4 + 4)) change(from, one);
          if (meanwhile.length > nth * 4) from.checkpoint([[nth, "again"]]);
          return undefined;
        });
        expect(outcome.type).toBe("complete");
        sameRecords(from, into);
      }),
      { numRuns: 60 },
    );
  });
});

describe("number and digest of rows", () => {
  const rows = Array.from(
    { length: 50 },
    (_, at) => ["records", "events", String(at), `{"a":${at}}`] as const,
  );

  test("are the same in any order, and after a detour", () => {
    const digest = RowsDigest.of(rows.toReversed());
    digest.add(["records", "events", "more", "{}"]);
    digest.remove(["records", "events", "more", "{}"]);
    expect(digest.check).toEqual(RowsDigest.of(rows).check);
    expect(digest.equals(RowsDigest.of(rows).check)).toBe(true);
  });

  test("are others for any other character, key, table, or column that a character is in", () => {
    const variants = [
      ["records", "events", "7", '{"a":8}'],
      ["records", "events", "77", '{"a":7}'],
      ["records", "keys", "7", '{"a":7}'],
      ["records", "events", "7{", '"a":7}'],
      ["live", 7, '{"a":7}'],
    ] as const;
    const seen = new Set(variants.map((row) => RowsDigest.of([...rows, row]).check.digest));
    expect(seen.size).toBe(variants.length);
    for (const at of rows.keys()) seen.add(RowsDigest.of(rows.toSpliced(at, 1)).check.digest);
    expect(seen.size).toBe(variants.length + rows.length);
  });
});

test("tables opened on what was pulled are those of the sender", async () => {
  const [from, into] = [new Side(), new Side()];
  from.checkpoint(events(1, 100, "text"));
  await transfer(from, into);
  const tables = new Tables(storageOn(into.disk).sql, 1);
  expect(tables.get("events", "42")).toEqual(from.store.tables.get("events", "42"));
  expect(tables.get("events", "101")).toBeUndefined();
});
