/**
 * Changes of who takes part, as the leader makes them: one at a time, and each only where it cannot cost what was
 * promised. How a configuration comes into force is the core's; here newcomers are met, work in flight is waited for,
 * and what would endanger the group is refused.
 */
import type { Coordinator } from "../coordinator/index.ts";
import {
  type Configuration,
  type LogPosition,
  type MembershipChange,
  majorityOf,
  type Outcome,
  votersOf,
} from "../raft/index.ts";
import type { Batches } from "./batches.ts";
import type { Founding, Introduction } from "./birth.ts";
import { FORMAT_VERSION, type LogEntry } from "./codec.ts";
import {
  behind,
  type ChangeAnswer,
  Handover,
  type HandoverOptions,
  pause,
  refusalOf,
  refused,
} from "./handover.ts";
import { idOf, incarnationOf, nameOf } from "./names.ts";
import type { Order, OrderAnswer } from "./orders.ts";
import type { Peers } from "./peers.ts";
import type { Grant } from "./reads.ts";
import type { Change, Declined, ReplicaName } from "./rpc.ts";

/** How long a replica that is to be removed may finish what it has begun. */
export const WORK_MS_MAX = 30_000;
/** A change that nobody finished does not keep the next one out for longer. */
const CHANGE_MS_MAX = WORK_MS_MAX + 10_000;
const ASK_MS = 2_000;
/** How long the rest may take to hold what is committed. */
const HOLD_MS_MAX = 2_000;
const LOOK_MS = 20;

