/**
 * The replicated state machine. A function of the commands and their places in the log: no clock, no chance, no
 * input or output. The same commands give the same records and the same answers, however they are split into batches
 * and wherever in between the machine is built anew from its records.
 */
import { Answers, type Applied } from "./answers.ts";
import { eventsAfter } from "./apply-events.ts";
import { foreseeSubmissions } from "./apply-tasks.ts";
import { carryOut } from "./carry-out.ts";
import type { Command, EntryPlace } from "./commands.ts";
import { type Export, type ExportPlace, startExport } from "./export.ts";
import { Feed, type FeedReader } from "./feed.ts";
import { wouldGrant } from "./grant.ts";
import { type MemberChange, MemberRegister, type MemberRole } from "./members.ts";
import { Operations } from "./operations.ts";
import { leaseStanding, taskView, workersPage, workerView } from "./queries.ts";
import type { EventRecord, Instant, MemberRecord, TaskRecord, WorkerRecord } from "./records.ts";
import { noRoom } from "./room.ts";
import { State } from "./state.ts";
import type { RecordKey, Records } from "./tables.ts";
import { changeablePage, tasksPage } from "./task-pages.ts";
import { knows } from "./versions.ts";
import type { Backlog, Counts, LeaseView, Query, QueryAnswers, WorkerView } from "./views.ts";

export type { Applied } from "./answers.ts";

export interface Coordinator {
  /**
   * Applies one entry. `replayed`: the first answer, given again because a client repeated its idempotency key. A
   * repeated command id gives the first answer, too, and does not show. Throws on a version or type that it does not
   * know, before anything has changed.
   */
  apply(command: Command, place: EntryPlace): Applied;
  /** These are about to be applied: what they look for is read at once. Changes nothing. */
  foresee(commands: readonly Command[]): void;
  /** Takes note of the members from an entry on, the founding ones at index 0. What was noted before changes nothing. */
  configure(members: readonly MemberRole[], index: number): readonly MemberChange[];
  /**
   * Keys of the records changed since the last call, each once; a record that is gone is named as well. Only with
   * this call do the records hold the counters of all commands applied: build anew from them right after it.
   */
  takeChanges(): readonly RecordKey[];
  /** How many records `takeChanges` would name, the counters apart. */
  readonly changes: number;

  /** What may be shown. Null for what is unknown. */
  query(query: Query): QueryAnswers[Query["type"]];
  task(task_id: string): TaskRecord | undefined;
  /** Any text may be asked for. */
  lease(lease_id: string): LeaseView | undefined;
  worker(worker_id: string): WorkerView | undefined;
  /** In order of their names. */
  workers(): readonly WorkerView[];
  /** Also those that were removed. */
  members(): readonly MemberRecord[];
  member(replica_id: string): MemberRecord | undefined;
  /** Entry of the newest configuration. */
  readonly configuredIndex: number;
  /** Where the platform was asked to run a replica that was added. */
  location(node_id: string): string | undefined;
  /** Up to `limit` Critical events with a `seq` after `after`, oldest first. */
  events(after: number, limit: number): readonly EventRecord[];
  /** Of those that are kept. */
  readonly eventCount: number;
  readonly feed: FeedReader;
  readonly counts: Counts;

  /**
   * Why a command would exceed the limits of the backlog, in words; undefined for what needs no room, which repeats do
   * not. Applying does not ask: what was appended is applied.
   */
  noRoom(command: Command, limits: Backlog): string | undefined;
  /** Whether a grant would hand out at least one lease at `now`: lets a pull wait without costing a log entry. */
  grantable(
    worker_id: string,
    boot_id: string,
    max: number,
    now: Instant,
  ): "yes" | "wait" | "worker-unknown" | "boot-superseded";
  /**
   * When the next task falls due that was not due when a grant or `grantable` last looked. Of use while a pull waits:
   * ask `grantable` again then, which moves it on.
   */
  readonly nextDue: Instant | undefined;
  /** When the first scheduled task becomes pending or the first task with a deadline expires: see `advance-tasks`. */
  readonly nextAdvance: Instant | undefined;
  /** When the task ended that ended before all others: see `forget-tasks`. */
  readonly firstEnded: Instant | undefined;

  /** Current leases of a worker, in the order in which they were granted. */
  leasesOf(worker_id: string): readonly LeaseView[];
  workerRecords(): Iterable<WorkerRecord>;
  workerRecord(worker_id: string): WorkerRecord | undefined;
  /** Everything that clients have brought in, as it is now; close it. */
  export(place: ExportPlace): Export;
  /** Counts registrations since this machine was built: tells whether somebody has to be looked for. */
  readonly registrations: number;
  /** Current leases that have exceeded their task's `max_runtime_ms`. */
  overdueLeases(now: Instant): readonly string[];
  /** When the first lease after `now` will exceed it. */
  nextOverdue(now: Instant): Instant | undefined;
}

