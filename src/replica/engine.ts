/**
 * A founded replica at work: feeds the core with messages, time and requests, and has carried out what follows
 * (carry-out.ts). A failed write destroys the instance.
 */
import type { Command } from "../coordinator/commands.ts";
import { bootSuperseded, type Coordinator, workerUnknown } from "../coordinator/index.ts";
import type { Refused } from "../coordinator/outcomes.ts";
import type { Raft, StableConfiguration, Status } from "../raft/index.ts";
import { type Leading, noAdmission, unknownVersion } from "./admission.ts";
import { Alarm } from "./alarm.ts";
import { Application } from "./application.ts";
import { Batches } from "./batches.ts";
import { CarryOut } from "./carry-out.ts";
import { Chain } from "./chain.ts";
import { Checkpoints } from "./checkpoints.ts";
import { EngineClock } from "./clock.ts";
import type { PeerMessage } from "./codec.ts";
import { declinedBy, startCore } from "./core.ts";
import { Duties } from "./duties.ts";
import type { ChangeAnswer } from "./handover.ts";
import type { HintSocket, Hints, Listener } from "./hints.ts";
import { Intake } from "./intake.ts";
import { Members } from "./members.ts";
import { Membership } from "./membership.ts";
import { idOf, nameOf } from "./names.ts";
import type { Observation } from "./observations.ts";
import { Peers, type PeersOptions } from "./peers.ts";
import type { ProposeAnswer } from "./proposals.ts";
import { type Grant, Reads } from "./reads.ts";
import { Reigns } from "./reigns.ts";
import type {
  Change,
  Declined,
  HeartbeatResult,
  ImportLines,
  Leadership,
  Pull,
  Query,
  QueryAnswers,
  TaskView,
  WorkerHeartbeat,
} from "./rpc.ts";
import type { TransferAnswer, TransferRequest } from "./sending.ts";
import { Sleep } from "./sleep.ts";
import type { Store } from "./store.ts";
import { Subscribers } from "./subscribers.ts";
import { answerWithTail, Tail } from "./tail.ts";
import type { WorkTimes } from "./work-times.ts";

const TRANSFER_TIMEOUT_MS = 5_000;

export interface EngineOptions extends Omit<PeersOptions, "receive" | "unreachable" | "chain"> {
  readonly name: string;
  readonly store: Store;
  readonly sync: () => Promise<void>;
  /** The instance must not go on: it can no longer promise anything. */
  readonly abort: (reason: string) => void;
  readonly log: (text: string) => void;
  readonly observe: (observation: Observation) => void;
  readonly hints: Hints;
  /** Asks the platform for {@link Engine.alarm} at this instant and no other; not at all if undefined. */
  readonly setAlarm: (at: number | undefined) => void;
  /** This replica accepts nothing new from clients until then. */
  readonly retire: (until: number) => void;
}

export class Engine {
  readonly raft: Raft<Command>;
  readonly peers: Peers;
  readonly members: Members;
  readonly #membership: Membership;
  readonly chain: Chain;
  readonly batches: Batches;
  readonly reigns: Reigns;
  readonly checkpoints: Checkpoints;
  readonly tail: Tail;
  readonly subscribers: Subscribers;
  /** Pulls answered, empty or not, since this instance started. */
  pulls = 0;
  readonly #options: EngineOptions;
  readonly #clock: EngineClock;
  readonly #application: Application;
  readonly #reads = new Reads();
  readonly #intake: Intake;
  readonly #sleep: Sleep;
  readonly #alarm: Alarm;
  readonly #carryOut: CarryOut;
  #attendedIndex = 0;
  #closed = false;

