/**
 * Which writes of a process are durable. A patient host has any number of flushes under way, which
 * may end in any order; what is durable is what all before it is, too. A gated host has one at a time,
 * which covers every write before it.
 */
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface FlushReport {
  /** So many writes more are to be durable. */
  readonly flush: (count: number) => void;
  /** A flush that took time has ended. */
  readonly ended: () => void;
  readonly failed: () => void;
}

export class Flushes {
  /** Writes handed to the disk in this life. */
  written = 0;
  /** How many of them are durable. */
  durable = 0;
  /** Milliseconds that each flush takes longer. */
  slowness = 0;
  failNext = false;
  readonly #world: World;
  readonly #luck: Random;
  readonly #report: FlushReport;
  /** Beyond those that are durable. */
  readonly #ended = new Set<number>();
  #syncing = false;
  #life = 0;

  constructor(world: World, luck: Random, report: FlushReport) {
    this.#world = world;
    this.#luck = luck;
    this.#report = report;
  }

  /** The process is dead; what was under way is no longer waited for. */
  forget(): void {
    this.#life += 1;
    this.written = 0;
    this.durable = 0;
    this.failNext = false;
    this.#ended.clear();
    this.#syncing = false;
  }

  /** A write was handed to the disk. */
  add(): void {
    this.written += 1;
    const { weather, knobs } = this.#world;
    if (weather.flush[1] + this.slowness === 0 && !this.failNext) {
      // Durable at once; whoever waits is told when the batch is carried out.
      const count = this.written - this.durable;
      this.durable = this.written;
      this.#report.flush(count);
    } else if (!knobs.gated || !this.#syncing) this.#begin();
  }

  #begin(): void {
    const { weather, schedule } = this.#world;
    const life = this.#life;
    const last = this.written;
    this.#syncing = true;
    schedule.after(this.#luck.between(...weather.flush) + this.slowness, () => {
      if (life === this.#life) this.#end(last);
    });
  }

  #end(last: number): void {
    const { weather, knobs, figures } = this.#world;
    if (this.failNext || this.#luck.chance(weather.diskFailure)) {
      this.#report.failed();
      return;
    }
    const before = this.durable;
    if (knobs.gated) this.durable = Math.max(before, last);
    else {
      if (last > before + 1) figures.outOfOrder += 1;
      this.#ended.add(last);
      while (this.#ended.delete(this.durable + 1)) this.durable += 1;
    }
    if (knobs.gated) {
      this.#syncing = false;
      if (this.written > this.durable) this.#begin();
    }
    this.#report.flush(this.durable - before);
    this.#report.ended();
  }
}
