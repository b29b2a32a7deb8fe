/** A page of a list, bounded in number and in bytes: it is made on the leader's thread. */

/** JSON text of one page's items; a single item may be longer. */
export const PAGE_BYTES_MAX = 512 * 1024;

/** Collects items until a limit is reached. */
export class PageBuilder<Item> {
  readonly items: Item[] = [];
  readonly #limit: number;
  #characters = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.items.length >= this.#limit;
  }

  /** False if there is no room for it. */
  add(item: Item): boolean {
    const characters = JSON.stringify(item).length;
    if (this.items.length > 0 && this.#characters + characters > PAGE_BYTES_MAX) return false;
    this.#characters += characters;
    this.items.push(item);
    return true;
  }
}
