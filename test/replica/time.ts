/**
 * Virtual time for what runs in this process: `Date.now`, timers and deadlines follow it, promises do not need it. A
 * second costs as long as what happens in it. Nothing runs by itself, so that a test can say exactly what came first.
 *
 * A process can be busy: while an owner is stalled, nothing of it runs, and afterwards its timers come before what has
 * arrived in the meantime. That is the worst order, and the one in which an event loop goes.
 */
import { vi } from "vitest";

type Kind = "timer" | "arrival";

interface Due {
  at: number;
  readonly kind: Kind;
  readonly order: number;
  readonly owner: string | undefined;
  readonly run: () => void;
}

export class VirtualTime {
  now = Date.UTC(2026, 0, 1);
  /** Timers that have run, by owner. */
  readonly timersRun = new Map<string, number>();
  readonly #ownerOfTimers: () => string | undefined;
  /** Sorted by instant; at one instant timers first. */
  readonly #due: Due[] = [];
  readonly #stalled = new Map<string, number>();
  #order = 0;
  #steps = 0;

  /** Takes the globals over until {@link release}. `ownerOfTimers` names whose timer is being set. */
  constructor(ownerOfTimers: () => string | undefined) {
    this.#ownerOfTimers = ownerOfTimers;
    vi.spyOn(Date, "now").mockImplementation(() => this.now);
    vi.stubGlobal("setTimeout", (run: () => void, ms = 0) => {
      const owner = this.#ownerOfTimers();
      return this.#add(Math.max(1, ms), "timer", owner, () => {
        if (owner !== undefined) this.timersRun.set(owner, (this.timersRun.get(owner) ?? 0) + 1);
        run();
      });
    });
    vi.stubGlobal("clearTimeout", (timer: Due | undefined) => this.#cancel(timer));
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      this.#add(ms, "timer", undefined, () =>
        controller.abort(new DOMException("timed out", "TimeoutError")),
      );
      return controller.signal;
    });
  }

  release(): void {
    this.#due.length = 0;
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }

  /** Something reaches `owner` from outside after `ms`. */
  arrive(ms: number, owner: string, run: () => void): void {
    this.#add(ms, "arrival", owner, run);
  }

  /** Nothing of these owners runs for `ms`. */
  stall(ms: number, ...owners: readonly string[]): void {
    for (const owner of owners) this.#stalled.set(owner, this.now + ms);
  }

  /** Time goes on by `ms` and nothing runs meanwhile, as if everybody had been held up; what is next runs late. */
  skip(ms: number): void {
    this.now += ms;
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    while (await this.#step(end));
    this.now = Math.max(this.now, end);
  }

  /** Goes on until `holds`, and says how long that took. Throws when it takes longer than `within` ms. */
  async until(what: string, within: number, holds: () => boolean): Promise<number> {
    const begun = this.now;
    await turn();
    while (!holds()) {
      if (!(await this.#step(begun + within))) throw new Error(`not within ${within} ms: ${what}`);
    }
    return this.now - begun;
  }

  /** What `promise` gives, which must be within so many ms. */
  async outcome<Value>(promise: Promise<Value>, within = 5000): Promise<Value> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    await this.until("an answer", within, () => settled);
    return promise;
  }

  #add(ms: number, kind: Kind, owner: string | undefined, run: () => void): Due {
    const due = { at: this.now + ms, kind, order: this.#order++, owner, run };
    this.#insert(due);
    return due;
  }

  #cancel(timer: Due | undefined): void {
    const at = timer === undefined ? -1 : this.#due.indexOf(timer);
    if (at >= 0) this.#due.splice(at, 1);
  }

  #insert(due: Due): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#due[middle];
      if (other && isBefore(other, due)) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
  }

  /** Runs what is due next, if that is by `end`, and all promises that follow from it. */
  async #step(end: number): Promise<boolean> {
    const next = this.#due[0];
    if (next === undefined || next.at > end) return false;
    this.#due.shift();
    const free = next.owner === undefined ? undefined : this.#stalled.get(next.owner);
    if (free !== undefined && free > Math.max(next.at, this.now)) {
      next.at = free;
      this.#insert(next);
      return true;
    }
    this.now = Math.max(this.now, next.at);
    // The globals' stand-ins remember every call.
    if (++this.#steps % 1_000 === 0) vi.clearAllMocks();
    next.run();
    await turn();
    return true;
  }
}

function isBefore(one: Due, other: Due): boolean {
  if (one.at !== other.at) return one.at < other.at;
  if (one.kind !== other.kind) return one.kind === "timer";
  return one.order < other.order;
}

/** After it, every promise that can go on without time has gone on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
