/**
 * A binary heap over a strict order. Whoever removes items from the middle marks them elsewhere and skips them on the
 * way out.
 */
export class Heap<Item> {
  readonly #before: (a: Item, b: Item) => boolean;
  #items: Item[] = [];

  constructor(before: (a: Item, b: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** In no order to rely on. */
  get items(): readonly Item[] {
    return this.#items;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as Item;
      if (!this.#before(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#before(items[child + 1] as Item, items[child] as Item)) child++;
      const below = items[child] as Item;
      if (!this.#before(below, last)) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return first;
  }

  /** Visits from the first item downwards; what lies below an item only where `descend` says so. */
  walk(descend: (item: Item) => boolean): void {
    const waiting = [0];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (at >= this.#items.length || !descend(this.#items[at] as Item)) continue;
      waiting.push(2 * at + 1, 2 * at + 2);
    }
  }

  /** Keeps the items that `keep` accepts. Costs as much as building the heap anew. */
  retain(keep: (item: Item) => boolean): void {
    const kept = this.#items.filter(keep);
    this.#items = [];
    for (const item of kept) this.push(item);
  }
}
