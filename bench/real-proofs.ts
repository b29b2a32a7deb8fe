/** Tasks that are really proved beside the other load: a worker pool, submissions now and then, and what became of them. */
import { endedStatuses } from "../src/api/tasks.ts";
import type { Client } from "../src/client/index.ts";
import { pause } from "../test/support/load/clients.ts";
import { startPool } from "./pool.ts";

const CHECK_MS = 180_000;

export interface RealProofs {
  /** Tasks accepted so far. */
  readonly submitted: () => number;
  /** No more submissions. Waits for every task; what was wrong, in words. Then ends the pool. */
  finish(): Promise<readonly string[]>;
  /** Ends the pool, whatever it does. */
  close(): Promise<void>;
}

/** A pool of one thread, and a new Merkle path every so often, once the last one is proved. */
export function startRealProofs(client: Client, url: string, every_ms: number): RealProofs {
  const pool = startPool(url, "bench-pool");
  const ids: string[] = [];
  const problems: string[] = [];
  const stop = new AbortController();
  const submitting = (async () => {
    for (let count = 1; !stop.signal.aborted; count++) {
      const leaves = [`0x${count.toString(16)}`, "0xabcdef"];
      try {
        const { task_id } = await client.tasks.submitMerkle({ leaves });
        ids.push(task_id);
        while (
          !stop.signal.aborted &&
          !endedStatuses.has((await client.tasks.get(task_id, { wait: 1 })).status)
        );
      } catch (error) {
        problems.push(`submission ${count}: ${String(error)}`);
      }
      for (const due = performance.now() + every_ms; performance.now() < due && !stop.signal.aborted; )
        await pause(50);
    }
  })();
  const close = async (): Promise<void> => {
    stop.abort();
    await pool.close();
  };
  return {
    submitted: () => ids.length,
    async finish() {
      stop.abort();
      await submitting;
      const deadline = Date.now() + CHECK_MS;
      for (const task_id of ids) {
        const timeout_ms = Math.max(0, deadline - Date.now());
        const { status, error } = await client.tasks.wait(task_id, { timeout_ms });
        if (status !== "completed") problems.push(`task ${task_id} is ${status}: ${error}`);
        const { items } = await client.tasks.attempts(task_id);
        const results = items.filter(({ outcome }) => outcome === "completed").length;
        if (results !== 1) problems.push(`task ${task_id} has ${results} results`);
      }
      await close();
      return problems;
    },
    close,
  };
}
