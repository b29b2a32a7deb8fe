/**
 * What the core wants done, in the order that its contract demands: sends first, then one synchronous transaction, then
 * apply; whatever is sent from then on is held back by the platform until the write is safe.
 */
import type { Command } from "../coordinator/commands.ts";
import type { LogIndex, Raft, Ready } from "../raft/index.ts";
import type { Application } from "./application.ts";
import type { Batches } from "./batches.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { LogEntry } from "./codec.ts";
import type { Peers } from "./peers.ts";
import type { Reads } from "./reads.ts";
import type { Store } from "./store.ts";

export interface CarryOutOptions {
  readonly raft: Raft<Command>;
  readonly store: Store;
  readonly peers: Peers;
  readonly application: Application;
  readonly checkpoints: Checkpoints;
  readonly batches: Batches;
  readonly reads: Reads;
  readonly now: () => number;
  /** An entry has been applied. */
  readonly passed: (entry: LogEntry) => void;
  /** The state is not what it was: entries were applied, or another replica's tables took its place. */
  readonly changed: () => void;
}

export class CarryOut {
  readonly #options: CarryOutOptions;

  constructor(options: CarryOutOptions) {
    this.#options = options;
  }

  /** Until the core wants nothing more. Whether anything was written. */
  all(): boolean {
    const { raft } = this.#options;
    let wrote = false;
    for (let ready = raft.takeReady(); ready; ready = raft.takeReady()) wrote = this.#one(ready) || wrote;
    return wrote;
  }

  #one(ready: Ready<Command>): boolean {
    const { raft, store, peers, application, checkpoints, batches, reads, now, passed, changed } =
      this.#options;
    peers.send(ready.sendNow);
    for (const { type, to } of ready.sendNow) {
      if (type === "snapshot-offer") checkpoints.sending.offered(to, now());
    }
    const wrote = this.#persist(ready);
    const applies = ready.committed.length > 0;
    if (applies) {
      application.apply(ready.committed, (one) => batches.applied(one.index, one.term, () => one), passed);
    }
    raft.advance({ persisted: ready.sequence, ...(applies ? { applied: application.index } : {}) });
    peers.send(ready.sendAfterPersist);
    for (const read of ready.reads) reads.settle(read, raft.status.term);
    if (applies) store.log.release(this.#held);
    if (applies || ready.persist?.snapshot) {
      reads.applied(application.index);
      changed();
    }
    return wrote;
  }

  /** Applied here, and stored by everybody to whom this replica sends entries. */
  get #held(): LogIndex {
    const { raft, application } = this.#options;
    const { status } = raft;
    if (status.role !== "leader") return application.index;
    let held = application.index;
    for (const { matched } of status.progress.values()) held = Math.min(held, matched);
    return held;
  }

  #persist({ persist }: Ready<Command>): boolean {
    const { store, application } = this.#options;
    if (persist === undefined) return false;
    if (!persist.mustSync) {
      if (persist.hardState) store.hint(persist.hardState);
      return false;
    }
    store.write(persist);
    if (persist.snapshot) application.restart();
    return true;
  }
}