export function createCoordinator({ records }: { readonly records: Records }): Coordinator {
  const state = new State(records);
  const answers = new Answers(state, records.live("commands"));
  const operations = new Operations(state);
  const register = new MemberRegister(state, records.live("members"));
  const feed = new Feed(state, operations);
  const parts = { state, operations, register };

  return {
    foresee: (commands) => foreseeSubmissions(state, commands),
    apply(command, place) {
      check(command, place);
      state.advance(place.time);
      state.follow(command.v);
      answers.expire();
      operations.expire();
      const known = answers.ofCommand(command.id);
      if (known !== undefined) return known;
      const client_key = "client_key" in command ? command.client_key : undefined;
      const first = client_key && answers.ofKey(client_key);
      const applied = first ?? { outcome: carryOut(parts, command, place), replayed: false };
      if (applied.outcome.type === "refused") state.commands_refused++;
      feed.report(place.index);
      answers.remember(command, applied, place, first === undefined ? client_key : undefined);
      return applied;
    },
    configure(members, index) {
      const changes = register.configure(members, index);
      feed.report(index);
      return changes;
    },
    takeChanges: () => state.settle({ ...answers.positions, ...operations.stored, ...feed.stored }),
    get changes() {
      return state.changes;
    },

    query(query) {
      switch (query.type) {
        case "task": {
          const task = state.task(query.task_id);
          return task === undefined ? null : taskView(task);
        }
        case "tasks":
          return tasksPage(state, query);
        case "changeable":
          return changeablePage(state, query);
        case "batch": {
          const outcome = answers.ofKey(query.client_key)?.outcome;
          return outcome?.type === "batch-submitted" || outcome?.type === "refused" ? outcome : null;
        }
        case "lease": {
          const lease = state.lease(query.lease_id);
          return lease === undefined ? null : leaseStanding(lease);
        }
        case "worker":
          return this.worker(query.worker_id) ?? null;
        case "workers":
          return workersPage(state, query);
        case "operation":
          return operations.view(query.operation_id);
        case "operations":
          return operations.page(query);
      }
    },
    task: (task_id) => state.task(task_id),
    lease: (lease_id) => state.lease(lease_id),
    worker(worker_id) {
      const worker = state.worker(worker_id);
      return worker && workerView(state, worker);
    },
    workers: () => state.workers().map((worker) => workerView(state, worker)),
    members: () => register.all(),
    member: (replica_id) => register.get(replica_id),
    get configuredIndex() {
      return register.index;
    },
    location: (node_id) => register.location(node_id),
    events: (after, limit) => eventsAfter(state, after, limit),
    feed,
    get eventCount() {
      return state.event_count - state.events_forgotten.seq;
    },
    get counts() {
      return state.counts;
    },

    noRoom(command, limits) {
      const full = noRoom(state, command, limits);
      if (full === undefined || answers.ofCommand(command.id) !== undefined) return undefined;
      const client_key = "client_key" in command ? command.client_key : undefined;
      return client_key !== undefined && answers.ofKey(client_key) !== undefined ? undefined : full;
    },
    grantable(worker_id, boot_id, max, now) {
      const worker = state.worker(worker_id);
      if (worker === undefined || worker.state === "dead") return "worker-unknown";
      if (worker.boot_id !== boot_id) return "boot-superseded";
      return wouldGrant(state, worker, max, now) ? "yes" : "wait";
    },
    get nextDue() {
      return state.tasks.queue.nextDue;
    },
    get firstEnded() {
      return state.ended.first?.at;
    },
    get nextAdvance() {
      const instants = [state.tasks.scheduled.first, state.tasks.expiries.first].flatMap(
        (first) => first?.at ?? [],
      );
      return instants.length === 0 ? undefined : Math.min(...instants);
    },

    export: (place) => startExport(state, operations, place),
    leasesOf: (worker_id) => state.leasesOf(worker_id),
    workerRecords: () => state.workersUnordered(),
    workerRecord: (worker_id) => state.worker(worker_id),
    get registrations() {
      return state.registrations;
    },
    overdueLeases: (now) => state.tasks.deadlines.overdue(now),
    nextOverdue: (now) => state.tasks.deadlines.nextAfter(now),
  };
}

function check(command: Command, { index }: EntryPlace): void {
  if (knows(command)) return;
  const { v, type } = command as { readonly v: unknown; readonly type: unknown };
  throw new Error(
    `entry ${index}: command ${String(type)} of version ${String(v)} is unknown here: upgrade this replica`,
  );
}
