/**
 * The open task that holds a content. Derived from the tasks: a row for each would cost a write, and at a random place of
 * its table. Usually there is one at most; an import may bring another, and then the lowest id holds it.
 */
export class OpenContents {
  readonly #holders = new Map<string, string | readonly string[]>();

  hold(content_hash: string, task_id: string): void {
    const others = this.#holders.get(content_hash);
    this.#holders.set(content_hash, others === undefined ? task_id : [others, task_id].flat().sort());
  }

  release(content_hash: string, task_id: string): void {
    const rest = [this.#holders.get(content_hash) ?? []].flat().filter((other) => other !== task_id);
    if (rest.length === 0) this.#holders.delete(content_hash);
    else this.#holders.set(content_hash, rest);
  }

  /** Its id. */
  holder(content_hash: string): string | undefined {
    const holder = this.#holders.get(content_hash);
    return typeof holder === "object" ? holder[0] : holder;
  }
}
