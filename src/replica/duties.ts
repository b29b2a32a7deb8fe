/**
 * What only the leader does, in its own memory: it hears the workers' heartbeats and proposes what follows from their
 * silence, and it holds the pulls that wait for a task, so that waiting costs no log entry. Created when a reign is
 * established: every worker and every lease gets one full period from then.
 */
import type { Command } from "../coordinator/commands.ts";
import {
  type CommandBody,
  type Coordinator,
  createLiveness,
  type Liveness,
  versionOf,
} from "../coordinator/index.ts";
import type { Refused } from "../coordinator/outcomes.ts";
import type { Listener } from "./hints.ts";
import type { ProposeAnswer } from "./proposals.ts";
import {
  type Applied,
  type HeartbeatResult,
  newNonce,
  type Pull,
  type TaskView,
  type WorkerHeartbeat,
} from "./rpc.ts";

const PULLS_WAITING_MAX = 10_000;
/** Tasks that become pending or expire, or that are forgotten, in one entry. */
const SLICE_TASKS = 200;

export interface DutiesOptions {
  readonly coordinator: Coordinator;
  readonly lease_ms: number;
  /** How long a task is remembered after it ended. */
  readonly retention_ms: number;
  /** Whose sockets are open. */
  readonly listeners: () => Iterable<Listener>;
  /** Wall time: what workers are told of their leases is measured in it. */
  readonly clock: () => number;
  readonly propose: (command: Command) => Promise<ProposeAnswer>;
  /** Asks for {@link Duties.attend} in an event of its own. */
  readonly wake: () => void;
  /** Index and term for the answer to a pull that ends without a grant. */
  readonly place: () => { readonly index: number; readonly term: number };
}

interface WaitingPull {
  readonly pull: Pull;
  readonly until: number;
  readonly settle: (answer: ProposeAnswer) => void;
}

export class Duties {
  readonly #options: DutiesOptions;
  #liveness: Liveness;
  #waiting: WaitingPull[] = [];
  /** Tasks asked for by grants that are proposed but not yet applied. */
  #asked = 0;
  #closedWith: ProposeAnswer | undefined;
  /** What is done slice by slice, one at a time each, and is under way. */
  readonly #tending = new Set<CommandBody["type"]>();
  /** Something has been applied since all that is old was last forgotten. */
  #tidying = false;
  /** On the engine's clock, as everything about pulls: it is the one that stamps entries. */
  #attendedAt = Number.NEGATIVE_INFINITY;

  constructor(options: DutiesOptions) {
    this.#options = options;
    this.#liveness = this.#watch();
  }

  /** Somebody works or waits: the group must not sleep. */
  get busy(): boolean {
    const { counts } = this.#options.coordinator;
    return counts.capacity.used > 0 || this.#waiting.length > 0 || this.#asked > 0 || this.#tending.size > 0;
  }

  /** Nobody was expected to be heard while the group slept: every worker has a full period before it. */
  woke(): void {
    this.#liveness = this.#watch();
  }

