/** A process's clock, which need not agree with anybody else's, and the alarm set by it. */
import type { World } from "./world.ts";

export class LocalClock {
  readonly #world: World;
  readonly #pace: number;
  #offset: number;
  /** True instant. */
  #ringsAt = Number.POSITIVE_INFINITY;

  constructor(world: World, name: string) {
    const luck = world.luckOf(`clock of ${name}`);
    this.#world = world;
    this.#offset = luck.between(0, 10_000);
    this.#pace = 1 + world.knobs.drift * luck.next();
  }

  get now(): number {
    const time = this.#offset + this.#world.schedule.now * this.#pace;
    return this.#world.knobs.wholeMilliseconds ? Math.floor(time) : time;
  }

  /** The clock is set; a negative jump sets it back. */
  jump(by: number): void {
    this.#offset += by;
    this.disarm();
  }

  /** Rings once, when this clock shows `due`, unless it is to ring before that anyway. */
  arm(due: number, ring: () => void): void {
    const { schedule, knobs } = this.#world;
    const shown = knobs.wholeMilliseconds ? Math.ceil(due) : due;
    // A little later: dividing by the pace may lose the last bit.
    const at = Math.max((shown - this.#offset) / this.#pace + 1e-6, schedule.now);
    if (this.#ringsAt <= at) return;
    this.#ringsAt = at;
    schedule.at(at, () => {
      if (this.#ringsAt !== at) return;
      this.disarm();
      ring();
    });
  }

  disarm(): void {
    this.#ringsAt = Number.POSITIVE_INFINITY;
  }
}
