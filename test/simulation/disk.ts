/**
 * A disk that keeps only what was flushed. Each write is atomic and visible to its own process at
 * once; writes become durable in order, and a crash loses those that did not, except for a prefix of
 * them that reached the disk although nobody was told: the first one torn and all behind it are gone.
 */
import type {
  Configuration,
  HardState,
  LogReader,
  Persist,
  RestoredState,
  SnapshotDescriptor,
} from "../../src/raft/index.ts";
import { COMMAND_BYTES, type Command, Machine, type SimEntry } from "./machine.ts";

/** A snapshot with what it stands for. Nobody changes the machine in it. */
export interface Image {
  readonly descriptor: SnapshotDescriptor;
  readonly machine: Machine;
}

export interface Write {
  readonly persist?: Persist<Command>;
  /** The state machine, written in the same transaction. */
  readonly checkpoint?: Machine;
  readonly image?: Image;
  /** Forget the log up to this index, which an image covers. */
  readonly cutThrough?: number;
}

interface Plate {
  hardState: HardState;
  /** Entry `base.index + 1` first. */
  entries: SimEntry[];
  base: { readonly index: number; readonly term: number };
  image: Image | undefined;
  machine: Machine;
}

/** Images of others that are kept until they are installed or newer ones arrive. */
const MOST_RECEIVED = 3;

export class Disk implements LogReader<Command> {
  /** With which the group was founded; absent in a replica that waits to be added. */
  readonly founders: Configuration | undefined;
  readonly #visible: Plate;
  #durable: Plate;
  #pending: Write[] = [];
  readonly #received = new Map<string, Image>();

  constructor(founders: Configuration | undefined) {
    this.founders = founders;
    this.#visible = blank();
    this.#durable = blank();
  }

  write(write: Write): void {
    this.#carryOut(this.#visible, write);
    this.#pending.push(write);
  }

  /** Makes the oldest `count` writes durable. */
  flush(count: number): void {
    for (const write of this.#pending.splice(0, count)) this.#carryOut(this.#durable, write);
  }

  get unflushed(): number {
    return this.#pending.length;
  }

  /** The oldest `survivors` of the writes under way are found there afterwards; returns the entries in the others. */
  crash(survivors: number): readonly SimEntry[] {
    this.flush(survivors);
    const torn = this.#pending.flatMap(({ persist }) => persist?.entries ?? []);
    this.#pending = [];
    Object.assign(this.#visible, this.#durable, { entries: [...this.#durable.entries] });
    return torn;
  }

  /** Holds a whole image of another replica durably. */
  receive(image: Image): void {
    this.#received.delete(image.descriptor.handle);
    this.#received.set(image.descriptor.handle, image);
    for (const handle of this.#received.keys()) {
      if (this.#received.size <= MOST_RECEIVED) break;
      this.#received.delete(handle);
    }
  }

  image(handle: string): Image | undefined {
    const own = this.#visible.image;
    return own?.descriptor.handle === handle ? own : this.#received.get(handle);
  }

  /** The newest image, whether or not it is durable yet. */
  get newestImage(): Image | undefined {
    return this.#visible.image;
  }

  get machine(): Machine {
    return this.#visible.machine;
  }

  get restored(): RestoredState {
    const { hardState, machine, image } = this.#visible;
    const configuration = image?.descriptor.configuration ?? this.founders;
    return {
      hardState,
      applied: machine.applied,
      ...(configuration !== undefined && { configuration }),
      ...(image !== undefined && { snapshot: image.descriptor }),
    };
  }

  get hardState(): HardState {
    return this.#visible.hardState;
  }

  /** What a crash at this moment certainly leaves. */
  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    const { hardState, base, entries } = this.#durable;
    return { hardState, lastIndex: base.index + entries.length };
  }

  /** Whether the entry, or an image that includes it, is durable. */
  holds({ index, term }: { readonly index: number; readonly term: number }): boolean {
    const { base, entries, image } = this.#durable;
    if (index <= Math.max(base.index, image?.descriptor.last.index ?? 0)) return true;
    return entries[index - base.index - 1]?.term === term;
  }

  get firstIndex(): number {
    return this.#visible.base.index + 1;
  }

  get lastIndex(): number {
    return this.#visible.base.index + this.#visible.entries.length;
  }

  entryAt(index: number): SimEntry | undefined {
    return this.#visible.entries[index - this.#visible.base.index - 1];
  }

  termAt(index: number): number | undefined {
    const { base } = this.#visible;
    return index === base.index ? base.term : this.entryAt(index)?.term;
  }

  read(start: number, end: number, maxBytes: number): readonly SimEntry[] {
    const { base, entries } = this.#visible;
    if (start <= base.index) throw new Error(`entry ${start} was cut: the log begins at ${base.index + 1}`);
    const from = start - base.index - 1;
    let to = from;
    let bytes = 0;
    for (const most = Math.min(end - base.index - 1, entries.length); to < most; to += 1) {
      bytes += entries[to]?.type === "command" ? COMMAND_BYTES : 0;
      if (to > from && bytes > maxBytes) break;
    }
    return entries.slice(from, to);
  }

  #carryOut(plate: Plate, { persist, checkpoint, image, cutThrough }: Write): void {
    if (persist !== undefined) this.#persist(plate, persist);
    if (checkpoint !== undefined && checkpoint.applied > plate.machine.applied) plate.machine = checkpoint;
    if (image !== undefined) {
      plate.image = image;
      if (image.machine.applied > plate.machine.applied) plate.machine = image.machine;
    }
    if (cutThrough !== undefined && cutThrough > plate.base.index) {
      const last = plate.entries[cutThrough - plate.base.index - 1];
      if (last === undefined) throw new Error(`no entry ${cutThrough} to cut behind`);
      plate.entries = plate.entries.slice(cutThrough - plate.base.index);
      plate.base = { index: cutThrough, term: last.term };
    }
  }

  #persist(plate: Plate, { snapshot, entries, hardState }: Persist<Command>): void {
    if (snapshot !== undefined) {
      const image = this.#received.get(snapshot.handle);
      if (image === undefined)
        throw new Error(`image ${snapshot.handle} is to be installed but was never received`);
      plate.image = image;
      plate.machine = image.machine;
      plate.entries = [];
      plate.base = { index: snapshot.last.index, term: snapshot.last.term };
    }
    const [first] = entries;
    if (first !== undefined) {
      plate.entries.length = first.index - plate.base.index - 1;
      plate.entries.push(...entries);
    }
    if (hardState !== undefined) plate.hardState = hardState;
  }
}

function blank(): Plate {
  return {
    hardState: { term: 0, commit: 0 },
    entries: [],
    base: { index: 0, term: 0 },
    image: undefined,
    machine: new Machine(),
  };
}