export interface MembershipOptions extends HandoverOptions {
  readonly founding: Founding;
  readonly coordinator: () => Coordinator;
  readonly peers: Peers;
  readonly batches: Batches;
  /** A quorum round of this leader. */
  readonly confirm: () => Promise<Grant>;
  /** This replica accepts nothing new until then. */
  readonly retire: (until: number) => void;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #handover: Handover;
  /** A change is being made until then, at the latest. */
  #busyUntil = 0;
  #waiting:
    | { readonly position: LogPosition; readonly settle: (answer: number | Declined) => void }
    | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#handover = new Handover(options);
  }

  get changing(): boolean {
    return this.#options.now() < this.#busyUntil;
  }

  /** Never rejects for anything that was asked. */
  async change(change: Change): Promise<ChangeAnswer> {
    const { now, notLeader } = this.#options;
    if (!this.#leads) return notLeader();
    if (this.changing) {
      return refused("change-in-progress", "another change of the members is being made; try again shortly");
    }
    const until = now() + CHANGE_MS_MAX;
    this.#busyUntil = until;
    try {
      return await this.#carryOut(change);
    } finally {
      if (this.#busyUntil === until) this.#busyUntil = 0;
    }
  }

  #carryOut(change: Change): Promise<ChangeAnswer> {
    switch (change.change) {
      case "add":
        return this.#add(change.node_id, change.location_hint);
      case "promote":
        return this.#promote(change.node_id);
      case "remove":
        return this.#remove(change.node_id);
      case "transfer":
        return this.#transfer(change.to);
    }
  }

  /** An entry has been applied. */
  passed(entry: LogEntry): void {
    const waiting = this.#waiting;
    if (!waiting || entry.index < waiting.position.index) return;
    if (entry.index === waiting.position.index && entry.term !== waiting.position.term) {
      this.#settle(this.#options.notLeader());
    } else if (entry.type === "configuration" && entry.configuration.type === "stable") {
      this.#settle(entry.index);
    }
  }

  /** This replica leads no more: a change that was appended may still come into force. */
  abandon(detail: string): void {
    this.#settle({ type: "outcome-unknown", detail });
  }

  #settle(answer: number | Declined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.settle(answer);
  }

  get #leads(): boolean {
    return this.#options.raft.status.role === "leader";
  }

  get #configuration(): Configuration {
    return this.#options.members.configuration;
  }

  get #voters(): readonly string[] {
    return votersOf(this.#configuration);
  }

  #named(node_id: ReplicaName): readonly string[] {
    return this.#options.members.ids.filter((id) => nameOf(id) === node_id);
  }

  async #add(node_id: ReplicaName, location_hint: string | undefined): Promise<ChangeAnswer> {
    const { founding, coordinator, batches } = this.#options;
    const met = await this.#meet(node_id);
    if (met === undefined) return refused("replica-unreachable", `${node_id} does not answer the leader`);
    let { incarnation } = met;
    if (met.founding !== undefined) {
      if (met.founding.founding_id !== founding.founding_id) {
        const detail = `${node_id} belongs to the group of founding ${met.founding.founding_id}`;
        return refused("member-of-another-group", detail);
      }
      const id = idOf(met);
      if (this.#voters.includes(id)) return refused("member-exists", `${node_id} is a voter already`);
      if (this.#named(node_id).includes(id)) return this.#already(id);
      const renewed = await this.#renewed(node_id, incarnation);
      if (typeof renewed !== "string") return renewed;
      incarnation = renewed;
    }
    if (location_hint !== undefined && coordinator().location(node_id) !== location_hint) {
      const id = crypto.randomUUID();
      const described = await batches.propose({ v: 1, id, type: "describe-member", node_id, location_hint });
      if (described.type === "appended") throw new Error("an answer was given before the entry was applied");
      if (described.type !== "applied") return described;
    }
    if ((await this.#order(node_id, incarnation, "join")) === undefined) {
      return refused("replica-unreachable", `${node_id} does not answer the leader`);
    }
    const id = idOf({ name: node_id, incarnation });
    const forgotten = this.#named(node_id).filter((known) => !this.#voters.includes(known));
    return this.#propose(node_id, [
      { type: "add-learner", replica: id },
      ...forgotten.map((replica) => ({ type: "remove", replica }) as const),
    ]);
  }

  /** Its new incarnation, once a replica that took part before, under an id that is used no more, has forgotten it all. */
  async #renewed(node_id: ReplicaName, incarnation: string): Promise<string | ChangeAnswer> {
    const { confirm, now, notLeader } = this.#options;
    // Only a leader that still leads knows that this incarnation cannot be, or become, a member elsewhere.
    const grant = await confirm();
    if (grant.type !== "granted") return grant;
    if (!this.#leads) return notLeader();
    if (this.#named(node_id).includes(idOf({ name: node_id, incarnation }))) {
      return refused("member-exists", `${node_id} is a member already`);
    }
    await this.#order(node_id, incarnation, "leave");
    for (const until = now() + ASK_MS; now() < until; await pause(LOOK_MS)) {
      const met = await this.#meet(node_id);
      if (met !== undefined && met.founding === undefined && met.incarnation !== incarnation)
        return met.incarnation;
    }
    return refused("replica-unreachable", `${node_id} took part before and does not begin anew`);
  }

  async #promote(node_id: ReplicaName): Promise<ChangeAnswer> {
    const { members, raft } = this.#options;
    const named = this.#named(node_id);
    const learner = named.find((id) => !this.#voters.includes(id));
    if (learner === undefined) {
      const [voter] = named;
      if (voter === undefined) return refused("member-unknown", `${node_id} is no member`);
      return this.#already(voter);
    }
    if (!members.reaches(learner)) {
      const { status } = raft;
      const matched = status.role === "leader" ? (status.progress.get(learner)?.matched ?? 0) : 0;
      return refused("learner-behind", behind(node_id, matched, raft.status.commit));
    }
    const replaced = named.filter((id) => id !== learner);
    return this.#propose(node_id, [
      { type: "promote", replica: learner },
      ...replaced.map((replica) => ({ type: "remove", replica }) as const),
    ]);
  }

  async #remove(node_id: ReplicaName): Promise<ChangeAnswer> {
    const { id: own, coordinator, now, peers } = this.#options;
    const leaving = this.#named(node_id);
    if (leaving.length === 0) {
      const before = coordinator()
        .members()
        .filter((member) => member.node_id === node_id);
      const last = before.at(-1);
      if (last === undefined) return refused("member-unknown", `${node_id} is no member`);
      return { type: "changed", node_id, log_index: last.log_index };
    }
    const voters = this.#voters;
    const rest = voters.filter((voter) => !leaving.includes(voter));
    const losesVote = rest.length < voters.length;
    const objection = losesVote ? await this.#objection(rest) : undefined;
    if (objection !== undefined) return refused("removal-unsafe", objection);
    const until = now() + WORK_MS_MAX;
    if (leaving.includes(own)) return this.#leave(rest, until);

    await this.#finished(leaving, until);
    const late = losesVote ? await this.#objection(rest) : undefined;
    const answer: ChangeAnswer =
      late !== undefined
        ? refused("removal-unsafe", late)
        : await this.#propose(
            node_id,
            leaving.map((replica) => ({ type: "remove", replica }) as const),
          );
    for (const id of leaving) {
      if (answer.type === "outcome-unknown" || peers.heardAt(id) === 0) continue;
      const incarnation = incarnationOf(id);
      // Whoever does not hear it now hears it from the first member that it turns to.
      await this.#order(node_id, incarnation, answer.type === "changed" ? "leave" : "resume");
    }
    return answer;
  }

  /** Why the group should not go on with `rest` alone; undefined once a majority of them holds all that is committed now. */
  async #objection(rest: readonly string[]): Promise<string | undefined> {
    const { raft, members, now, id: own } = this.#options;
    if (rest.length === 0) return "nobody would be left to vote";
    const needed = majorityOf(rest.length);
    const { commit } = raft.status;
    for (const until = now() + HOLD_MS_MAX; ; await pause(LOOK_MS)) {
      const { status } = raft;
      if (status.role !== "leader") return "the leader changed meanwhile";
      const reached = rest.filter((id) => members.reaches(id));
      const holding = reached.filter((id) => id === own || (status.progress.get(id)?.matched ?? 0) >= commit);
      if (holding.length >= needed) return undefined;
      if (now() < until) continue;
      return `of the ${rest.length} that would be left to vote ${reached.length} can be reached and ${holding.length} hold all ${commit} committed entries; ${needed} must`;
    }
  }

  /** These accept nothing more, and have ended what they had begun, or their time is up, or they do not answer. */
  async #finished(leaving: readonly string[], until: number): Promise<void> {
    const { now, members } = this.#options;
    for (const id of leaving) {
      while (members.reaches(id) && now() < until) {
        const answer = await this.#order(nameOf(id), incarnationOf(id), "retire");
        if (answer === undefined || answer.in_flight === 0) break;
        await pause(LOOK_MS);
      }
    }
  }

  /** The leader is to go: it hands over, and whoever leads then removes it. */
  async #leave(rest: readonly string[], until: number): Promise<ChangeAnswer> {
    const { now, batches, retire, notLeader } = this.#options;
    retire(until);
    while (batches.underWay > 0 && now() < until) await pause(LOOK_MS / 4);
    const successor = this.#handover.best(rest);
    const answer =
      successor === undefined
        ? refused("transfer-failed", "nobody can be reached who could lead")
        : await this.#handover.to(successor);
    if (answer.type !== "transferred") {
      retire(0);
      return answer;
    }
    return notLeader();
  }

  async #transfer(to: ReplicaName | undefined): Promise<ChangeAnswer> {
    const { id: own, raft } = this.#options;
    const others = this.#voters.filter((voter) => voter !== own);
    if (to === undefined) {
      const best = this.#handover.best(others);
      if (best !== undefined) return this.#handover.to(best);
      return refused("transfer-failed", "no other voter can be reached");
    }
    const named = this.#named(to);
    if (named.includes(own)) return { type: "transferred", leader: to, term: raft.status.term };
    if (named.length === 0) return refused("member-unknown", `${to} is no member`);
    const successor = named.find((id) => others.includes(id));
    if (successor === undefined)
      return refused("not-a-voter", `${to} is a learner: promote it before it can lead`);
    return this.#handover.to(successor);
  }

  async #propose(node_id: ReplicaName, changes: readonly MembershipChange[]): Promise<ChangeAnswer> {
    const { raft, event, notLeader } = this.#options;
    let outcome: Outcome | undefined;
    const settled = new Promise<number | Declined>((settle) => {
      event(() => {
        outcome = raft.proposeMembership(changes);
        if (outcome.type === "appended") this.#waiting = { position: outcome.position, settle };
      });
    });
    if (outcome === undefined) return notLeader();
    if (outcome.type !== "appended") return refusalOf(node_id, outcome, this.#options);
    const answer = await settled;
    if (typeof answer !== "number") return answer;
    return { type: "changed", node_id, log_index: answer };
  }

  /** It is so already, since the entry that made it so. */
  #already(id: string): ChangeAnswer {
    const log_index = this.#options.coordinator().member(id)?.log_index ?? 0;
    return { type: "changed", node_id: nameOf(id), log_index };
  }

  async #meet(node_id: ReplicaName): Promise<Introduction | undefined> {
    return this.#options.peers.askName<Introduction>(node_id, "/peer/hello", {}, ASK_MS);
  }

  async #order(
    node_id: ReplicaName,
    incarnation: string,
    action: Order["action"],
  ): Promise<Extract<OrderAnswer, { type: "done" }> | undefined> {
    const { peers, founding } = this.#options;
    const order: Order = { v: FORMAT_VERSION, founding, incarnation, action };
    const answer = await peers.askName<OrderAnswer>(node_id, "/peer/member", order, ASK_MS);
    return answer?.type === "done" ? answer : undefined;
  }
}
