/**
 * Silence: a group in which nothing is queued, leased or waiting stops its heartbeats and timers, and costs nothing. A
 * replica that is built anew sleeps until something arrives. Whatever a client wants rouses it, and through it the group:
 * who led goes on or campaigns at once, who followed asks its leader first. Looking (health, status, metrics) does not.
 */
import type { Command } from "../coordinator/commands.ts";
import type { Raft, Status } from "../raft/index.ts";

export interface SleepOptions {
  readonly id: string;
  readonly raft: Raft<Command>;
  readonly now: () => number;
  /** Who leads, or did when the group fell asleep. */
  readonly leader: () => string | undefined;
  readonly heartbeat_ms: number;
  readonly election_ms: readonly [min: number, max: number];
  /** Lets something happen to the core. */
  readonly event: (input: () => void) => void;
  /** Rouses the replica that is believed to lead. Whether it leads, or is about to campaign. */
  readonly rouseLeader: (leader: string, timeout_ms: number) => Promise<boolean>;
  /** An own reign is established. */
  readonly established: () => boolean;
  readonly fellAsleep: () => void;
  readonly woke: (slept_ms: number) => void;
}

export class Sleep {
  readonly #options: SleepOptions;
  /** Since when this replica has been asleep. */
  #since: number | undefined;
  #rousing: Promise<void> | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: SleepOptions) {
    this.#options = options;
  }

  get since(): number | undefined {
    return this.#since;
  }

  /** Something has happened to the core. */
  look(status: Status): void {
    const { now, fellAsleep, woke } = this.#options;
    if (status.quiesced && this.#since === undefined) {
      this.#since = now();
      fellAsleep();
    } else if (!status.quiesced && this.#since !== undefined) {
      const slept_ms = now() - this.#since;
      this.#since = undefined;
      woke(slept_ms);
    }
    if (this.#waiting.length > 0 && this.#isLed(status)) this.#settle();
  }

  /** Resolves when the group has a leader again as far as this replica knows, or one is overdue. */
  async rouse(): Promise<void> {
    if (this.#since === undefined && this.#rousing === undefined) return;
    this.#rousing ??= this.#rouse().finally(() => {
      this.#rousing = undefined;
    });
    await this.#rousing;
  }

  /** Whoever waits is not to wait any longer. */
  close(): void {
    this.#settle();
  }

  async #rouse(): Promise<void> {
    const { id, raft, event, rouseLeader, heartbeat_ms, election_ms } = this.#options;
    const leader = this.#options.leader();
    event(() => raft.stayAwake());
    if (raft.status.role === "leader") return;
    const another = leader !== undefined && leader !== id;
    if (!another || !(await rouseLeader(leader, heartbeat_ms))) event(() => raft.campaign());
    await this.#led(election_ms[1]);
  }

  #led(timeout_ms: number): Promise<void> {
    if (this.#isLed(this.#options.raft.status)) return Promise.resolve();
    return new Promise((resolve) => {
      const overdue = setTimeout(resolve, timeout_ms);
      this.#waiting.push(() => {
        clearTimeout(overdue);
        resolve();
      });
    });
  }

  #isLed({ role, leader, id }: Status): boolean {
    if (role === "leader") return this.#options.established();
    return leader !== undefined && leader !== id;
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const settle of waiting) settle();
  }
}
