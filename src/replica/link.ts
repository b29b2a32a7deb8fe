/** The fault in force between this replica and its peers: both directions of every call are late and lossy alike. */
import type { FaultState } from "./store.ts";

export class Link {
  readonly #fault: () => FaultState;

  constructor(fault: () => FaultState) {
    this.#fault = fault;
  }

  get isolated(): boolean {
    return this.#fault().isolated;
  }

  /** Whether {@link passes} has to be asked: where nothing is wrong, nothing may wait. */
  get degraded(): boolean {
    const { delay_ms, drop_rate } = this.#fault();
    return delay_ms > 0 || drop_rate > 0;
  }

  /** One message, one way: resolves when it has arrived, with false if it was lost. */
  async passes(): Promise<boolean> {
    const { delay_ms, drop_rate } = this.#fault();
    if (Math.random() < drop_rate) return false;
    if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
    return !this.isolated;
  }
}
