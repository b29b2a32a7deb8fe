/**
 * The records and what is derived from them. Every change of a record passes through here, so that the derived parts
 * and the list of changed records cannot fall behind; building a state from the same records gives the same answers.
 */
import { currentAttempt, findLease, hasEnded, isWaiting, taskOfLease, wasWork } from "./attempts.ts";
import { ChangedRecords } from "./changed-records.ts";
import { CountsOf } from "./counts.ts";
import { EndedTasks } from "./ended.ts";
import type { Frozen } from "./frozen.ts";
import { type Happening, taskHappening, workerHappenings, workerRemoved } from "./happenings.ts";
import { FRESH, isSame, META, NO_RING } from "./meta.ts";
import type { EndedStatus, ImportRecord, Instant, MetaRecord, TaskRecord, WorkerRecord } from "./records.ts";
import { Shares, type Turns } from "./shares.ts";
import type { Arrival, ArrivalPlace, OpenTask, RecordKey, Records, RecordTypes, Table } from "./tables.ts";
import { TaskIndex } from "./task-index.ts";
import type { Counts, LeaseView } from "./views.ts";
import { Workforce } from "./workforce.ts";

const NOTHING: readonly Happening[] = [];
/** An input of at most so many bytes stays in its task's record, which is in memory until the task ends. */
export const INPUT_BYTES_WITHIN = 2_048;

export class State {
  readonly workforce = new Workforce();
  readonly tasks: TaskIndex;
  readonly counts: Counts = new CountsOf(this);
  /** As last stored; what moves with every command is kept beside it and joined in `settle`. */
  readonly stored: MetaRecord;
  /** Critical events so far: the `seq` of the last one. */
  event_count: number;
  events_forgotten: MetaRecord["events_forgotten"];
  assignments_failed: number;
  commands_refused: number;
  imported: ImportRecord | undefined;
  readonly ended: EndedTasks;
  readonly #shares: Shares;
  /** Since this state was built. */
  registrations = 0;
  readonly #records: Records;
  readonly #changed: ChangedRecords;
  readonly #workers = new Map<string, WorkerRecord>();
  readonly #assigned: Map<string, number>;
  #assigned_before: number;
  #last_sequence: number;
  #rules: number;
  #happenings: Happening[] = [];
  #now: Instant;

