/** Long computations beside everything else: how many at once, and what becomes of those that are cut off. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inItsOwnTurn, type Steps } from "../../src/proofs/index.ts";
import { Gate } from "../../src/router/gate.ts";
import { timed } from "./fake-group.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Watch {
  readonly started: string[];
  readonly finished: string[];
  underWay: number;
  most: number;
}

function watch(): Watch {
  return { started: [], finished: [], underWay: 0, most: 0 };
}

function* work(seen: Watch, name: string, steps: number): Steps<string> {
  seen.started.push(name);
  seen.underWay++;
  seen.most = Math.max(seen.most, seen.underWay);
  for (let i = 0; i < steps; i++) yield;
  seen.underWay--;
  seen.finished.push(name);
  return name;
}

const soon = (ms = 5_000): number => Date.now() + ms;

describe("a gate", () => {
  it("lets in so many at once, and all in the end", async () => {
    const gate = new Gate(2);
    const seen = watch();
    const names = Array.from({ length: 12 }, (_, at) => `work ${at}`);
    const { result } = await timed(
      Promise.all(names.map((name) => gate.run(work(seen, name, 20), soon(30_000)))),
    );
    expect(result).toEqual(names.map((value) => ({ type: "result", value })));
    expect(seen.most).toBe(2);
  });

  it("gives the thread back after every step", async () => {
    const gate = new Gate(1);
    const turns: string[] = [];
    function* steps(): Steps<void> {
      for (let i = 0; i < 3; i++) {
        turns.push("step");
        setTimeout(() => turns.push("other"), 0);
        yield;
      }
    }
    await timed(gate.run(steps(), soon()));
    expect(turns).toEqual(["step", "other", "step", "other", "step", "other"]);
  });

  it("never lets two that cannot be cut follow each other in one turn", async () => {
    const gate = new Gate(2);
    const turns: number[] = [];
    let turn = 0;
    const tick = (): void => {
      turn++;
      setTimeout(tick, 1);
    };
    tick();
    const runs = Array.from({ length: 20 }, () =>
      gate.run(
        inItsOwnTurn(() => turns.push(turn)),
        soon(20_000),
      ),
    );
    await timed(Promise.all(runs));
    for (const each of new Set(turns)) expect(turns.filter((other) => other === each).length).toBeLessThan(3);
  });

  it("refuses at the deadline, without having begun, what had to wait for others", async () => {
    const gate = new Gate(1);
    const seen = watch();
    const first = gate.run(work(seen, "long", 3_000), soon(60_000));
    const { result, ms } = await timed(gate.run(work(seen, "late", 1), soon(500)));
    expect(result).toEqual({ type: "too-busy" });
    expect(ms).toBeLessThanOrEqual(500);
    expect(seen.started).toEqual(["long"]);
    await timed(first);
  });

  it("stops at the deadline what is under way: nobody waits for it any more", async () => {
    const gate = new Gate(1);
    const seen = watch();
    const { result } = await timed(gate.run(work(seen, "long", 3_000), soon(100)));
    expect(result).toEqual({ type: "too-busy" });
    expect(seen.finished).toEqual([]);
    expect((await timed(gate.run(work(seen, "next", 1), soon()))).result).toMatchObject({ value: "next" });
  });

  it("takes back the place of a request that was cut off", async () => {
    const gate = new Gate(1);
    const seen = watch();
    // A request that is gone never goes on after its pause.
    const stopped = vi.spyOn(globalThis, "setTimeout").mockReturnValueOnce(0 as never);
    void gate.run(work(seen, "gone", 5), soon(60_000));
    await new Promise((resolve) => setImmediate(resolve));
    stopped.mockRestore();
    const { result, ms } = await timed(gate.run(work(seen, "next", 1), soon()));
    expect(result).toEqual({ type: "result", value: "next" });
    expect(ms).toBeGreaterThanOrEqual(1_900);
    expect(seen.finished).toEqual(["next"]);
  });

  it("is left also by what throws", async () => {
    const gate = new Gate(1);
    const broken = inItsOwnTurn(() => {
      throw new Error("on purpose");
    });
    const failed = gate.run(broken, soon()).catch((error: Error) => error.message);
    expect((await timed(failed)).result).toBe("on purpose");
    expect((await timed(gate.run(work(watch(), "next", 1), soon()))).result).toMatchObject({ value: "next" });
  });
});
