/** The three replicas under test: who leads, whether all are well, and how they are made to fail. */
import type { FaultAction } from "../src/api/cluster.ts";
import { type Client, createClient } from "../src/client/index.ts";
import { PATIENCE_MS, pause } from "../test/support/load/clients.ts";
import type { AcknowledgedEvent } from "../test/support/load/ledger.ts";

export const REPLICAS = ["coordinator-1", "coordinator-2", "coordinator-3"] as const;
const RECOVERY_MS = 60_000;

export interface Fault {
  readonly action: FaultAction;
  readonly delay_ms?: number;
  readonly drop_rate?: number;
}

export class Group {
  readonly url: string;
  readonly client: Client;

  constructor(url: string) {
    this.url = url;
    this.client = createClient({ url, retry_for_ms: PATIENCE_MS });
  }

  /** Resolves when every replica is healthy and a write could commit. */
  async ready(): Promise<void> {
    const deadline = performance.now() + RECOVERY_MS;
    for (;;) {
      const healths = await Promise.allSettled(REPLICAS.map((name) => this.client.health(name)));
      const healthy = healths.every(
        (health) => health.status === "fulfilled" && health.value.status === "healthy",
      );
      if (healthy && (await this.client.ready().catch(() => false))) return;
      if (performance.now() > deadline)
        throw new Error(`the cluster does not recover: ${JSON.stringify(healths)}`);
      await pause(25);
    }
  }

  async leader(): Promise<string> {
    for (;;) {
      const { current_leader } = await this.client.status(undefined, { retry_for_ms: PATIENCE_MS });
      if (typeof current_leader === "string") return current_leader;
      await pause(25);
    }
  }

  async fault(replica: string, fault: Fault): Promise<void> {
    const response = await fetch(`${this.url}/api/v1/faults/${replica}`, {
      method: "POST",
      body: JSON.stringify(fault),
    });
    if (!response.ok)
      throw new Error(`${fault.action} of ${replica}: ${response.status} ${await response.text()}`);
    await response.body?.cancel();
  }
}

/**
 * Milliseconds from a failure to the next acknowledgement of what was sent after it. A reset strikes a moment after it was
 * asked for, so there the longest time without an acknowledgement counts.
 */
export async function recovery(
  kind: string,
  since: number,
  acknowledged: readonly AcknowledgedEvent[],
): Promise<number> {
  const deadline = since + RECOVERY_MS;
  const from = acknowledged.findLastIndex(({ at }) => at < since) + 1;
  if (kind === "reset") await pause(1500);
  for (;;) {
    const after = acknowledged
      .slice(from)
      .filter(({ sent_at }) => sent_at >= since)
      .map(({ at }) => at);
    const first = after.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
    if (kind !== "reset" && first < deadline) return first - since;
    const gaps = after.toSorted((a, b) => a - b).map((at, index, all) => at - (all[index - 1] ?? since));
    if (kind === "reset" && gaps.length > 0) return Math.max(...gaps);
    if (performance.now() > deadline) return Number.POSITIVE_INFINITY;
    await pause(2);
  }
}
