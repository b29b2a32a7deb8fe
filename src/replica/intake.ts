/**
 * The follower's half of a snapshot in place: pulls the leader's tables into a generation of its own beside the one in
 * use, and has the core told of the snapshot only when all of it is here. Nothing that was in use is touched until then.
 */
import type { SnapshotOffer } from "../raft/index.ts";
import type { Generation } from "./generation.ts";
import type { TransferAnswer, TransferRequest, TransferStep } from "./sending.ts";
import type { Store } from "./store.ts";

/** After so many chunks of records the changes that have piled up are pulled. */
const CHUNKS_BETWEEN_CHANGES = 16;
const ATTEMPTS_MAX = 20;
const ATTEMPT_PAUSE_MS = 100;
/** Times that one offer is begun anew: its sender has forgotten it, or changes faster than it is pulled. */
const BEGINNINGS_MAX = 3;

export interface IntakeOptions {
  readonly store: Store;
  /** Undefined where the sender could not be reached. */
  readonly ask: (sender: string, request: TransferRequest) => Promise<TransferAnswer | undefined>;
  /** Everything is here: the core decides whether it takes the place of what is in use. */
  readonly install: (offer: SnapshotOffer) => void;
  /** The storage failed. */
  readonly failed: (error: unknown) => void;
  readonly log: (text: string) => void;
}

class Ended extends Error {}

export class Intake {
  readonly #options: IntakeOptions;
  #underWay: SnapshotOffer | undefined;
  #closed = false;
  /** Snapshots taken in since this instance started. */
  count = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  close(): void {
    this.#closed = true;
  }

  /** Pulls what was offered, unless that is under way: an offer may be repeated. */
  offered(offer: SnapshotOffer): void {
    const { from, term } = offer;
    const known = this.#underWay;
    if (known !== undefined && (known.from === from || known.term >= term)) {
      if (known.from === from) this.#underWay = { ...offer, term: Math.max(term, known.term) };
      return;
    }
    const before = known;
    this.#underWay = offer;
    if (before === undefined) this.#run().catch(this.#options.failed);
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (this.#underWay !== undefined && !this.#closed) {
      const offer = this.#underWay;
      const took = await this.#take(offer).catch((error: unknown) => {
        if (!(error instanceof Ended)) throw error;
        log(`snapshot: from ${offer.from} not taken in: ${error.message}`);
        return false;
      });
      if (took || this.#underWay.from === offer.from) this.#underWay = undefined;
    }
  }

  async #take(offer: SnapshotOffer): Promise<boolean> {
    const { store, log } = this.#options;
    const { from } = offer;
    log(`snapshot: pulling from ${from} index=${offer.snapshot.last.index}`);
    for (let beginning = 1; beginning <= BEGINNINGS_MAX; beginning++) {
      const transfer = crypto.randomUUID();
      const snapshot = await this.#pull(from, transfer, store.stage());
      if (snapshot === undefined) continue;
      this.#check(from);
      this.#options.install({ ...(this.#underWay ?? offer), snapshot });
      store.unstage();
      this.count++;
      log(`snapshot: taken in index=${snapshot.last.index}`);
      void this.#options.ask(from, { transfer, step: { type: "end", result: "delivered" } });
      return true;
    }
    throw new Ended(`it was begun ${BEGINNINGS_MAX} times`);
  }

  /** Undefined if it has to begin anew. */
  async #pull(
    from: string,
    transfer: string,
    generation: Generation,
  ): Promise<SnapshotOffer["snapshot"] | undefined> {
    const step = (next: TransferStep) => this.#step(from, { transfer, step: next }, generation);
    let after: readonly [string, string] = ["", ""];
    for (let chunks = 1; ; chunks++) {
      const answer = await step({ type: "records", after });
      if (answer === undefined) return undefined;
      const last = answer.rows.at(-1);
      if (answer.done || last?.[0] !== "records") break;
      after = [last[1], last[2]];
      if (chunks % CHUNKS_BETWEEN_CHANGES === 0 && (await step({ type: "changes" })) === undefined)
        return undefined;
    }
    for (;;) {
      const pinned = await step({ type: "pin" });
      if (pinned === undefined) return undefined;
      const { snapshot } = pinned;
      if (snapshot === undefined) {
        if (pinned.done) return undefined;
        continue;
      }
      this.#options.store.clearStaged();
      const live = await this.#numbered("live", step);
      const arrivals = live === "rows" ? await this.#numbered("arrivals", step) : live;
      if (arrivals === "unknown") return undefined;
      if (arrivals === "rows") return snapshot;
    }
  }

  async #numbered(
    type: "live" | "arrivals",
    step: (next: TransferStep) => Promise<Rows | undefined>,
  ): Promise<"rows" | "moved" | "unknown"> {
    for (let after = 0; ; ) {
      const answer = await step({ type, after });
      if (answer === undefined) return "unknown";
      if (answer.moved) return "moved";
      const last = answer.rows.at(-1);
      if (last === undefined || last[0] === "records") return "rows";
      after = last[1];
    }
  }

  async #step(from: string, request: TransferRequest, generation: Generation): Promise<Rows | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const answer = await this.#options.ask(from, request);
      this.#check(from);
      switch (answer?.type) {
        case "rows":
          this.#options.store.putStaged(generation, answer.rows);
          return { ...answer, moved: false };
        case "moved":
          return { rows: [], done: false, moved: true };
        case "unknown":
          return undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, ATTEMPT_PAUSE_MS));
      this.#check(from);
    }
    throw new Ended(`${from} does not answer`);
  }

  /** Somebody else leads now, or nobody needs it any more. */
  #check(from: string): void {
    if (this.#closed) throw new Ended("this replica was stopped");
    if (this.#underWay?.from !== from) throw new Ended(`${this.#underWay?.from} offers another`);
  }
}

interface Rows extends Omit<Extract<TransferAnswer, { readonly type: "rows" }>, "type"> {
  readonly moved: boolean;
}
