/**
 * What a leader concludes from hearing workers and from not hearing them. Proposals are applied here only where a test
 * says so: what applying does with them is tested elsewhere.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { type CommandBody, createLiveness, type Liveness } from "../../src/coordinator/index.ts";
import { Machine, START } from "./machine.ts";

const LEASE_MS = 30_000;
const THIRD = LEASE_MS / 3;

let machine: Machine;
let liveness: Liveness;

beforeEach(() => {
  machine = new Machine();
  machine.register("w", { slots: 3 });
  lead(START);
});

function lead(now: number): void {
  liveness = createLiveness({ coordinator: machine.coordinator, lease_ms: LEASE_MS, now });
}

function beat(now: number, leases: readonly string[] = [], boot_id = "boot-1") {
  const heard = liveness.heartbeat(
    { worker_id: "w", boot_id, leases: leases.map((lease_id) => ({ lease_id })) },
    now,
  );
  if ("type" in heard) throw new Error(heard.code);
  return heard;
}

function apply(bodies: readonly CommandBody[], now: number): readonly CommandBody[] {
  machine.time = now;
  for (const body of bodies) machine.apply(body);
  return bodies;
}

const state = (name: "active" | "suspect" | "dead") =>
  ({ type: "set-worker-state", worker_id: "w", boot_id: "boot-1", state: name }) as const;
const expire = (lease_id: string, reason: "missing" | "timed-out") =>
  ({ type: "expire-lease", lease_id, reason }) as const;

describe("a silent worker", () => {
  test("is suspect after one period and dead after two, not a moment earlier", () => {
    expect(liveness.nextDue).toBe(START + LEASE_MS);
    expect(liveness.due(START + LEASE_MS - 1)).toEqual([]);
    expect(apply(liveness.due(START + LEASE_MS), START + LEASE_MS)).toEqual([state("suspect")]);
    expect(liveness.due(START + 2 * LEASE_MS - 1)).toEqual([]);
    expect(liveness.nextDue).toBe(START + 2 * LEASE_MS);
    expect(apply(liveness.due(START + 2 * LEASE_MS), START + 2 * LEASE_MS)).toEqual([state("dead")]);
    expect(liveness.due(START + 9 * LEASE_MS)).toEqual([]);
    expect(liveness.nextDue).toBeUndefined();
  });

  test("is proposed again only after a third of a period, as long as it was not applied", () => {
    expect(liveness.due(START + LEASE_MS)).toEqual([state("suspect")]);
    expect(liveness.due(START + LEASE_MS)).toEqual([]);
    expect(liveness.nextDue).toBe(START + LEASE_MS + THIRD);
    expect(liveness.due(START + LEASE_MS + THIRD - 1)).toEqual([]);
    expect(liveness.due(START + LEASE_MS + THIRD)).toEqual([state("suspect")]);
  });

  test("that was looked at late is dead no later for that", () => {
    const late = START + 2 * LEASE_MS - 5;
    apply(liveness.due(late), late);
    expect(liveness.nextDue).toBe(START + 2 * LEASE_MS);
    expect(liveness.due(START + 2 * LEASE_MS)).toEqual([state("dead")]);
  });

  test("has one full period anew under a new leader, and so have its leases", () => {
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
    const later = START + 2 * LEASE_MS - 1;
    lead(later);
    expect(liveness.expiresAt("a.1", later)).toBe(later + 2 * LEASE_MS);
    expect(liveness.due(later + LEASE_MS - 1)).toEqual([]);
    expect(liveness.due(later + LEASE_MS)).toEqual([state("suspect")]);
  });

  test("that sends a heartbeat is active at once, and one that pulls with the next look", () => {
    apply(liveness.due(START + LEASE_MS), START + LEASE_MS);
    const now = START + LEASE_MS + 5;
    expect(apply(beat(now).propose, now)).toEqual([state("active")]);
    apply(liveness.due(now + LEASE_MS), now + LEASE_MS);
    liveness.heard("w", "boot-1", now + LEASE_MS + 1);
    expect(liveness.nextDue).toBe(now + LEASE_MS + 1);
    expect(liveness.due(now + LEASE_MS + 1)).toEqual([state("active")]);
  });

  test("that was declared dead is refused until it registers, and then has a full period", () => {
    apply(liveness.due(START + 2 * LEASE_MS), START + 2 * LEASE_MS);
    const now = START + 2 * LEASE_MS + 1;
    expect(liveness.heartbeat({ worker_id: "w", boot_id: "boot-1", leases: [] }, now)).toMatchObject({
      code: "worker-unknown",
    });
    machine.time = now;
    machine.register("w");
    expect(apply(liveness.due(now), now)).toEqual([]);
    expect(liveness.due(now + LEASE_MS - 1)).toEqual([]);
    expect(liveness.due(now + LEASE_MS)).toEqual([state("suspect")]);
  });

  test("registered after this leader began is watched from its registration on", () => {
    const now = START + LEASE_MS / 2;
    beat(now);
    machine.time = now;
    machine.register("v");
    expect(liveness.due(now)).toEqual([]);
    beat(now + LEASE_MS);
    expect(liveness.due(now + LEASE_MS)).toMatchObject([
      { type: "set-worker-state", worker_id: "v", state: "suspect" },
    ]);
  });

  test("that was removed is not spoken of again", () => {
    machine.apply({ type: "remove-worker", worker_id: "w" });
    expect(liveness.due(START + 9 * LEASE_MS)).toEqual([]);
    expect(liveness.nextDue).toBeUndefined();
  });
});

describe("a heartbeat", () => {
  beforeEach(() => {
    for (const task_id of ["a", "b", "c", "d"]) machine.submit({ task_id });
    machine.grant("w", 3);
  });

  test("is refused to strangers and to older processes", () => {
    const heartbeat = (worker_id: string, boot_id: string) =>
      liveness.heartbeat({ worker_id, boot_id, leases: [] }, START);
    expect(heartbeat("stranger", "boot-1")).toMatchObject({ type: "refused", code: "worker-unknown" });
    expect(heartbeat("w", "boot-0")).toMatchObject({ type: "refused", code: "boot-superseded" });
  });

  test("extends the leases that it lists, starts those listed first, and names those it leaves out", () => {
    const now = START + 7;
    const { result, propose } = beat(now, ["a.1", "b.1", "a.1"]);
    const expires_at = new Date(now + 2 * LEASE_MS).toISOString();
    expect(result).toEqual({
      leases: [
        { lease_id: "a.1", directive: "continue", expires_at },
        { lease_id: "b.1", directive: "continue", expires_at },
      ],
      missing: ["c.1"],
    });
    expect(apply(propose, now)).toEqual([{ type: "start-leases", lease_ids: ["a.1", "b.1"] }]);
    expect(beat(now + THIRD, ["a.1", "b.1", "c.1"]).propose).toEqual([
      { type: "start-leases", lease_ids: ["c.1"] },
    ]);
    expect(liveness.expiresAt("a.1", now + THIRD)).toBe(now + THIRD + 2 * LEASE_MS);
    expect(liveness.expiresAt("nonsense", now)).toBeUndefined();
  });

  test("says how far each lease is, until it says otherwise or the lease is over", () => {
    const say = (now: number, leases: readonly { readonly lease_id: string; readonly progress?: number }[]) =>
      liveness.heartbeat({ worker_id: "w", boot_id: "boot-1", leases }, now);
    say(START + 1, [{ lease_id: "a.1", progress: 0.25 }, { lease_id: "b.1" }]);
    expect(["a.1", "b.1", "c.1", "nonsense"].map((lease_id) => liveness.progressOf(lease_id))).toEqual([
      0.25,
      undefined,
      undefined,
      undefined,
    ]);
    say(START + 2, [
      { lease_id: "a.1", progress: 0.5 },
      { lease_id: "b.1", progress: 1 },
    ]);
    expect([liveness.progressOf("a.1"), liveness.progressOf("b.1")]).toEqual([0.5, 1]);
    machine.complete("a.1", "w");
    expect(liveness.progressOf("a.1")).toBeUndefined();
    say(START + 3, []);
    expect(liveness.progressOf("b.1")).toBeUndefined();
  });

  test("is told to cancel what is over and that the rest is lost", () => {
    machine.register("v");
    machine.complete("a.1", "w");
    machine.apply({ type: "expire-lease", lease_id: "b.1", reason: "missing" });
    expect(machine.grant("v", 1)).toEqual(["b.2"]);
    expect(beat(START, ["a.1", "b.1", "b.2", "d.1", "nonsense", ""]).result.leases).toEqual([
      { lease_id: "a.1", directive: "cancel" },
      { lease_id: "b.1", directive: "lost" },
      { lease_id: "b.2", directive: "lost" },
      { lease_id: "d.1", directive: "lost" },
      { lease_id: "nonsense", directive: "lost" },
      { lease_id: "", directive: "lost" },
    ]);
  });

  test("tells the holder of a lease to cancel when a late proof of somebody else was accepted", () => {
    machine.register("v");
    machine.apply({ type: "expire-lease", lease_id: "a.1", reason: "missing" });
    machine.register("x", { slots: 1 });
    expect(machine.grant("x", 1)).toEqual(["a.2"]);
    machine.complete("a.1", "w");
    const heard = liveness.heartbeat(
      { worker_id: "x", boot_id: "boot-1", leases: [{ lease_id: "a.2" }] },
      START,
    );
    expect(heard).toMatchObject({ result: { leases: [{ lease_id: "a.2", directive: "cancel" }] } });
  });
});

describe("a lease", () => {
  beforeEach(() => {
    machine.submit({ task_id: "a" });
    machine.grant("w", 1);
  });

  function beats(from: number, to: number, leases: readonly string[]): CommandBody[] {
    const proposed: CommandBody[] = [];
    for (let now = from; now <= to; now += THIRD)
      proposed.push(...beat(now, leases).propose, ...liveness.due(now));
    return proposed;
  }

  test("that heartbeats leave out for a period is missing, and stays where it is when it is listed again", () => {
    expect(beats(START, START + LEASE_MS - THIRD, [])).toEqual([]);
    apply(beat(START + LEASE_MS - 1, ["a.1"]).propose, START + LEASE_MS - 1);
    const since = START + LEASE_MS;
    expect(beats(since, since + LEASE_MS - THIRD, [])).toEqual([]);
    expect(liveness.nextDue).toBe(since + LEASE_MS);
    beat(since + LEASE_MS, []);
    expect(apply(liveness.due(since + LEASE_MS), since + LEASE_MS)).toEqual([expire("a.1", "missing")]);
    expect(machine.task("a")).toMatchObject({ status: "pending", losses: 1 });
    expect(beats(since + LEASE_MS, since + 3 * LEASE_MS, [])).toEqual([]);
  });

  test("of a silent worker is not missing before the worker is dead", () => {
    beat(START, ["a.1"]);
    apply(liveness.due(START + LEASE_MS), START + LEASE_MS);
    expect(liveness.due(START + 2 * LEASE_MS - 1)).toEqual([]);
    expect(liveness.expiresAt("a.1", START + LEASE_MS)).toBe(START + 2 * LEASE_MS);
    expect(liveness.due(START + 2 * LEASE_MS)).toEqual([state("dead")]);
  });

  test("of a worker that pulls without heartbeats goes back when it expires", () => {
    const proposed: CommandBody[] = [];
    for (let now = START; now < START + 2 * LEASE_MS; now += 1_000) {
      liveness.heard("w", "boot-1", now);
      proposed.push(...liveness.due(now));
    }
    expect(proposed).toEqual([]);
    expect(liveness.due(START + 2 * LEASE_MS)).toEqual([expire("a.1", "missing")]);
    expect(liveness.due(START + 2 * LEASE_MS + THIRD)).toEqual([expire("a.1", "missing")]);
  });

  test("that was handed out again ends when it would have ended: neither pulls nor heartbeats without it extend it", () => {
    const later = START + LEASE_MS;
    for (const now of [START + 5_000, later]) {
      liveness.heard("w", "boot-1", now);
      machine.time = now;
      expect(machine.grant("w", 3)).toEqual(["a.1"]);
      expect(liveness.expiresAt("a.1", now)).toBe(START + 2 * LEASE_MS);
    }
    beat(later + 1, []);
    expect(liveness.expiresAt("a.1", later + 1)).toBe(later + 1 + LEASE_MS);
    beat(later + THIRD, ["a.1"]);
    expect(liveness.expiresAt("a.1", later + THIRD)).toBe(later + THIRD + 2 * LEASE_MS);
  });

  test("granted after a long wait without heartbeats has its full time from the grant", () => {
    machine.complete("a.1", "w");
    for (let now = START; now < START + 3 * LEASE_MS; now += THIRD) {
      liveness.heard("w", "boot-1", now);
      expect(liveness.due(now)).toEqual([]);
    }
    const now = START + 3 * LEASE_MS;
    liveness.heard("w", "boot-1", now);
    machine.time = now;
    machine.submit({ task_id: "b" });
    machine.grant("w", 1);
    expect(liveness.expiresAt("b.1", now)).toBe(now + 2 * LEASE_MS);
    for (let later = now; later < now + 2 * LEASE_MS; later += THIRD) {
      liveness.heard("w", "boot-1", later);
      expect(liveness.due(later)).toEqual([]);
    }
    expect(liveness.due(now + 2 * LEASE_MS)).toEqual([expire("b.1", "missing")]);
  });

  test("that has timed out before anybody looked is due at once", () => {
    expect(liveness.due(START + 500)).toEqual([]);
    machine.submit({ task_id: "b", max_runtime_ms: 1 });
    machine.grant("w", 1);
    expect(liveness.nextDue).toBe(START + 500);
    expect(liveness.due(START + 500)).toEqual([expire("b.1", "timed-out")]);
  });

  test("granted by an entry that was stamped before the pull was heard ends with its silent worker", () => {
    const pulled = START + 900;
    liveness.heard("w", "boot-1", pulled);
    machine.submit({ task_id: "b" });
    machine.grant("w", 1);
    const proposed: CommandBody[] = [];
    for (let now = pulled; now <= pulled + 2 * LEASE_MS; now += 100) {
      proposed.push(...apply(liveness.due(now), now));
    }
    expect(proposed).toEqual([state("suspect"), state("dead")]);
    expect(machine.task("b").attempts).toMatchObject([{ outcome: "worker-lost" }]);
  });

  test("that timed out while nobody led has a heartbeat's time left, so that a finished proof comes first", () => {
    machine.submit({ task_id: "b", max_runtime_ms: 1 });
    machine.grant("w", 1);
    const reign = START + 60_000;
    lead(reign);
    expect(liveness.due(reign)).toEqual([]);
    expect(liveness.nextDue).toBe(reign + THIRD);
    expect(liveness.due(reign + THIRD - 1)).toEqual([]);
    expect(liveness.due(reign + THIRD)).toEqual([expire("b.1", "timed-out")]);
  });

  test("of a worker that only registers again and again goes back when it expires", () => {
    const proposed: CommandBody[] = [];
    for (let now = START; now <= START + 2 * LEASE_MS; now += THIRD) {
      machine.time = now;
      machine.register("w", { slots: 3 });
      proposed.push(...apply(liveness.due(now), now));
    }
    expect(proposed).toEqual([expire("a.1", "missing")]);
  });

  test("that heartbeats leave out is missing after a period, also when its worker registers in between", () => {
    const proposed: CommandBody[] = [];
    for (let now = START; now < START + LEASE_MS; now += THIRD) {
      proposed.push(...beat(now).propose, ...liveness.due(now));
      machine.time = now + 1;
      machine.register("w", { slots: 3 });
    }
    expect(proposed).toEqual([]);
    beat(START + LEASE_MS);
    expect(liveness.due(START + LEASE_MS)).toEqual([expire("a.1", "missing")]);
  });

  test("that exceeds the run time of its task has timed out, to the millisecond, however alive its worker is", () => {
    machine.submit({ task_id: "b", max_runtime_ms: 1_500 });
    machine.submit({ task_id: "c", max_runtime_ms: 2_500 });
    machine.grant("w", 2);
    beat(START + 1_000, ["a.1", "b.1", "c.1"]);
    expect(liveness.nextDue).toBe(START + 1_500);
    expect(liveness.due(START + 1_499)).toEqual([]);
    expect(liveness.due(START + 1_500)).toEqual([expire("b.1", "timed-out")]);
    expect(liveness.due(START + 1_501)).toEqual([]);
    expect(liveness.nextDue).toBe(START + 2_500);
    machine.complete("c.1", "w");
    expect(liveness.nextDue).toBe(START + 1_500 + THIRD);
    expect(apply(liveness.due(START + 1_500 + THIRD), START + 1_500 + THIRD)).toEqual([
      expire("b.1", "timed-out"),
    ]);
    expect(machine.task("b")).toMatchObject({ attempts_spent: 1 });
    expect(liveness.due(START + 1_500 + THIRD)).toEqual([]);
  });
});
