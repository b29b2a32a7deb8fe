/** The replica as its host sees it: every input is taken to the part that knows what it means. */
import { commitTo } from "./appending.ts";
import {
  campaign,
  count,
  onPreVoteRequest,
  onPreVoteResponse,
  onVoteRequest,
  onVoteResponse,
} from "./elections.ts";
import { onAppendRequest, onHeartbeat } from "./following.ts";
import { onForward, onReadGrant, proposeOrForward, readOrForward, transferOrForward } from "./forwarding.ts";
import type { JointConfiguration, MembershipChange } from "./membership.ts";
import type { AppendResponse, HeartbeatResponse, Message } from "./messages.ts";
import type { RaftOptions } from "./options.ts";
import type { Raft } from "./raft.ts";
import type { Advance, Ready } from "./ready.ts";
import { leaveJointConfiguration, proposeMembership, settleConfiguration } from "./reconfiguring.ts";
import type { Outcome, ReadId } from "./requests.ts";
import { checkOptions } from "./restore.ts";
import { endsSilence, fallSilent, wake } from "./silence.ts";
import { describeSnapshot, onSnapshotOffer, snapshotTaken } from "./snapshots.ts";
import { ReplicaState } from "./state.ts";
import type { Status } from "./status.ts";
import type { SnapshotDescriptor } from "./storage.ts";
import { onTimeoutNow } from "./transfers.ts";
import type { LogIndex, Millis, ReplicaId } from "./vocabulary.ts";

/**
 * Bring a replica to life. Throws if the restored state contradicts itself or an option is out of
 * range.
 */
export function createRaft<Command>(options: RaftOptions<Command>): Raft<Command> {
  checkOptions(options);
  return new Core(options);
}

class Core<Command> implements Raft<Command> {
  readonly #state: ReplicaState<Command>;
  #applied: LogIndex;

  constructor(options: RaftOptions<Command>) {
    this.#state = new ReplicaState(options);
    this.#applied = options.restored.applied;
  }

  tick(now: Millis): void {
    const state = this.#state;
    // A clock that was set back stands still until it has caught up.
    state.now = Math.max(state.now, now);
    if (state.quiesced) return;
    if (state.role.type === "leader") {
      const { leadership } = state.role;
      if (leadership.handOverEndsAt <= state.now) leadership.giveUpHandOver();
      const deposed = state.options.checkQuorum && leadership.quorumIsSilent(state.now);
      if (deposed) state.becomeFollower(state.term, undefined);
      return;
    }
    state.abort(state.forwardedReads.expired(state.now));
    if (state.electionDueAt !== undefined && state.electionDueAt <= state.now) {
      campaign(state);
    }
  }

  get wakeAt(): Millis | undefined {
    const { role, electionDueAt, forwardedReads, options, now, quiesced } = this.#state;
    if (quiesced) return undefined;
    if (role.type !== "leader") return earliest(electionDueAt, forwardedReads.expiresAt);
    const { leadership } = role;
    const heartbeat = leadership.heartbeatDueAt();
    if (heartbeat === undefined) return undefined;
    const silentAt = options.checkQuorum ? leadership.silentAt(now) : Number.POSITIVE_INFINITY;
    return Math.min(heartbeat, silentAt, leadership.handOverEndsAt);
  }

  step(message: Message<Command>): void {
    const state = this.#state;
    if (message.to !== state.id || message.from === state.id) return;
    state.trace("received", message);
    if (endsSilence(state, message)) wake(state, "term" in message ? message.term : undefined);
    switch (message.type) {
      case "pre-vote-request":
        onPreVoteRequest(state, message);
        break;
      case "pre-vote-response":
        onPreVoteResponse(state, message);
        break;
      case "vote-request":
        onVoteRequest(state, message);
        break;
      case "vote-response":
        onVoteResponse(state, message);
        break;
      case "append-request":
        onAppendRequest(state, message);
        break;
      case "heartbeat":
        onHeartbeat(state, message);
        break;
      case "append-response":
      case "heartbeat-response":
        this.#onFollowerResponse(message);
        break;
      case "snapshot-offer":
        onSnapshotOffer(state, message);
        this.#commitAsLeader();
        break;
      case "timeout-now":
        onTimeoutNow(state, message);
        break;
      case "forward":
        onForward(state, message);
        break;
      case "read-grant":
        onReadGrant(state, message);
        break;
    }
  }

  /** Whatever the host asks for ends a silence. */
  get #awake(): ReplicaState<Command> {
    wake(this.#state);
    return this.#state;
  }

