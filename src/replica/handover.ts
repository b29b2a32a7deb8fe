/**
 * Handing leadership over to a voter that can be reached, and what the core's refusals of such changes mean to an
 * operator.
 */
import type { Command } from "../coordinator/commands.ts";
import type { Outcome, Raft } from "../raft/index.ts";
import type { Members } from "./members.ts";
import { nameOf } from "./names.ts";
import type { Changed, ChangeRefused, Declined, ReplicaName } from "./rpc.ts";

/** A transfer is given up by the core after the loyalty period; the news of it takes a little longer. */
const SLACK_MS = 1_000;
const LOOK_MS = 5;
/** Under load a voter trails at almost any moment; so long it may take to catch up. */
const CATCH_UP_MS = 1_000;

export type ChangeAnswer = Changed | ChangeRefused | Declined;

export interface HandoverOptions {
  readonly id: string;
  readonly raft: Raft<Command>;
  readonly members: Members;
  readonly loyalty_ms: number;
  readonly now: () => number;
  readonly event: (input: () => void) => void;
  readonly notLeader: () => Declined;
}

export class Handover {
  readonly #options: HandoverOptions;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Of those that can be reached, the one that holds the most. */
  best(candidates: readonly string[]): string | undefined {
    const { raft, members, id: own } = this.#options;
    const { status } = raft;
    if (status.role !== "leader") return undefined;
    const matched = (id: string): number => status.progress.get(id)?.matched ?? 0;
    return candidates
      .filter((id) => id !== own && members.reaches(id))
      .sort((a, b) => matched(b) - matched(a))[0];
  }

  /** Answers when it leads, or why it does not. */
  async to(successor: string): Promise<ChangeAnswer> {
    const { raft, now, notLeader, loyalty_ms } = this.#options;
    const outcome = await this.#begun(successor);
    if (outcome === undefined) return notLeader();
    if (outcome.type === "refused") return refusalOf(nameOf(successor), outcome, this.#options);
    for (const until = now() + loyalty_ms + SLACK_MS; now() < until; await pause(LOOK_MS)) {
      const { status } = raft;
      if (status.role === "leader" ? status.successor === undefined : status.leader !== undefined) break;
    }
    const { role, leader, term } = raft.status;
    if (role === "leader" || leader === undefined) {
      return refused("transfer-failed", `${nameOf(successor)} did not take over in time`);
    }
    return { type: "transferred", leader: nameOf(leader), term };
  }

  async #begun(successor: string): Promise<Outcome | undefined> {
    const { raft, event, now } = this.#options;
    for (const until = now() + CATCH_UP_MS; ; await pause(LOOK_MS)) {
      let outcome: Outcome | undefined;
      event(() => {
        outcome = raft.transferLeadership(successor);
      });
      if (outcome === undefined || !isBehind(outcome) || now() >= until) return outcome;
    }
  }
}

function isBehind(outcome: Outcome): boolean {
  return outcome.type === "refused" && outcome.refusal.type === "learner-behind";
}

export function refused(code: ChangeRefused["code"], detail: string): ChangeRefused {
  return { type: "change-refused", code, detail };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Why a learner is not promoted. */
export function behind(node_id: ReplicaName, matched: number, commit: number): string {
  return `${node_id} holds the log up to ${matched} of ${commit}, or answers too slowly; try again when it has caught up`;
}

/** Nothing was changed. */
export function refusalOf(
  node_id: ReplicaName,
  outcome: Outcome,
  { raft, notLeader }: Pick<HandoverOptions, "raft" | "notLeader">,
): ChangeAnswer {
  if (outcome.type !== "refused") {
    throw new Error(`a change of the members was ${outcome.type}, though nothing is forwarded`);
  }
  const { refusal } = outcome;
  switch (refusal.type) {
    case "not-leader":
      return notLeader();
    case "learner-behind":
      return refused("learner-behind", behind(node_id, refusal.matched, raft.status.commit));
    case "invalid-change":
      return refused("member-unknown", refusal.reason);
    case "transferring":
      return refused("change-in-progress", `leadership is being handed over to ${nameOf(refusal.successor)}`);
    case "change-in-progress":
      return refused("change-in-progress", "the last change of the members is not in force yet");
    default: {
      const detail = `the leader cannot change the members now: ${refusal.type}`;
      return { type: "unavailable", code: "no-leader", detail, retry_after_ms: 1000 };
    }
  }
}
