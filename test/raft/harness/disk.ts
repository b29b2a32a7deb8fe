/**
 * A disk that keeps only what was flushed. Writes are visible to the log reader at once and durable
 * in order later; a crash loses those that were not flushed, except for a prefix that may have made it.
 */
import type {
  Configuration,
  Entry,
  HardState,
  LogReader,
  Persist,
  RestoredState,
} from "../../../src/raft/index.ts";

export type TestEntry = Entry<string>;

interface Image {
  hardState: HardState;
  /** Entry `base + 1` first. */
  entries: TestEntry[];
}

export interface DiskStart {
  readonly hardState?: HardState;
  readonly entries?: readonly TestEntry[];
  readonly configuration?: Configuration | undefined;
}

export class Disk implements LogReader<string> {
  readonly configuration: Configuration | undefined;
  applied = 0;
  #visible: Image;
  #durable: Image;
  #pending: Persist<string>[] = [];
  /** The log was cut behind this entry, whose term is still known. */
  #cut = { index: 0, term: 0, time: 0 };

  constructor({ hardState, entries = [], configuration }: DiskStart = {}) {
    this.configuration = configuration;
    const state = hardState ?? { term: entries.at(-1)?.term ?? 0, commit: 0 };
    this.#visible = { hardState: state, entries: [...entries] };
    this.#durable = copyOf(this.#visible);
  }

  write(persist: Persist<string>): void {
    apply(this.#visible, persist, this.#cut.index);
    this.#pending.push(persist);
  }

  /** Makes the oldest `count` writes durable; all of them unless told otherwise. */
  flush(count = this.#pending.length): void {
    for (const persist of this.#pending.splice(0, count)) apply(this.#durable, persist, this.#cut.index);
  }

  /** `survivors` of the writes under way reached the disk although nobody was told. */
  crash(survivors = 0): void {
    this.flush(survivors);
    this.#pending = [];
    this.#visible = copyOf(this.#durable);
  }

  /** Forgets the log up to `index`, which must be applied. */
  cutThrough(index: number): void {
    const last = this.entryAt(index);
    if (last === undefined) throw new Error(`no entry ${index} to cut behind`);
    for (const image of [this.#visible, this.#durable]) image.entries.splice(0, index - this.#cut.index);
    this.#cut = { index, term: last.term, time: last.time };
    this.applied = Math.max(this.applied, index);
  }

  get restored(): RestoredState {
    const { index } = this.#cut;
    const configuration = this.configuration;
    return {
      hardState: this.#durable.hardState,
      applied: this.applied,
      ...(configuration !== undefined && { configuration }),
      ...(index > 0 &&
        configuration !== undefined && {
          snapshot: { last: this.#cut, configuration, handle: `cut-${index}` },
        }),
    };
  }

  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    return { hardState: this.#durable.hardState, lastIndex: this.#cut.index + this.#durable.entries.length };
  }

  durableTermAt(index: number): number | undefined {
    return this.#durable.entries[index - this.#cut.index - 1]?.term;
  }

  get entries(): readonly TestEntry[] {
    return this.#visible.entries;
  }

  entryAt(index: number): TestEntry | undefined {
    return this.#visible.entries[index - this.#cut.index - 1];
  }

  get firstIndex(): number {
    return this.#cut.index + 1;
  }

  get lastIndex(): number {
    return this.#cut.index + this.#visible.entries.length;
  }

  termAt(index: number): number | undefined {
    return index === this.#cut.index ? this.#cut.term : this.entryAt(index)?.term;
  }

  read(start: number, end: number, maxBytes: number): readonly TestEntry[] {
    if (start < this.firstIndex)
      throw new Error(`entry ${start} was cut: the log begins at ${this.firstIndex}`);
    const found: TestEntry[] = [];
    let bytes = 0;
    for (let index = start; index < end && (bytes < maxBytes || found.length === 0); index += 1) {
      const entry = this.entryAt(index);
      if (entry === undefined) break;
      found.push(entry);
      bytes += sizeOf(entry);
    }
    return found;
  }
}

function sizeOf(entry: TestEntry): number {
  return entry.type === "command" ? entry.command.length : 0;
}

function copyOf(image: Image): Image {
  return { hardState: image.hardState, entries: [...image.entries] };
}

function apply(image: Image, persist: Persist<string>, cut: number): void {
  const [first] = persist.entries;
  if (first !== undefined) {
    image.entries.length = first.index - cut - 1;
    image.entries.push(...persist.entries);
  }
  if (persist.hardState !== undefined) image.hardState = persist.hardState;
}