  #watch(): Liveness {
    return createLiveness({ ...this.#options, now: this.#options.clock() });
  }

  heartbeat(beat: WorkerHeartbeat): HeartbeatResult | Refused {
    const heard = this.#liveness.heartbeat(beat, this.#options.clock());
    if ("type" in heard) return heard;
    this.#proposeAll(heard.propose);
    return heard.result;
  }

  heard(workerId: string, bootId: string): void {
    this.#liveness.heard(workerId, bootId, this.#options.clock());
  }

  pull(pull: Pull, now: number): Promise<ProposeAnswer> {
    this.heard(pull.worker_id, pull.boot_id);
    return new Promise((settle) => this.#offer({ pull, until: now + pull.wait_ms, settle }, now));
  }

  /** Says of the leases in an answer until when each is its holder's. */
  dated(answer: ProposeAnswer): ProposeAnswer {
    if (answer.type !== "applied" || !("leases" in answer.outcome)) return answer;
    const now = this.#options.clock();
    const leases = answer.outcome.leases.map((lease) => {
      const expires_at = this.#liveness.expiresAt(lease.lease_id, now);
      return expires_at === undefined ? lease : { ...lease, expires_at };
    });
    return { ...answer, outcome: { ...answer.outcome, leases } };
  }

  /** A task with what its prover has said of its progress. */
  withProgress(task: TaskView): TaskView {
    const attempt = this.#options.coordinator.task(task.task_id)?.attempts.at(-1);
    const progress = attempt && this.#liveness.progressOf(attempt.lease_id);
    return progress === undefined ? task : { ...task, progress };
  }

  /** Entries have been `applied` or time has passed: grants what can be granted, ends what has waited enough. */
  attend(now: number, applied: boolean): void {
    this.#judge();
    this.#tend(now, applied);
    if (this.#waiting.length === 0) return;
    if (!applied && now < (this.#pullsDue() ?? Number.POSITIVE_INFINITY)) return;
    this.#attendedAt = now;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pull of waiting) this.#offer(pull, now);
  }

  /** Declares nobody dead who is only waiting. */
  #judge(): void {
    const now = this.#options.clock();
    const { nextDue } = this.#liveness;
    if (nextDue !== undefined && nextDue <= now) {
      for (const { worker_id, boot_id } of this.#options.listeners()) {
        this.#liveness.heard(worker_id, boot_id, now);
      }
    }
    this.#proposeAll(this.#liveness.due(now));
  }

  get nextDue(): number | undefined {
    const beats = this.#liveness.nextDue;
    const advance = this.#tending.has("advance-tasks") ? undefined : this.#options.coordinator.nextAdvance;
    const due = [beats, advance, this.#pullsDue()].filter((instant) => instant !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** What is old is forgotten when there is something to do anyway: nobody stays awake, or wakes, for it. */
  #tend(now: number, applied: boolean): void {
    const { coordinator, retention_ms } = this.#options;
    const { nextAdvance, firstEnded } = coordinator;
    if (nextAdvance !== undefined && nextAdvance <= now)
      this.#slice({ type: "advance-tasks", limit: SLICE_TASKS });
    const ended_before = now - retention_ms;
    if (applied) this.#tidying = true;
    if (firstEnded === undefined || firstEnded >= ended_before) this.#tidying = false;
    else if (this.#tidying) this.#slice({ type: "forget-tasks", ended_before, limit: SLICE_TASKS });
  }

  /** One at a time; the next one follows it as long as there is something to do. */
  #slice(body: CommandBody): void {
    if (this.#tending.has(body.type)) return;
    this.#tending.add(body.type);
    void this.#propose(body).then(({ type }) => {
      this.#tending.delete(body.type);
      // What was declined is proposed again with the next event.
      if (type === "applied") this.#options.wake();
    });
  }

  /** When a waiting pull has waited enough, or a delayed task falls due that was not due when last looked. */
  #pullsDue(): number | undefined {
    if (this.#waiting.length === 0) return undefined;
    let due = Number.POSITIVE_INFINITY;
    for (const { until } of this.#waiting) due = Math.min(due, until);
    const task = this.#options.coordinator.nextDue;
    return task !== undefined && task > this.#attendedAt ? Math.min(due, task) : due;
  }

  close(answer: ProposeAnswer): void {
    this.#closedWith = answer;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { settle } of waiting) settle(answer);
  }

  #offer(waiting: WaitingPull, now: number): void {
    const { coordinator } = this.#options;
    const { pull, until, settle } = waiting;
    const grantable = coordinator.grantable(pull.worker_id, pull.boot_id, pull.max, now);
    const mayWait = now < until && this.#waiting.length < PULLS_WAITING_MAX;
    if (grantable === "wait" && !mayWait) {
      settle(this.#nothing());
      return;
    }
    // What others are about to be granted is spoken for: a pull that can wait does not race them for it.
    const spokenFor = this.#asked > 0 && coordinator.counts.tasks.pending <= this.#asked;
    if (mayWait && (grantable === "wait" || (grantable === "yes" && spokenFor))) {
      this.#waiting.push(waiting);
      return;
    }
    // Also a refusal goes through the log: only the applied state knows that a worker is unknown.
    this.#asked += pull.max;
    const command: Command = {
      v: versionOf("grant-leases"),
      id: pull.command_id,
      type: "grant-leases",
      worker_id: pull.worker_id,
      boot_id: pull.boot_id,
      max: pull.max,
      nonce: newNonce(),
    };
    void this.#options.propose(command).then((answer) => {
      this.#asked -= pull.max;
      const empty =
        answer.type === "applied" && answer.outcome.type === "granted" && answer.outcome.leases.length === 0;
      // Somebody else was faster. A repeat under the same id would be given the same empty answer.
      if (empty && until > now && this.#closedWith) settle(this.#closedWith);
      else if (empty && until > now) {
        this.#waiting.push({ ...waiting, pull: { ...pull, command_id: crypto.randomUUID() } });
      } else settle(answer);
      if (this.#waiting.length > 0) this.#options.wake();
    });
  }

  #nothing(): Applied {
    return {
      type: "applied",
      ...this.#options.place(),
      outcome: { type: "granted", leases: [] },
      replayed: false,
    };
  }

  #proposeAll(bodies: readonly CommandBody[]): void {
    // Whether it applies is decided there; what did not happen is proposed again when it is still due.
    for (const body of bodies) void this.#propose(body);
  }

  #propose(body: CommandBody): Promise<ProposeAnswer> {
    return this.#options.propose({
      v: versionOf(body.type),
      id: crypto.randomUUID(),
      ...body,
    } as Command);
  }
}
