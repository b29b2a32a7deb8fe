/**
 * How circuits share provers' time: a short one does not wait behind a long one, however many of those there are, and
 * none is ever forgotten for another.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CommandBody } from "../../src/coordinator/index.ts";
import { OWED_MS_MAX, PRIORITY_RUN_MS, Shares } from "../../src/coordinator/shares.ts";
import { Machine } from "./machine.ts";

const RUN_MS: Readonly<Record<string, number>> = { range: 1_000, merkle: 10_000, credential: 60_000 };
const ALL = Object.keys(RUN_MS);

/** Workers with one slot each that prove without a pause, as long as there is something to prove. */
class Floor {
  readonly machine = new Machine();
  /** Milliseconds of provers' time that each circuit was given. */
  readonly given: Record<string, number> = {};
  readonly #busy = new Map<string, { readonly until: number; readonly lease_id: string }>();
  readonly #workers: readonly string[];
  #tasks = 0;

  constructor(workers: Readonly<Record<string, readonly string[]>>) {
    this.#workers = Object.keys(workers);
    for (const [worker_id, circuits] of Object.entries(workers))
      this.machine.register(worker_id, { slots: 1, circuits });
  }

  submit(circuit: string, count = 1, priority = 0): string {
    for (let left = count; left > 0; left--)
      this.machine.submit({ task_id: `${circuit}-${++this.#tasks}`, circuit, priority });
    return `${circuit}-${this.#tasks}`;
  }

