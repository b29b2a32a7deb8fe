/**
 * How long tasks wait and how long proofs take, seen as entries are applied: by their own times, so that every replica
 * sees the same. A restart begins at zero and counts what is applied again, as counters do.
 */

import { Histogram } from "../api/histogram.ts";
import type { Coordinator } from "../coordinator/index.ts";
import type { Instant } from "../coordinator/records.ts";
import type { Applied } from "./rpc.ts";

/** From a tenth of a second to an hour. */
const BOUNDS_MS = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 900_000, 3_600_000,
] as const;

export class WorkTimes {
  /** From when a task could be handed out for the first time until it was. */
  readonly queueWait = new Histogram(BOUNDS_MS);
  /** From the grant to the accepted proof, by circuit. */
  readonly proving = new Map<string, Histogram>();

  observe(coordinator: Coordinator, { outcome, replayed }: Applied, time: Instant): void {
    if (replayed) return;
    if (outcome.type === "granted" || outcome.type === "registered" || outcome.type === "completed") {
      for (const { task_id, attempt, granted_at } of outcome.leases) {
        // Also named are leases that were granted before.
        if (attempt !== 1 || granted_at !== time) continue;
        const task = coordinator.task(task_id);
        if (task !== undefined)
          this.queueWait.observe(time - Math.max(task.created_at, task.not_before ?? 0));
      }
    }
    if (outcome.type !== "completed" || outcome.duplicate) return;
    const task = coordinator.task(outcome.task_id);
    if (task?.started_at === undefined) return;
    const times = this.proving.get(task.circuit) ?? new Histogram(BOUNDS_MS);
    times.observe(time - task.started_at);
    this.proving.set(task.circuit, times);
  }
}