  constructor(records: Records) {
    this.#records = records;
    this.#changed = new ChangedRecords(records);
    const meta = records.get("meta", META) ?? FRESH;
    if (meta.v !== 1) throw new Error(`meta record has version ${meta.v}: this code reads version 1`);
    this.stored = meta;
    this.#now = meta.applied_time;
    this.event_count = meta.event_count;
    this.events_forgotten = meta.events_forgotten;
    this.assignments_failed = meta.assignments_failed;
    this.commands_refused = meta.commands_refused;
    this.#assigned_before = meta.tasks_assigned_before;
    this.#assigned = new Map(Object.entries(meta.tasks_assigned));
    this.#rules = meta.rules ?? 1;
    this.#last_sequence = meta.last_sequence ?? 0;
    this.imported = meta.imported;
    this.ended = new EndedTasks(
      {
        get: (key) => this.get("ended", key),
        put: (key, bucket) => this.put("ended", key, bucket),
        delete: (key) => this.delete("ended", key),
      },
      meta.ended ?? NO_RING,
    );
    this.#shares = new Shares(meta.shares ?? {});
    this.tasks = new TaskIndex({
      rules: this.#rules,
      workforce: this.workforce,
      tasks_ended: meta.tasks_ended,
      ended: (entry) => this.ended.append(entry),
    });
    for (const [, worker] of records.live("workers")) {
      this.#workers.set(worker.worker_id, worker);
      this.workforce.setWorker(worker.worker_id, worker);
    }
    for (const task of this.openTasks()) this.tasks.changed(undefined, task, this.#now);
  }

  /** Time of the last entry. Never runs backwards, though the clocks of two leaders may differ. */
  get now(): Instant {
    return this.#now;
  }

  advance(time: Instant): void {
    if (time > this.#now) this.#now = time;
  }

  /** From the first command of a higher version on, everything follows its rules. */
  follow(version: number): void {
    if (version <= this.#rules) return;
    this.#rules = version;
    this.tasks.queue.follow(version);
  }

  get<T extends Table>(table: T, key: string): RecordTypes[T] | undefined {
    return this.#records.get(table, key);
  }

  foresee(table: Table, keys: readonly string[]): void {
    this.#records.foresee(table, keys);
  }

  put<T extends Table>(table: T, key: string, record: RecordTypes[T]): void {
    this.#changed.put(table, key, record);
  }

  delete(table: Table, key: string): void {
    this.#changed.delete(table, key);
  }

  task(task_id: string): TaskRecord | undefined {
    return this.#records.get("tasks", task_id);
  }

  /** @param before as it is now, where that is at hand */
  putTask(task: TaskRecord, before = this.task(task.task_id)): void {
    this.put("tasks", task.task_id, task);
    this.#taskChanged(before, task);
  }

  /** One that has no record. */
  addTask(given: TaskRecord): void {
    const task = this.#withoutLargeInput(given);
    this.#changed.add("tasks", task.task_id, task);
    this.#taskChanged(undefined, task);
  }

  /** What the task is about, wherever it is kept. */
  inputOf({ task_id, input }: TaskRecord): unknown {
    if (input !== undefined) return input;
    const kept = this.get("inputs", task_id);
    if (kept === undefined) throw new Error(`task ${task_id} has lost its input`);
    return kept.input;
  }

  /** Gone for good, with what belongs to it. */
  deleteTask({ task_id, input }: TaskRecord): void {
    if (input === undefined) this.delete("inputs", task_id);
    this.delete("tasks", task_id);
  }

  #withoutLargeInput(task: TaskRecord): TaskRecord {
    if ((task.input_bytes ?? 0) <= INPUT_BYTES_WITHIN) return task;
    const { input, ...rest } = task;
    this.put("inputs", task.task_id, { v: 1, input });
    return rest;
  }

  #taskChanged(before: TaskRecord | undefined, task: TaskRecord): void {
    if (task.status === "completed" && before?.status !== "completed") this.#keepContent(task);
    if (this.#sharing) this.#share(before, task);
    this.tasks.changed(before, task, this.#now);
    const happening = taskHappening(before, task);
    if (happening !== undefined) this.happened(happening);
  }

  /** From now on its proof answers whoever submits the same. While it was open, the index knew. */
  #keepContent({ content_hash, task_id }: TaskRecord): void {
    this.put("content", content_hash, { v: 1, task_id });
  }

  /** Whose turn it is; undefined by the rules of versions under which circuits did not take turns. */
  turns(): Turns | undefined {
    return this.#sharing ? this.#shares.turns() : undefined;
  }

  get #sharing(): boolean {
    return this.#rules >= 3;
  }

  #share(before: TaskRecord | undefined, { status, circuit, attempts }: TaskRecord): void {
    const waited = before !== undefined && isWaiting(before.status);
    if (isWaiting(status) && !waited) {
      const { circuits } = this.tasks.queue;
      if (!circuits.includes(circuit)) this.#shares.arrive(circuit, circuits);
    }
    const held = before && currentAttempt(before);
    if (held === undefined) return;
    const now = attempts.findLast(({ lease_id }) => lease_id === held.lease_id);
    if (now?.ended_at !== undefined && wasWork(now)) this.#shares.ran(circuit, now.ended_at - now.granted_at);
  }

