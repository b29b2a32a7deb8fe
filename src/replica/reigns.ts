/**
 * Who leads, as this replica sees it from one event to the next: what begins and ends with a reign of its own, and
 * what is said about the others'.
 */
import type { Status } from "../raft/index.ts";
import type { Duties } from "./duties.ts";
import { nameOf } from "./names.ts";
import type { Observation } from "./observations.ts";

interface Place {
  readonly role: Status["role"];
  readonly leader: string | undefined;
  readonly term: number;
}

export interface ReignsOptions {
  readonly status: Status;
  readonly now: () => number;
  readonly log: (text: string) => void;
  readonly observe: (observation: Observation) => void;
  /** The first entry of an own reign is committed: the state is complete and the duties begin. */
  readonly takeUp: (term: number) => Duties;
  /** An own reign has ended; whoever waits for the leader must be told. */
  readonly lost: (term: number) => void;
}

export class Reigns {
  readonly #options: ReignsOptions;
  #current: Place;
  #duties: Duties | undefined;
  /** Since this instance started. */
  won = 0;
  /** Since when no leader is known here; meaningful only while none is. */
  leaderlessSince: number;

  constructor(options: ReignsOptions) {
    this.#options = options;
    const { role, leader, term } = options.status;
    this.#current = { role, leader, term };
    this.leaderlessSince = options.now();
  }

  /** As last observed. */
  get current(): Place {
    return this.#current;
  }

  /** What only an established leader does. */
  get duties(): Duties | undefined {
    return this.#duties;
  }

  /** The entry that opens `term` has been applied. */
  barrier({ role, term }: Status, opened: number, index: number): void {
    if (role !== "leader" || term !== opened || this.#duties) return;
    this.#options.log(`raft: leadership established term=${term} index=${index}`);
    this.#duties = this.#options.takeUp(term);
  }

  observe({ role, leader, term }: Status): void {
    const before = this.#current;
    if (before.role === role && before.leader === leader && before.term === term) return;
    this.#current = { role, leader, term };
    const { now, log, lost, observe } = this.#options;
    if (before.leader !== undefined && leader === undefined) this.leaderlessSince = now();
    if (before.role === "leader" && (role !== "leader" || before.term !== term)) {
      lost(before.term);
      log(`raft: leadership lost term=${before.term} now_term=${term}`);
    }
    if (role === "leader" && before.role !== "leader") {
      this.won++;
      log(`raft: election won term=${term}`);
      log(`raft: entering leader state term=${term}`);
    } else if (role !== before.role || leader !== before.leader) {
      log(`raft: entering ${role} state term=${term} leader=${leader === undefined ? "" : nameOf(leader)}`);
    }
    if (leader !== undefined && (leader !== before.leader || term !== before.term)) {
      observe({ type: "raft.leader_elected", leader_id: nameOf(leader), term });
    } else if (before.leader !== undefined && leader === undefined) {
      observe({ type: "raft.leader_lost", leader_id: nameOf(before.leader), term });
    }
  }

  /** While all were silent nobody was missed: not a leader here, and no worker by one. */
  woke(): void {
    this.leaderlessSince = this.#options.now();
    this.#duties?.woke();
  }

  /** Ends the duties, if there are any; the pulls that wait get `answer`. */
  layDown(answer: Parameters<Duties["close"]>[0]): void {
    this.#duties?.close(answer);
    this.#duties = undefined;
  }
}
