/**
 * Linearizable reads. A leader confirms by a quorum round begun after the read arrived; a follower asks the leader
 * for the index that such a round grants, and answers from its own state once it has applied that far. Reads that
 * arrive while a follower's question is on its way share the next one.
 */
import type { ReadResult } from "../raft/index.ts";
import type { Declined } from "./rpc.ts";

export type Grant = { readonly type: "granted"; readonly index: number } | Declined;

const READS_WAITING_MAX = 10_000;

const TOO_MANY: Declined = {
  type: "unavailable",
  code: "overloaded",
  detail: `${READS_WAITING_MAX} reads are waiting on this replica; try again shortly`,
  retry_after_ms: 1000,
};

export class Reads {
  readonly #rounds = new Map<string, (grant: Grant) => void>();
  #waiting: { readonly index: number; readonly resolve: (reached: boolean) => void }[] = [];
  #asking: Promise<Grant> | undefined;
  #next: Promise<Grant> | undefined;
  /** Reads that share a question to the leader. */
  #sharing = 0;
  #count = 0;

  /** As leader: `begin` asks the core under the id given to it, and says whether that was refused. */
  round(begin: (id: string) => Declined | undefined): Promise<Grant> {
    if (this.#full) return Promise.resolve(TOO_MANY);
    const id = String(++this.#count);
    return new Promise((resolve) => {
      this.#rounds.set(id, resolve);
      const declined = begin(id);
      if (declined && this.#rounds.delete(id)) resolve(declined);
    });
  }

  settle(result: ReadResult, term: number): void {
    const resolve = this.#rounds.get(result.id);
    this.#rounds.delete(result.id);
    if (result.type === "granted") resolve?.({ type: "granted", index: result.index });
    else resolve?.({ type: "not-leader", term });
  }

  /** As follower: one question to the leader at a time; whoever comes later shares the next one. */
  async ask(question: () => Promise<Grant>): Promise<Grant> {
    if (this.#full) return TOO_MANY;
    this.#sharing++;
    try {
      return await this.#share(question);
    } finally {
      this.#sharing--;
    }
  }

  /** Every read is asked for before it waits here for entries: what is full lets nobody in, whatever he waits for. */
  get #full(): boolean {
    return this.#rounds.size + this.#sharing + this.#waiting.length >= READS_WAITING_MAX;
  }

  #share(question: () => Promise<Grant>): Promise<Grant> {
    if (this.#next) return this.#next;
    const start = (): Promise<Grant> => {
      this.#next = undefined;
      const asking = question().finally(() => {
        if (this.#asking === asking) this.#asking = undefined;
      });
      this.#asking = asking;
      return asking;
    };
    if (!this.#asking) return start();
    const next = this.#asking.then(start, start);
    this.#next = next;
    return next;
  }

  /** Resolves true when `index` is applied here, false when that takes until `timeout_ms`. */
  reached(index: number, applied: number, timeout_ms: number): Promise<boolean> {
    if (applied >= index) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = {
        index,
        resolve: (reached: boolean) => {
          clearTimeout(timer);
          resolve(reached);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(false);
      }, timeout_ms);
      this.#waiting.push(waiter);
    });
  }

  applied(index: number): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter((waiter) => waiter.index <= index);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => waiter.index > index);
    for (const waiter of due) waiter.resolve(true);
  }

  close(answer: Declined): void {
    for (const resolve of this.#rounds.values()) resolve(answer);
    this.#rounds.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.resolve(false);
  }
}
