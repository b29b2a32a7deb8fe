/**
 * The platform's alarm: it comes also when all sleep, and after a restart of everything. It costs a row, so it is not moved
 * for every lease.
 */
import type { Coordinator } from "../coordinator/index.ts";

export interface AlarmOptions {
  /** Asks the platform for the alarm at this instant and no other; not at all if undefined. */
  readonly setAlarm: (at: number | undefined) => void;
  readonly lease_ms: number;
}

export class Alarm {
  readonly #options: AlarmOptions;
  /** What the platform was asked for, as far as this instance knows. */
  #at: number | undefined;

  constructor(options: AlarmOptions) {
    this.#options = options;
  }

  /**
   * It came. Whether the group has to be woken.
   *
   * @param inDoubt nobody here knows of the newest entries whether they are committed: a lease may be among them
   */
  rang(
    { counts, nextAdvance = Number.POSITIVE_INFINITY }: Coordinator,
    now: number,
    inDoubt: boolean,
  ): boolean {
    this.#at = undefined;
    return inDoubt || counts.capacity.used > 0 || nextAdvance <= now;
  }

  /** Should all be restarted at once and nobody ask for anything, leases end all the same. */
  guardLeases({ counts }: Coordinator, now: number): void {
    const { lease_ms, setAlarm } = this.#options;
    if (counts.capacity.used === 0 || now < (this.#at ?? 0) - 2 * lease_ms) return;
    this.#at = now + 4 * lease_ms;
    setAlarm(this.#at);
  }

  /** The group falls asleep: for what falls due next. */
  fellAsleep({ nextAdvance }: Coordinator): void {
    if (nextAdvance === undefined && this.#at === undefined) return;
    this.#at = nextAdvance;
    this.#options.setAlarm(nextAdvance);
  }
}
