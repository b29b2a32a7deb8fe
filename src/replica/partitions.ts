/**
 * Partitions as one replica notices them: a leader that a peer falls silent, any other replica that there is no leader
 * to be heard. Each counts once, when it has lasted for the detection period.
 */
export interface Reach {
  readonly now: number;
  readonly leads: boolean;
  /** When each other member was last heard; 0 if never. */
  readonly peers: ReadonlyMap<string, number>;
  /** Since when no leader is known; undefined while one is. */
  readonly leaderlessSince: number | undefined;
}

const NOBODY = "";

export class Partitions {
  readonly #detection_ms: number;
  readonly #silent = new Set<string>();
  #ledSince: number | undefined;
  /** Since this instance started. */
  detected = 0;

  constructor(detection_ms: number) {
    this.#detection_ms = detection_ms;
  }

  look({ now, leads, peers, leaderlessSince }: Reach): void {
    this.#ledSince = leads ? (this.#ledSince ?? now) : undefined;
    this.#note(NOBODY, leaderlessSince, now);
    for (const [peer, heardAt] of peers) {
      // Only a leader is answered by everybody, and only since it leads.
      this.#note(peer, this.#ledSince === undefined ? undefined : Math.max(heardAt, this.#ledSince), now);
    }
  }

  #note(who: string, since: number | undefined, now: number): void {
    if (since === undefined || now - since <= this.#detection_ms) this.#silent.delete(who);
    else if (!this.#silent.has(who)) {
      this.#silent.add(who);
      this.detected++;
    }
  }
}
