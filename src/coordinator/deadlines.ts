/**
 * What falls due when: leases that exceed their task's `max_runtime_ms`, tasks whose delay or whose time is over. Asking
 * changes nothing: a key stays until it is removed. Equal instants come in the order of their keys, so that everybody
 * sees the same one first.
 */
import { Heap } from "./heap.ts";
import type { Instant } from "./records.ts";

interface Deadline {
  readonly key: string;
  readonly at: Instant;
}

const STALE_MAX = 1024;

export class Deadlines {
  readonly #at = new Map<string, Instant>();
  readonly #heap = new Heap<Deadline>((a, b) => (a.at === b.at ? a.key < b.key : a.at < b.at));

  add(key: string, at: Instant): void {
    if (this.#at.get(key) === at) return;
    this.#at.set(key, at);
    this.#heap.push({ key, at });
    this.#dropStale();
  }

  remove(key: string): void {
    if (this.#at.delete(key)) this.#dropStale();
  }

  /** The first one of all. */
  get first(): Deadline | undefined {
    return this.#heap.peek();
  }

  /** Those not after `now`, in the order of their keys. Costs as much as there are of them. */
  overdue(now: Instant): readonly string[] {
    const found = new Set<string>();
    this.#heap.walk((deadline) => {
      if (deadline.at > now) return false;
      if (this.#counts(deadline)) found.add(deadline.key);
      return true;
    });
    return [...found].sort();
  }

  /** The first instant after `now`. */
  nextAfter(now: Instant): Instant | undefined {
    let next: Instant | undefined;
    this.#heap.walk((deadline) => {
      if (next !== undefined && deadline.at >= next) return false;
      if (deadline.at > now && this.#counts(deadline)) {
        next = deadline.at;
        return false;
      }
      return true;
    });
    return next;
  }

  #counts({ key, at }: Deadline): boolean {
    return this.#at.get(key) === at;
  }

  /** What stands first counts, always. */
  #dropStale(): void {
    for (let top = this.#heap.peek(); top !== undefined && !this.#counts(top); top = this.#heap.peek())
      this.#heap.pop();
    if (this.#heap.size > 2 * this.#at.size + STALE_MAX)
      this.#heap.retain((deadline) => this.#counts(deadline));
  }
}
