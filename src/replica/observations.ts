/**
 * What one replica notices by itself, as it happens: told to whoever listens here, in no log and without a number. It
 * is known also without a quorum, and each replica knows only its own.
 */
import type { ReplicaName } from "./rpc.ts";

export type Observation =
  /** This replica has learnt who leads `term`. */
  | { readonly type: "raft.leader_elected"; readonly leader_id: ReplicaName; readonly term: number }
  /** This replica knows no leader any more; `term` is the one it acts in from now on. */
  | { readonly type: "raft.leader_lost"; readonly leader_id: ReplicaName; readonly term: number }
  /**
   * `node_id` has been silent for the detection period: a member, as the leader notices, or this replica itself, which
   * finds no leader. `health` is this replica's own at that moment.
   */
  | {
      readonly type: "partition.detected";
      readonly node_id: ReplicaName;
      readonly health: "healthy" | "unhealthy";
    }
  /** `node_id` is heard again, or this replica has found a leader. */
  | {
      readonly type: "partition.recovered";
      readonly node_id: ReplicaName;
      readonly new_leader: ReplicaName;
    }
  /** What a checkpoint covers has left this replica's log; each replica cuts its own, in its own time. */
  | { readonly type: "log.compacted"; readonly entries_removed: number };

type Listener = (observation: Observation) => void;

export class Observations {
  readonly #listeners = new Set<Listener>();

  /** Listens until the function returned is called. A listener that throws hears nothing more. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  note(observation: Observation): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(observation);
      } catch {
        // A stream that has ended without saying so must not end the replica.
        this.#listeners.delete(listener);
      }
    }
  }
}
