/**
 * What the leader tells one replica about its own part in the group, over `/peer/member`: to take part, to accept
 * nothing more because it is to be removed, or to forget that it ever took part. An order that is not meant for this
 * incarnation and this founding changes nothing.
 */
import type { Founding } from "./birth.ts";
import { checkVersion, FORMAT_VERSION } from "./codec.ts";
import type { Founder } from "./founder.ts";

export interface Order {
  readonly v: number;
  readonly founding: Founding;
  /** Whom it is for. */
  readonly incarnation: string;
  readonly action: "join" | "retire" | "resume" | "leave";
}

export type OrderAnswer =
  | {
      readonly v: number;
      readonly type: "done";
      /** Requests of clients that it still works on. */
      readonly in_flight: number;
    }
  | { readonly v: number; readonly type: "mismatch"; readonly detail: string };

/** A leader that is gone takes nothing back: a replica which was told to retire accepts again after so long. */
const RETIRED_MS = 35_000;

/** What one replica has been told, and what it still works on. */
export class Orders {
  #retiredUntil = 0;
  #inFlight = 0;

  /** This replica is to be removed and accepts nothing more. */
  retired(now: number): boolean {
    return now < this.#retiredUntil;
  }

  retire(until: number): void {
    this.#retiredUntil = until;
  }

  /** Counts a client's request for as long as `work` goes on. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#inFlight++;
    try {
      return await work();
    } finally {
      this.#inFlight--;
    }
  }

  /** @param leave forgets everything that the replica has stored about the group */
  take(order: Order, founder: Founder, now: number, leave: () => void): OrderAnswer {
    checkVersion("an order", order);
    const { founding, incarnation, action } = order;
    const held = founder.founding?.founding_id;
    if (incarnation !== founder.incarnation || (held !== undefined && held !== founding.founding_id)) {
      const detail = `it is incarnation ${founder.incarnation} of founding ${held ?? "none"}; the order was for ${incarnation} of ${founding.founding_id}`;
      return { v: FORMAT_VERSION, type: "mismatch", detail };
    }
    switch (action) {
      case "join":
        founder.join(founding);
        break;
      case "retire":
        this.#retiredUntil = now + RETIRED_MS;
        break;
      case "resume":
        this.#retiredUntil = 0;
        break;
      case "leave":
        this.#retiredUntil = 0;
        if (held !== undefined) leave();
        break;
    }
    return { v: FORMAT_VERSION, type: "done", in_flight: this.#inFlight };
  }
}
