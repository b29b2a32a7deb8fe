/**
 * The follower's half of a snapshot in place: pulls the leader's tables into a generation of its own beside the one in
 * use, and has the core told of the snapshot only when all of it is here, by number and digest. Nothing that was in use
 * is touched until then. What an attempt has brought stays for the next, also after a restart: it is not sent again if
 * it is still the same, and most of it is, because what has ended does not change.
 */
import type { SnapshotOffer } from "../raft/index.ts";
import { Pull } from "./pull.ts";
import type { TransferAnswer, TransferRequest } from "./sending.ts";
import type { Store } from "./store.ts";

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
      const pull = this.#begin(from);
      const outcome = await pull.run();
      if (outcome.type === "differs") log(`snapshot: from ${from} refused: ${outcome.detail}`);
      if (outcome.type !== "complete") continue;
      const { snapshot } = outcome;
      this.#check(from);
      this.#options.install({ ...(this.#underWay ?? offer), snapshot });
      store.unstage();
      this.count++;
      log(`snapshot: taken in index=${snapshot.last.index} ${pull.summary}`);
      pull.end("delivered");
      return true;
    }
    throw new Ended(`it was begun ${BEGINNINGS_MAX} times`);
  }

  #begin(from: string): Pull {
    const { store } = this.#options;
    const generation = store.stage();
    return new Pull({
      generation,
      fill: (work) => store.fillStaged(generation, work),
      ask: (request) => this.#ask(from, request),
      tell: (request) => void this.#options.ask(from, request),
    });
  }

  /** A lost answer is asked for again. */
  async #ask(from: string, request: TransferRequest): Promise<TransferAnswer> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const answer = await this.#options.ask(from, request);
      this.#check(from);
      if (answer !== undefined) return answer;
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