  constructor(options: EngineOptions) {
    const { configuration, founding } = options;
    this.#options = options;
    const founded: StableConfiguration = { type: "stable", voters: founding.members.map(idOf), learners: [] };
    this.#application = new Application(options.store, founded);
    this.chain = new Chain(configuration.invocation, options.now(), () => this.event(() => {}));
    this.#clock = new EngineClock({
      now: options.now,
      due: () => this.chain.due,
      patience_ms: configuration.heartbeat_ms,
    });
    this.peers = new Peers({
      ...options,
      chain: this.chain,
      receive: (messages) => this.receive(messages),
      unreachable: (peer) => this.event(() => this.raft.reportUnreachable(peer)),
    });
    this.raft = startCore({
      ...options,
      founded,
      now: options.now(),
    });
    this.checkpoints = new Checkpoints({
      ...options,
      raft: this.raft,
      application: this.#application,
      sent: (peer, result) => this.raft.reportSnapshot(peer, result),
    });
    this.#intake = new Intake({
      ...options,
      ask: (sender, request) => this.peers.ask(sender, "/peer/transfer", request, TRANSFER_TIMEOUT_MS),
      install: (offer) => this.event(() => this.raft.step(offer)),
      failed: (error) => this.#fail(error),
    });
    this.batches = new Batches({
      ...options,
      raft: this.raft,
      max_batch_entries: configuration.max_batch_entries,
      event: (input) => this.event(input),
      declined: (refusal) => declinedBy(refusal, this.notLeader()),
      fail: (error) => this.#fail(error),
    });
    this.reigns = new Reigns({
      ...options,
      status: this.raft.status,
      takeUp: (term) => this.#takeUpDuties(term),
      lost: (term) => {
        options.hints.close("this replica leads no longer");
        const detail = `leadership of term ${term} was lost before the entry was committed`;
        this.#abandon(this.notLeader(), detail);
      },
    });
    this.#sleep = new Sleep({
      ...options,
      ...configuration,
      raft: this.raft,
      leader: () => this.leader,
      event: (input) => this.event(input),
      rouseLeader: (leader, timeout_ms) => this.peers.rouse(leader, timeout_ms),
      established: () => this.reigns.duties !== undefined,
      fellAsleep: () => this.#fallAsleep(),
      woke: (slept_ms) => this.#wake(slept_ms),
    });
    this.members = new Members({
      ...options,
      ...configuration,
      // While all are silent nobody is missed.
      now: () => this.#sleep.since ?? options.now(),
      raft: this.raft,
      peers: this.peers,
      reigns: this.reigns,
    });
    this.#membership = new Membership({
      ...options,
      ...configuration,
      raft: this.raft,
      coordinator: () => this.coordinator,
      members: this.members,
      peers: this.peers,
      batches: this.batches,
      event: (input) => this.event(input),
      confirm: () => this.grantAsLeader(),
      notLeader: () => this.notLeader(),
    });
    this.#alarm = new Alarm({ ...options, ...configuration });
    this.#carryOut = new CarryOut({
      ...options,
      raft: this.raft,
      peers: this.peers,
      application: this.#application,
      checkpoints: this.checkpoints,
      batches: this.batches,
      reads: this.#reads,
      passed: (entry) => {
        this.#membership.passed(entry);
        if (entry.type === "barrier") this.reigns.barrier(this.raft.status, entry.term, entry.index);
      },
      changed: () => this.subscribers.applied(),
    });
    this.subscribers = new Subscribers({ feed: () => this.coordinator.feed, now: options.now });
    this.tail = new Tail({
      id: options.id,
      store: options.store,
      raft: this.raft,
      applied: () => this.appliedIndex,
    });
  }

  /** Stopped, or failed: it does nothing any more. */
  get closed(): boolean {
    return this.#closed;
  }

  get id(): string {
    return this.#options.id;
  }

  get coordinator(): Coordinator {
    return this.#application.coordinator;
  }

  get appliedIndex(): number {
    return this.#application.index;
  }

  get workTimes(): WorkTimes {
    return this.#application.times;
  }

  /** Nothing is scheduled here, and nothing is sent, until something arrives. */
  get asleep(): boolean {
    return this.asleepSince !== undefined;
  }

  get asleepSince(): number | undefined {
    return this.#sleep.since;
  }

  /** Who leads, or led when this replica last heard of anybody; its Raft identity. */
  get leader(): string | undefined {
    const { leader } = this.raft.status;
    if (leader !== undefined || !this.asleep) return leader;
    const stored = this.#options.store.hardState();
    return stored.leader ?? stored.vote;
  }

  /** Somebody wants something: resolves when there is a leader again, as far as this replica knows. */
  rouse(): Promise<void> {
    return this.#sleep.rouse();
  }

  /** The same, said by another replica, which does not wait. Whether this one leads, or is about to campaign. */
  roused(): boolean {
    void this.rouse();
    const { role } = this.raft.status;
    return role === "leader" || role === "candidate" || role === "pre-candidate";
  }

  /** It is time for something that is to happen also when all sleep: tasks fall due, leases end. */
  async alarm(): Promise<void> {
    // After a restart nobody here knows of the newest entries whether they are committed.
    const inDoubt = this.raft.status.lastLog.index > this.appliedIndex;
    if (this.#alarm.rang(this.coordinator, this.#options.now(), inDoubt)) await this.rouse();
  }

  /** Everything that happens runs through here: time first, then the input, then what the core wants done. */
  event(input: () => void): void {
    if (this.#closed) return;
    try {
      this.raft.tick(this.#clock.read());
      input();
      this.#drain();
    } catch (error) {
      this.#fail(error);
    }
  }

  receive(messages: readonly PeerMessage[]): void {
    this.event(() => {
      for (const message of messages) {
        if (message.type === "snapshot-offer") this.#intake.offered(message);
        else this.raft.step(message);
      }
    });
  }

  /** A peer's request: what the core answers to it travels in the response. */
  answer(from: string, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    const { now, store } = this.#options;
    this.peers.heardFrom(from, now());
    // What is to be written touches storage by itself.
    const entries = messages.some(
      (message) => message.type === "append-request" && message.entries.length > 0,
    );
    if (!entries) store.touch();
    const { writes } = store;
    const answers = this.peers.answering(from, () => this.receive(messages));
    if (entries && store.writes === writes) store.touch();
    return answers;
  }

  /** A peer pulls this replica's tables. */
  transfer(from: string, request: TransferRequest): TransferAnswer {
    this.#options.store.touch();
    let answer: TransferAnswer = { type: "unknown" };
    this.event(() => {
      answer = this.checkpoints.sending.answer(from, request, this.#options.now());
    });
    return answer;
  }

  /** @param wait_ms after which it is answered as `appended`, if it is no more than that by then */
  async propose(command: Command, wait_ms?: number): Promise<ProposeAnswer> {
    const answer = await this.#propose(command, wait_ms);
    return this.reigns.duties?.dated(answer) ?? answer;
  }

  #propose(command: Command, wait_ms: number | undefined): Promise<ProposeAnswer> {
    if (this.#closed) return Promise.resolve({ type: "stopped" });
    const refusal = unknownVersion(command) ?? (this.reigns.duties && noAdmission(command, this.#leading));
    if (refusal !== undefined) return Promise.resolve(refusal);
    return this.batches.propose(command, wait_ms);
  }

  /** An Ephemeral event, as JSON text: to those who listen now, here and at the other replicas. */
  ephemeral(event: string): Declined | undefined {
    this.#options.store.touch();
    if (!this.leadership.ready) return this.notLeader();
    this.subscribers.ephemeral([event]);
    this.peers.tell(event);
    return undefined;
  }

  /** Answers with what became of the last line, or of the first one that was not taken in. */
  async import({ export_id, first, items }: ImportLines): Promise<ProposeAnswer> {
    const answers = await Promise.all(
      items.map((item, nth) =>
        this.propose({
          v: 1,
          id: crypto.randomUUID(),
          type: "import-line",
          export_id,
          line: first + nth,
          item,
        }),
      ),
    );
    const decisive = answers.find((one) => one.type !== "applied" || one.outcome.type === "refused");
    const answer = decisive ?? answers.at(-1);
    if (answer === undefined) throw new Error(`no line of export ${export_id} was given`);
    return answer;
  }

  async pull(pull: Pull): Promise<ProposeAnswer> {
    this.#options.hints.pulled(pull.worker_id);
    const answer = await this.#duty((duties, now) => duties.pull(pull, now));
    if (answer.type === "applied") this.pulls++;
    return this.reigns.duties?.dated(answer) ?? answer;
  }

  heartbeat(beat: WorkerHeartbeat): HeartbeatResult | Refused | Declined {
    this.#options.store.touch();
    return this.#duty((duties) => duties.heartbeat(beat));
  }

  /** Of the leader. Answers when the change is committed, or why it is not made. */
  change(change: Change): Promise<ChangeAnswer> {
    this.#options.store.touch();
    return this.#membership.change(change);
  }

  /** An index whose state makes a read linearizable, from a quorum round of this leader. */
  grantAsLeader(): Promise<Grant> {
    this.#options.store.touch();
    return this.#reads.round((id) => {
      let declined: Declined | undefined;
      this.event(() => {
        const outcome = this.raft.readIndex(id);
        if (outcome.type === "refused") declined = declinedBy(outcome.refusal, this.notLeader());
      });
      return this.#closed ? { type: "stopped" } : declined;
    });
  }

  /** The same at any replica: one that does not lead asks the leader. */
  grant(): Promise<Grant> {
    if (this.raft.status.role === "leader") return this.grantAsLeader();
    return this.#reads.ask(async () => {
      const { leader } = this.raft.status;
      const grant = leader === undefined ? undefined : await this.peers.readIndex(leader);
      return grant ?? this.notLeader();
    });
  }

  /** What may be shown of the state; of operations also those that are in the log and not applied yet. */
  query(query: Query): QueryAnswers[Query["type"]] {
    const answer = answerWithTail(this.coordinator, this.tail, query);
    if (query.type !== "task" || answer === null) return answer;
    return this.reigns.duties?.withProgress(answer as TaskView) ?? answer;
  }

  reached(index: number, timeoutMs: number): Promise<boolean> {
    return this.#reads.reached(index, this.appliedIndex, timeoutMs);
  }

  get #leading(): Leading {
    return {
      coordinator: this.coordinator,
      configuration: this.#options.configuration,
      uncovered: this.checkpoints.uncovered,
      reachesMajority: this.members.reachesMajority,
      notLeader: () => this.notLeader(),
    };
  }

  get leadership(): Leadership {
    const { leader } = this;
    const { term, role } = this.raft.status;
    return {
      name: this.#options.name,
      term,
      ...(leader === undefined ? {} : { leader: nameOf(leader) }),
      leads: role === "leader",
      ready: this.reigns.duties !== undefined && this.members.reachesMajority,
      members: [...new Set(this.members.ids.map(nameOf))],
      members_index: this.coordinator.configuredIndex,
      ...(this.asleep ? { asleep: true } : {}),
    };
  }

  notLeader(): Declined {
    const { leader } = this;
    const { term } = this.raft.status;
    return { type: "not-leader", term, ...(leader === undefined ? {} : { leader: nameOf(leader) }) };
  }

  /** Ends all activity; whoever waits is told what is known. */
  close(answer: Declined): void {
    this.#closed = true;
    this.chain.stop();
    this.peers.close();
    this.#abandon(answer, "the replica that led was stopped before the entry was committed");
    this.#reads.close(answer);
    this.#sleep.close();
    this.subscribers.close();
    this.#options.hints.close("this replica was stopped");
    this.#intake.close();
  }

  #abandon(queued: Declined, appended: string): void {
    this.reigns.layDown(queued);
    this.batches.abandon(queued, appended);
    this.#membership.abandon(appended);
  }

  #duty<Result>(duty: (duties: Duties, now: number) => Result): Result | Declined {
    let result: Result | Declined = this.notLeader();
    this.event(() => {
      const { duties } = this.reigns;
      if (duties) result = duty(duties, this.#clock.read());
    });
    return result;
  }

  #drain(): void {
    this.checkpoints.sending.attend(this.#options.now());
    if (this.#isBusy && !this.asleep) this.raft.stayAwake();
    let wrote = this.#carryOut.all();
    const { status } = this.raft;
    this.reigns.observe(status);
    this.#sleep.look(status);
    const { duties } = this.reigns;
    if (duties && !this.asleep) {
      this.#alarm.guardLeases(this.coordinator, this.#options.now());
      duties.attend(this.#clock.read(), this.appliedIndex > this.#attendedIndex);
      this.#attendedIndex = this.appliedIndex;
      // Only before the event's first write: appends that are sent after it wait for the flush.
      if (!wrote && !this.batches.flushing) {
        this.batches.append();
        wrote = this.#carryOut.all();
      }
    }
    this.#attendHints(status);
    wrote = this.checkpoints.attend() || wrote;
    // A follower's answers are held back until then in any case.
    if (wrote && status.role === "leader") this.batches.flush();
    if (!this.asleep) this.members.look(this.#clock.read());
    this.#armChain();
  }

  /** For what is due next, but at least once per heartbeat: a timer is late only by what lies behind its instant. */
  #armChain(): void {
    const now = this.#clock.read();
    if (this.asleep) {
      this.chain.stop();
      return;
    }
    const due = [this.raft.wakeAt, this.reigns.duties?.nextDue].filter((instant) => instant !== undefined);
    const latest = now + this.#options.configuration.heartbeat_ms;
    this.chain.arm(due.length > 0 ? Math.max(now, Math.min(latest, ...due)) : undefined, now);
  }

  /** Something goes on that neither an entry nor a read tells of. */
  get #isBusy(): boolean {
    return this.reigns.duties?.busy === true || this.#membership.changing || this.checkpoints.sending.active;
  }

  #attendHints({ leader }: Status): void {
    const { hints, id } = this.#options;
    if (!this.asleep && leader !== undefined && leader !== id) hints.close(`${nameOf(leader)} leads`);
    else if (this.reigns.duties) hints.attend(this.coordinator, this.#clock.read());
  }

  /** Why a worker may not wait here: it has to register (again). */
  deaf({ worker_id, boot_id }: Listener): Refused | undefined {
    const grantable = this.coordinator.grantable(worker_id, boot_id, 1, this.#clock.read());
    if (grantable === "worker-unknown") return workerUnknown(worker_id);
    return grantable === "boot-superseded" ? bootSuperseded(worker_id) : undefined;
  }

  /** A worker waits here from now on. */
  listen(listener: Listener, socket: HintSocket): void {
    this.#options.hints.joined(listener, socket);
    // Also while the group sleeps: the worker's pull will wake it.
    this.#options.hints.attend(this.coordinator, this.#clock.read());
  }

  #fallAsleep(): void {
    this.#options.log("raft: asleep");
    if (this.reigns.duties) this.#alarm.fellAsleep(this.coordinator);
  }

  /** Nobody was expected to be heard meanwhile. */
  #wake(slept_ms: number): void {
    this.#options.log(`raft: awake after_ms=${slept_ms}`);
    this.peers.slept(slept_ms);
    this.reigns.woke();
  }

  #takeUpDuties(term: number): Duties {
    const { configuration, now } = this.#options;
    return new Duties({
      coordinator: this.coordinator,
      lease_ms: configuration.lease_ms,
      retention_ms: configuration.retention_ms,
      listeners: () => this.#options.hints.listeners,
      clock: now,
      propose: (command) => this.batches.enqueue(command),
      wake: () => this.event(() => {}),
      place: () => ({ index: this.appliedIndex, term }),
    });
  }

  #fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log(`replica: stopping this instance: ${text}`);
    this.close({ type: "outcome-unknown", detail: "the replica failed and starts anew" });
    this.#options.abort(text);
  }
}
