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
  SnapshotDescriptor,
} from "../../../src/raft/index.ts";

export type TestEntry = Entry<string>;

interface Image {
  hardState: HardState;
  /** The log was cut behind this entry, whose term is still known. */
  cut: { readonly index: number; readonly term: number };
  /** Entry `cut.index + 1` first. */
  entries: TestEntry[];
  snapshot: SnapshotDescriptor | undefined;
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

  constructor({ hardState, entries = [], configuration }: DiskStart = {}) {
    this.configuration = configuration;
    const state = hardState ?? { term: entries.at(-1)?.term ?? 0, commit: 0 };
    const cut = { index: 0, term: 0 };
    this.#visible = { hardState: state, cut, entries: [...entries], snapshot: undefined };
    this.#durable = copyOf(this.#visible);
  }

  write(persist: Persist<string>): void {
    apply(this.#visible, persist);
    this.#pending.push(persist);
  }

  /** Makes the oldest `count` writes durable; all of them unless told otherwise. */
  flush(count = this.#pending.length): void {
    for (const persist of this.#pending.splice(0, count)) {
      apply(this.#durable, persist);
      // An image brings the state machine with it.
      this.applied = Math.max(this.applied, persist.snapshot?.last.index ?? 0);
    }
  }

  /** `survivors` of the writes under way reached the disk although nobody was told. */
  crash(survivors = 0): void {
    this.flush(survivors);
    this.#pending = [];
    this.#visible = copyOf(this.#durable);
  }

  /** Keeps an image of the state machine, durably. */
  keep(snapshot: SnapshotDescriptor): void {
    for (const image of [this.#visible, this.#durable]) image.snapshot = snapshot;
    this.applied = Math.max(this.applied, snapshot.last.index);
  }

  get snapshot(): SnapshotDescriptor | undefined {
    return this.#visible.snapshot;
  }

  /** Forgets the log up to `index`; a snapshot in the first configuration is made if there is none. */
  cutThrough(index: number): void {
    const last = this.entryAt(index);
    if (last === undefined) throw new Error(`no entry ${index} to cut behind`);
    const { configuration } = this;
    const { term, time } = last;
    if ((this.snapshot?.last.index ?? 0) < index && configuration !== undefined) {
      this.keep({ last: { term, index, time }, configuration, handle: `cut-${index}` });
    }
    for (const image of [this.#visible, this.#durable]) {
      image.entries.splice(0, index - image.cut.index);
      image.cut = { index, term };
    }
  }

  get restored(): RestoredState {
    const { hardState, snapshot } = this.#durable;
    const configuration = snapshot?.configuration ?? this.configuration;
    return {
      hardState,
      applied: this.applied,
      ...(configuration !== undefined && { configuration }),
      ...(snapshot !== undefined && { snapshot }),
    };
  }

  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    const { hardState, cut, entries } = this.#durable;
    return { hardState, lastIndex: cut.index + entries.length };
  }

  durableTermAt(index: number): number | undefined {
    return this.#durable.entries[index - this.#durable.cut.index - 1]?.term;
  }

  get entries(): readonly TestEntry[] {
    return this.#visible.entries;
  }

  entryAt(index: number): TestEntry | undefined {
    return this.#visible.entries[index - this.#visible.cut.index - 1];
  }

  get firstIndex(): number {
    return this.#visible.cut.index + 1;
  }

  get lastIndex(): number {
    return this.#visible.cut.index + this.#visible.entries.length;
  }

  termAt(index: number): number | undefined {
    const { cut } = this.#visible;
    return index === cut.index ? cut.term : this.entryAt(index)?.term;
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
  return { ...image, entries: [...image.entries] };
}

function apply(image: Image, { snapshot, entries, hardState }: Persist<string>): void {
  if (snapshot !== undefined) {
    image.snapshot = snapshot;
    image.cut = snapshot.last;
    image.entries = [];
  }
  const [first] = entries;
  if (first !== undefined) {
    image.entries.length = first.index - image.cut.index - 1;
    image.entries.push(...entries);
  }
  if (hardState !== undefined) image.hardState = hardState;
}
