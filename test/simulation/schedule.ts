/** What happens when: a queue of actions by simulated instant, first come first served among equals. */
import { Violation } from "./violation.ts";

interface Item {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

function before(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** More than this at one instant, and somebody waits for time to pass by asking whether it has. */
const MOST_AT_ONCE = 20_000;

export class Schedule {
  /** Milliseconds since the run began. */
  now = 0;
  #atOnce = 0;
  #order = 0;
  /** A binary heap. */
  readonly #items: Item[] = [];

  at(instant: number, run: () => void): void {
    const items = this.#items;
    const item = { at: Math.max(instant, this.now), order: this.#order++, run };
    let place = items.push(item) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = items[parent];
      if (above === undefined || before(above, item)) break;
      items[place] = above;
      place = parent;
    }
    items[place] = item;
  }

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run);
  }

  /** Lets the next thing happen; false if nothing ever will. */
  next(): boolean {
    const first = this.#items[0];
    if (first === undefined) return false;
    this.#removeFirst();
    this.#atOnce = first.at > this.now ? 0 : this.#atOnce + 1;
    if (this.#atOnce > MOST_AT_ONCE) throw new Violation("time passes", `it stands still at ${this.now} ms`);
    this.now = first.at;
    first.run();
    return true;
  }

  /** Lets everything happen that is due by `end`. */
  runUntil(end: number): void {
    for (let first = this.#items[0]; first !== undefined && first.at <= end; first = this.#items[0]) {
      this.next();
    }
    this.now = end;
  }

  #removeFirst(): void {
    const items = this.#items;
    const item = items.pop();
    if (item === undefined || items.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      const left = items[child];
      const right = items[child + 1];
      if (left === undefined) break;
      let smaller = left;
      if (right !== undefined && before(right, left)) {
        smaller = right;
        child += 1;
      }
      if (before(item, smaller)) break;
      items[place] = smaller;
      place = child;
    }
    items[place] = item;
  }
}
