/**
 * Partitions as one replica notices them: a leader that a peer falls silent, any other replica that there is no leader
 * to be heard. Each counts once, when it has lasted for the detection period, and ends when the silence does.
 */
export interface Reach {
  readonly now: number;
  readonly leads: boolean;
  /** When each other member was last heard; 0 if never. */
  readonly peers: ReadonlyMap<string, number>;
  /** Since when no leader is known; undefined while one is. */
  readonly leaderlessSince: number | undefined;
}

/** `peer` is absent where it is the leader that is missing. */
export interface PartitionChange {
  readonly type: "detected" | "recovered";
  readonly peer?: string;
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

  look({ now, leads, peers, leaderlessSince }: Reach): readonly PartitionChange[] {
    const changes: PartitionChange[] = [];
    const note = (who: string, since: number): void => {
      const silent = now - since > this.#detection_ms;
      if (silent === this.#silent.has(who)) return;
      if (silent) this.#silent.add(who);
      else this.#silent.delete(who);
      if (silent) this.detected++;
      changes.push({ type: silent ? "detected" : "recovered", ...(who === NOBODY ? {} : { peer: who }) });
    };
    note(NOBODY, leaderlessSince ?? now);
    this.#ledSince = leads ? (this.#ledSince ?? now) : undefined;
    for (const who of this.#silent) {
      // Only a leader is answered by everybody: nobody else can tell whether a silence goes on.
      if (who !== NOBODY && !(leads && peers.has(who))) this.#silent.delete(who);
    }
    if (this.#ledSince === undefined) return changes;
    for (const [peer, heardAt] of peers) note(peer, Math.max(heardAt, this.#ledSince));
    return changes;
  }
}
