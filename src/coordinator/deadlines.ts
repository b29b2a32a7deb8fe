/**
 * When current leases exceed their task's `max_runtime_ms`. Asking changes nothing: a lease stays until it has ended.
 */
import { Heap } from "./heap.ts";
import type { Instant } from "./records.ts";

interface Deadline {
  readonly lease_id: string;
  readonly at: Instant;
}

const STALE_MAX = 1024;

export class Deadlines {
  readonly #at = new Map<string, Instant>();
  readonly #heap = new Heap<Deadline>((a, b) => a.at < b.at);

  add(lease_id: string, at: Instant): void {
    this.#at.set(lease_id, at);
    this.#heap.push({ lease_id, at });
  }

  remove(lease_id: string): void {
    if (!this.#at.delete(lease_id)) return;
    for (
      let top = this.#heap.peek();
      top !== undefined && !this.#at.has(top.lease_id);
      top = this.#heap.peek()
    ) {
      this.#heap.pop();
    }
    if (this.#heap.size > 2 * this.#at.size + STALE_MAX)
      this.#heap.retain(({ lease_id }) => this.#at.has(lease_id));
  }

  /** Leases whose deadline is not after `now`. Costs as much as there are of them. */
  overdue(now: Instant): readonly string[] {
    const found: string[] = [];
    this.#heap.walk(({ lease_id, at }) => {
      if (at > now) return false;
      if (this.#at.has(lease_id)) found.push(lease_id);
      return true;
    });
    return found.sort();
  }

  /** The first deadline after `now`. */
  nextAfter(now: Instant): Instant | undefined {
    let next: Instant | undefined;
    this.#heap.walk(({ lease_id, at }) => {
      if (next !== undefined && at >= next) return false;
      if (at > now && this.#at.has(lease_id)) {
        next = at;
        return false;
      }
      return true;
    });
    return next;
  }
}