  #onFollowerResponse(message: AppendResponse | HeartbeatResponse): void {
    const state = this.#state;
    if (message.term > state.term) state.becomeFollower(message.term, undefined);
    if (state.role.type !== "leader" || message.term !== state.term) return;
    const { leadership } = state.role;
    if (message.type === "append-response") {
      leadership.onAppendResponse(message.from, message.outcome, message.round, state.now);
      this.#commitAsLeader();
    } else {
      leadership.onHeartbeatResponse(message.from, message.round, message.quiesced, state.now);
    }
  }

  propose(...commands: readonly Command[]): Outcome {
    if (commands.length === 0) throw new Error("propose needs at least one command");
    return proposeOrForward(this.#awake, commands);
  }

  readIndex(id: ReadId): Outcome {
    return readOrForward(this.#awake, id);
  }

  campaign(): void {
    const state = this.#state;
    if (state.role.type === "leader" || state.owesLoyalty) return;
    wake(state);
    campaign(state);
  }

  stayAwake(): void {
    const { role, now } = this.#awake;
    if (role.type === "leader") role.leadership.active(now);
  }

  reportUnreachable(peer: ReplicaId): void {
    const { role } = this.#state;
    if (role.type === "leader") role.leadership.unreachable(peer);
  }

  proposeMembership(
    changes: readonly MembershipChange[],
    { leave = "automatic" }: { readonly leave?: JointConfiguration["leave"] } = {},
  ): Outcome {
    return proposeMembership(this.#awake, changes, leave);
  }

  leaveJointConfiguration(): Outcome {
    return leaveJointConfiguration(this.#awake);
  }

  transferLeadership(successor: ReplicaId): Outcome {
    return transferOrForward(this.#awake, successor);
  }

  reportSnapshot(peer: ReplicaId, result: "delivered" | "failed"): void {
    const { role, now } = this.#state;
    if (role.type === "leader") role.leadership.snapshotReported(peer, result, now);
  }

  describeSnapshot(at: LogIndex, handle: string): SnapshotDescriptor {
    return describeSnapshot(this.#state, at, handle);
  }

  snapshotTaken(snapshot: SnapshotDescriptor): void {
    snapshotTaken(this.#state, snapshot);
  }

  takeReady(): Ready<Command> | undefined {
    const state = this.#state;
    if (state.role.type === "leader" && !state.quiesced) {
      const { leadership } = state.role;
      if (leadership.mayFallSilent(state.now)) fallSilent(state);
      else leadership.fanOut(state.now, (message) => state.send(message));
      state.reserveRounds(leadership.newestRound);
      const { readers, index } = leadership.settleReads();
      state.grant(readers, index);
    }
    return state.outbox.take(state.log, state.hardState, state.options.limits.committedBytes);
  }

  advance({ persisted, applied }: Advance): void {
    if (persisted !== undefined) this.#persisted(persisted);
    if (applied === undefined || applied <= this.#applied) return;
    const { delivered } = this.#state.log;
    if (applied > delivered) {
      throw new Error(`index ${applied} cannot be applied: entries were handed out up to ${delivered}`);
    }
    this.#applied = applied;
  }

  #commitAsLeader(): void {
    const state = this.#state;
    if (state.role.type !== "leader") return;
    commitTo(state, state.role.leadership.committable());
    settleConfiguration(state);
  }

  #persisted(sequence: number): void {
    const state = this.#state;
    const durable = state.outbox.persisted(sequence);
    state.log.written(sequence);
    this.#applied = Math.max(this.#applied, state.log.installed);
    this.#commitAsLeader();
    // A candidate's own vote counts like any other: once it survives a crash.
    const voted = durable?.term === state.term && durable.vote === state.id;
    if (state.role.type === "candidate" && voted) count(state, state.role, state.id, true);
  }

  get status(): Status {
    const { id, term, vote, leader, log, configuration, role, mayCampaign, now, quiesced } = this.#state;
    const base = {
      id,
      term,
      ...(vote !== undefined && { vote }),
      ...(leader !== undefined && { leader }),
      lastLog: log.last,
      commit: log.commit,
      applied: this.#applied,
      ...(configuration !== undefined && { configuration }),
      quiesced,
    };
    if (role.type === "leader") {
      const { progress, successor } = role.leadership;
      const leaseUntil = role.leadership.leaseUntil(now);
      return {
        ...base,
        role: "leader",
        progress,
        ...(successor !== undefined && { successor }),
        ...(leaseUntil !== undefined && { leaseUntil }),
      };
    }
    if (role.type !== "follower") return { ...base, role: role.type, votes: new Map(role.votes) };
    return { ...base, role: mayCampaign ? "follower" : "learner" };
  }
}

function earliest(due: Millis | undefined, other: Millis): Millis | undefined {
  const first = Math.min(due ?? Number.POSITIVE_INFINITY, other);
  return first === Number.POSITIVE_INFINITY ? undefined : first;
}