  /** A task of another group, as it was there: nothing happens to it here. */
  restoreTask(given: TaskRecord): void {
    const task = this.#withoutLargeInput(given);
    this.#last_sequence = Math.max(this.#last_sequence, task.sequence);
    // It arrives open, as every task does, also if it has ended long since.
    const arrived: TaskRecord = hasEnded(task.status) ? { ...task, status: "pending" } : task;
    this.put("tasks", task.task_id, arrived);
    this.tasks.changed(undefined, arrived, this.#now);
    if (arrived === task) return;
    this.put("tasks", task.task_id, task);
    this.tasks.changed(arrived, task, this.#now);
  }

  /** The records of these tables as they are now, until {@link thaw}. */
  freeze(tables: readonly Table[]): Frozen {
    return this.#changed.freeze(tables);
  }

  thaw(frozen: Frozen): void {
    this.#changed.thaw(frozen);
  }

  /** The highest `sequence` of a task so far; 0 before the first. */
  get last_sequence(): number {
    return this.#last_sequence;
  }

  /** For a task submitted by the entry with this index. */
  nextSequence(index: number): number {
    this.#last_sequence = Math.max(index, this.#last_sequence + 1);
    return this.#last_sequence;
  }

  newestTasks(before?: number): Iterable<Arrival> {
    return this.#records.newestTasks(before);
  }

  arrivals(after: number, limit: number): readonly ArrivalPlace[] {
    return this.#records.arrivals(after, limit);
  }

  /** In any order; none of them is read from a table. */
  openTasks(): Iterable<OpenTask> {
    return this.#records.openTasks();
  }

  lease(lease_id: string): LeaseView | undefined {
    const task_id = taskOfLease(lease_id);
    const task = task_id === undefined ? undefined : this.task(task_id);
    return task && findLease(task, lease_id);
  }

  /** Current leases of a worker in the order in which they were granted. */
  leasesOf(worker_id: string): readonly LeaseView[] {
    const leases = Array.from(this.workforce.leases(worker_id), (lease_id) => {
      const lease = this.lease(lease_id);
      if (lease === undefined)
        throw new Error(`worker ${worker_id} holds lease ${lease_id}, which no task knows`);
      return lease;
    });
    return leases.sort(
      (a, b) =>
        a.attempt.granted_at - b.attempt.granted_at ||
        b.task.priority - a.task.priority ||
        a.task.sequence - b.task.sequence,
    );
  }

  worker(worker_id: string): WorkerRecord | undefined {
    return this.#workers.get(worker_id);
  }

  /** In order of their names. */
  workers(): readonly WorkerRecord[] {
    return Array.from(this.#workers.values()).sort((a, b) => (a.worker_id < b.worker_id ? -1 : 1));
  }

  workersUnordered(): Iterable<WorkerRecord> {
    return this.#workers.values();
  }

  putWorker(worker: WorkerRecord): void {
    for (const happening of workerHappenings(this.worker(worker.worker_id), worker)) this.happened(happening);
    this.#setWorker(worker);
  }

  /** A worker of another group, as it was known there: it is looked for here. */
  restoreWorker(worker: WorkerRecord): void {
    this.registrations++;
    this.#setWorker(worker);
  }

  #setWorker(worker: WorkerRecord): void {
    this.put("workers", worker.worker_id, worker);
    this.#workers.set(worker.worker_id, worker);
    this.workforce.setWorker(worker.worker_id, worker);
  }

  deleteWorker(worker_id: string): void {
    this.happened(workerRemoved(worker_id));
    this.delete("workers", worker_id);
    this.#workers.delete(worker_id);
    this.#assigned_before += this.#assigned.get(worker_id) ?? 0;
    this.#assigned.delete(worker_id);
    this.workforce.setWorker(worker_id, undefined);
  }

  countAssigned(worker_id: string, leases: number): void {
    this.#assigned.set(worker_id, (this.#assigned.get(worker_id) ?? 0) + leases);
  }

  /** Leases granted, by worker. */
  get tasks_assigned(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#assigned);
  }

  /** Leases granted to workers that are gone. */
  get tasks_assigned_before(): number {
    return this.#assigned_before;
  }

  /** To be reported with the entry that is being applied. */
  happened(happening: Happening): void {
    this.#happenings.push(happening);
  }

  takeHappenings(): readonly Happening[] {
    if (this.#happenings.length === 0) return NOTHING;
    const happenings = this.#happenings;
    this.#happenings = [];
    return happenings;
  }

  /** Records changed since `settle` was called last. */
  get changes(): number {
    return this.#changed.count;
  }

  /** Stores what was kept beside the meta record and names every record changed since the last call. */
  settle(
    beside: Pick<
      MetaRecord,
      | "command_answers"
      | "key_order"
      | "operation_order"
      | "operation_bytes"
      | "system_events"
      | "system_forgotten"
    >,
  ): readonly RecordKey[] {
    const { completed, failed, cancelled, expired } = this.tasks.by_status;
    const meta: MetaRecord = {
      v: 1,
      applied_time: this.#now,
      event_count: this.event_count,
      events_forgotten: this.events_forgotten,
      tasks_assigned: this.tasks_assigned,
      tasks_assigned_before: this.#assigned_before,
      assignments_failed: this.assignments_failed,
      commands_refused: this.commands_refused,
      tasks_ended: { completed, failed, cancelled, expired } satisfies Record<EndedStatus, number>,
      ...beside,
      last_sequence: this.#last_sequence,
      ended: this.ended.position,
      ...(this.#sharing ? { shares: this.#shares.stored } : {}),
      ...(this.#rules === 1 ? {} : { rules: this.#rules }),
      ...(this.imported === undefined ? {} : { imported: this.imported }),
    };
    // Some commands move counters alone.
    if (this.#changed.count === 0 && isSame(meta, this.#records.get("meta", META) ?? FRESH)) return [];
    this.put("meta", META, meta);
    return this.#changed.take();
  }
}
