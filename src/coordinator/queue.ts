/**
 * Tasks that wait for a worker, in the order in which they are served. Derived from the task records and rebuilt from
 * them at start: what it hands out depends on the records alone, never on when something entered it.
 */
import { Heap } from "./heap.ts";
import type { Instant } from "./records.ts";
import type { OpenTask } from "./tables.ts";

export interface Waiting {
  readonly task_id: string;
  readonly circuit: string;
  readonly priority: number;
  readonly created_at: Instant;
  readonly sequence: number;
  readonly not_before: Instant;
  /** Stands in one of the heaps: not while it is taken out to be looked at. */
  queued: boolean;
}

/** Entries that were removed may make up this many more than those that still count before the heaps are cleaned. */
const STALE_MAX = 1024;

/**
 * What one point of priority is worth: a task goes before those that came up to so long before it for each point that
 * it has more. So one of the lowest priority waits for none that came more than 200 of them after it.
 */
export const PRIORITY_STEP_MS = 60_000;

/** By rules of version 1: a lower priority waits as long as there is a higher one. */
function higherBefore(a: Waiting, b: Waiting): boolean {
  return a.priority === b.priority ? a.sequence < b.sequence : a.priority > b.priority;
}

/** A total order of constants: growing older changes nobody's place. */
function servedBefore(a: Waiting, b: Waiting): boolean {
  const [rank_a, rank_b] = [rank(a), rank(b)];
  return rank_a === rank_b ? a.sequence < b.sequence : rank_a < rank_b;
}

function rank({ created_at, priority }: Waiting): number {
  return created_at - priority * PRIORITY_STEP_MS;
}

function dueBefore(a: Waiting, b: Waiting): boolean {
  return a.not_before === b.not_before ? a.sequence < b.sequence : a.not_before < b.not_before;
}

export class WaitingQueue {
  readonly #waiting = new Map<string, Waiting>();
  readonly #ready = new Map<string, Heap<Waiting>>();
  readonly #delayed = new Heap<Waiting>(dueBefore);
  /** Tasks that wait, by circuit. */
  readonly #counts_by_circuit = new Map<string, number>();
  #stale = 0;
  #before: (a: Waiting, b: Waiting) => boolean;

  constructor(rules: number) {
    this.#before = rules === 1 ? higherBefore : servedBefore;
  }

  /** The rules change: what waits is put in its new order. */
  follow(rules: number): void {
    this.#before = rules === 1 ? higherBefore : servedBefore;
    const ready = [...this.#ready.values()];
    this.#ready.clear();
    for (const heap of ready) for (const entry of heap.items) if (this.#counts(entry)) this.#push(entry);
    this.#clean();
  }

  add(task: OpenTask, now: Instant): void {
    const { task_id, circuit, priority, created_at, sequence, not_before = 0 } = task;
    const entry: Waiting = { task_id, circuit, priority, created_at, sequence, not_before, queued: false };
    this.#waiting.set(task_id, entry);
    this.#count(circuit, 1);
    this.restore(entry, now);
  }

  remove(task_id: string): void {
    const entry = this.#waiting.get(task_id);
    if (entry === undefined) return;
    this.#waiting.delete(task_id);
    this.#count(entry.circuit, -1);
    if (!entry.queued) return;
    this.#stale++;
    if (this.#stale > this.#waiting.size + STALE_MAX) this.#clean();
  }

  /** Circuits of which tasks wait, due or not. */
  get circuits(): readonly string[] {
    return [...this.#counts_by_circuit.keys()];
  }

  /** Takes out the first task of a circuit that is due; `restore` puts it back. */
  pop(circuit: string, now: Instant): Waiting | undefined {
    this.#promote(now);
    const heap = this.#ready.get(circuit);
    if (heap === undefined) return undefined;
    for (;;) {
      const first = this.#top(heap);
      if (first === undefined) return undefined;
      heap.pop();
      first.queued = false;
      if (first.not_before <= now) return first;
      // Promoted by somebody who was told a later time.
      this.restore(first, now);
    }
  }

  /** Which of two tasks goes first, whatever their circuits. */
  get before(): (a: Waiting, b: Waiting) => boolean {
    return this.#before;
  }

  restore(entry: Waiting, now: Instant): void {
    entry.queued = true;
    if (entry.not_before > now) {
      this.#delayed.push(entry);
      return;
    }
    this.#push(entry);
  }

  /** Entries in memory, also those that no longer count. */
  get size(): number {
    let size = this.#delayed.size;
    for (const heap of this.#ready.values()) size += heap.size;
    return size;
  }

  /** Earliest `not_before` among the tasks that were not due when last looked at. */
  get nextDue(): Instant | undefined {
    return this.#top(this.#delayed)?.not_before;
  }

  #push(entry: Waiting): void {
    let heap = this.#ready.get(entry.circuit);
    if (heap === undefined) {
      heap = new Heap(this.#before);
      this.#ready.set(entry.circuit, heap);
    }
    heap.push(entry);
  }

  #count(circuit: string, more: 1 | -1): void {
    const count = (this.#counts_by_circuit.get(circuit) ?? 0) + more;
    if (count === 0) this.#counts_by_circuit.delete(circuit);
    else this.#counts_by_circuit.set(circuit, count);
  }

  #counts(entry: Waiting): boolean {
    return this.#waiting.get(entry.task_id) === entry;
  }

  #promote(now: Instant): void {
    for (
      let top = this.#top(this.#delayed);
      top !== undefined && top.not_before <= now;
      top = this.#top(this.#delayed)
    ) {
      this.#delayed.pop();
      this.restore(top, now);
    }
  }

  #top(heap: Heap<Waiting>): Waiting | undefined {
    for (;;) {
      const top = heap.peek();
      if (top === undefined || this.#counts(top)) return top;
      heap.pop();
      this.#stale--;
    }
  }

  #clean(): void {
    const current = (entry: Waiting): boolean => this.#counts(entry);
    this.#delayed.retain(current);
    for (const [circuit, heap] of this.#ready) {
      heap.retain(current);
      if (heap.size === 0) this.#ready.delete(circuit);
    }
    this.#stale = 0;
  }
}