  /** Goes on for `ms`, or until `holds`; gives how long that took. */
  run(ms: number, holds: () => boolean = () => false): number {
    const { machine } = this;
    const began = machine.time;
    while (machine.time < began + ms) {
      for (const worker_id of this.#workers) if (!this.#busy.has(worker_id)) this.#pull(worker_id);
      if (holds()) break;
      const [first] = [...this.#busy].sort(([, a], [, b]) => a.until - b.until);
      if (first === undefined) return machine.time - began;
      const [worker_id, { until, lease_id }] = first;
      machine.time = until;
      machine.complete(lease_id, worker_id);
      this.#busy.delete(worker_id);
    }
    return machine.time - began;
  }

  has(task_id: string, status: "begun" | "waits"): boolean {
    return (this.machine.task(task_id).status === "pending") === (status === "waits");
  }

  #pull(worker_id: string): void {
    const [lease_id = ""] = this.machine.grant(worker_id, 1);
    if (lease_id === "") return;
    const [circuit = ""] = lease_id.split("-");
    const ms = RUN_MS[circuit] ?? 0;
    this.#busy.set(worker_id, { until: this.machine.time + ms, lease_id });
    this.given[circuit] = (this.given[circuit] ?? 0) + ms;
  }
}

describe("a short proof", () => {
  test("goes next, however many long ones have waited before it and for however long", () => {
    const floor = new Floor({ w: ALL });
    floor.submit("credential", 500);
    floor.run(4 * 3_600_000);
    const short = floor.submit("range");
    expect(floor.run(3_600_000, () => floor.has(short, "begun"))).toBe(0);
  });

  test("is given its share beside them: as much of the provers' time, so sixty times as many", () => {
    const floor = new Floor({ v: ALL, w: ALL });
    floor.submit("credential", 300);
    floor.submit("range", 10_000);
    floor.run(2 * 3_600_000);
    const { credential = 0, range = 0 } = floor.given;
    expect(credential / range).toBeGreaterThan(0.9);
    expect(credential / range).toBeLessThan(1.1);
  });

  test("goes next also where it had none to give for hours while others were served", () => {
    const floor = new Floor({ only: ["credential"], both: ["credential", "range"] });
    floor.submit("range", 10);
    floor.run(60_000);
    floor.submit("credential", 1_000);
    floor.run(5 * 3_600_000);
    const short = floor.submit("range");
    expect(floor.run(3_600_000, () => floor.has(short, "begun"))).toBeLessThanOrEqual(RUN_MS.credential ?? 0);
  });
});

describe("what a circuit is owed", () => {
  test("does not grow while it has no tasks, nor beyond five minutes while nobody can prove it", () => {
    const floor = new Floor({ w: ["merkle", "range"] });
    floor.submit("range", 20_000);
    floor.submit("credential", 1_000);
    floor.run(4 * 3_600_000);
    floor.submit("merkle", 5_000);
    const before = { ...floor.given };
    floor.run(3_600_000);
    expect((floor.given.range ?? 0) - (before.range ?? 0)).toBeGreaterThanOrEqual(
      (3_600_000 - OWED_MS_MAX) / 2 - 10_000,
    );
    floor.machine.register("late", { slots: 1, circuits: ["credential", "range"] });
    const late: string[] = [];
    while (late.filter((lease_id) => lease_id.startsWith("range")).length < 2) {
      const [lease_id = ""] = floor.machine.grant("late", 1);
      late.push(lease_id);
      const [circuit = ""] = lease_id.split("-");
      floor.machine.time += RUN_MS[circuit] ?? 0;
      floor.machine.complete(lease_id, "late");
    }
    const credential = late.filter((lease_id) => lease_id.startsWith("credential")).length;
    expect(credential * (RUN_MS.credential ?? 0)).toBeLessThanOrEqual(
      OWED_MS_MAX + 2 * (RUN_MS.credential ?? 0),
    );
  });
});

describe("priority between circuits", () => {
  test("lets an urgent task go first, short or long", () => {
    const floor = new Floor({ w: ALL });
    floor.submit("range", 100);
    floor.submit("merkle", 50);
    floor.submit("credential", 2);
    floor.run(3_600_000);
    floor.submit("range", 100);
    floor.submit("merkle", 100);
    const urgent = floor.submit("credential", 1, 100);
    expect(floor.machine.grant("w", 1)).toEqual([`${urgent}.1`]);
  });

  test("does not starve the others: they wait for no more than the difference in provers' time and a run", () => {
    const floor = new Floor({ w: ALL });
    floor.submit("range", 30, 0);
    floor.run(3_600_000);
    floor.submit("merkle", 10_000, 100);
    const lowest = floor.submit("range", 1, -100);
    const waited = floor.run(24 * 3_600_000, () => floor.has(lowest, "begun"));
    expect(waited).toBeLessThanOrEqual(200 * PRIORITY_RUN_MS + 2 * (RUN_MS.merkle ?? 0));
  });
});

test("of any heads, whatever has been given to whom, every circuit gets its turn within a bounded time", () => {
  const shares = fc.record({
    served_ms: fc.nat(10 ** 12),
    run_ms: fc.integer({ min: 5_000, max: 3_600_000 }),
  });
  const circuits = ["a", "b", "c"] as const;
  const heads = fc.tuple(...circuits.map(() => fc.integer({ min: -100, max: 100 })));
  fc.assert(
    fc.property(fc.tuple(shares, shares, shares), heads, ([a, b, c], priorities) => {
      const turns = new Shares({ a, b, c }).turns();
      const waiting = circuits.map((circuit, at) => ({ circuit, priority: priorities[at] ?? 0 }));
      const runs = { a: a.run_ms, b: b.run_ms, c: c.run_ms };
      const given: Record<string, number> = { a: 0, b: 0, c: 0 };
      const served = new Set<string>();
      for (let turn = 0; served.size < circuits.length; turn++) {
        if (turn > 10_000) throw new Error(`only ${[...served]} have had a turn`);
        const head = turns.next(waiting, () => false);
        if (head === undefined) throw new Error("nobody's turn");
        turns.took(head.circuit);
        served.add(head.circuit);
        given[head.circuit] = (given[head.circuit] ?? 0) + runs[head.circuit];
      }
      const bound = OWED_MS_MAX + 200 * PRIORITY_RUN_MS + 2 * Math.max(...Object.values(runs));
      for (const circuit of circuits) expect(given[circuit]).toBeLessThanOrEqual(bound);
    }),
    { numRuns: 200 },
  );
});

test("a log from before circuits shared replays to the leases of then, and the first new grant changes the rules", () => {
  const machine = new Machine();
  machine.register("w", { slots: 9, circuits: ["merkle", "range"] });
  const grant = (v: 2 | 3) =>
    machine.apply({
      v,
      type: "grant-leases",
      worker_id: "w",
      boot_id: "boot-1",
      max: 2,
      nonce: "",
    } as CommandBody).outcome;
  for (let at = 0; at < 5; at++) machine.submit({ task_id: `m${at}` });
  machine.submit({ task_id: "r", circuit: "range" });
  expect(grant(2)).toMatchObject({ leases: [{ task_id: "m0" }, { task_id: "m1" }] });
  expect(grant(3)).toMatchObject({ leases: [{ task_id: "m2" }, { task_id: "r" }] });
  machine.submit({ task_id: "s", circuit: "range" });
  expect(grant(2)).toMatchObject({ leases: [{ task_id: "m3" }, { task_id: "s" }] });
});
