/** What the client offers. Every method throws `ClientError` and nothing else, unless the caller's signal aborts it. */
import type {
  CircuitAnswer,
  CircuitView,
  FaultAction,
  Health,
  ProofCheck,
  Service,
  Status,
  Verified,
} from "../api/cluster.ts";
import type { Appended, CriticalEvent, EphemeralEvent, EventList } from "../api/events.ts";
import type { ClusterView, LeaderTransferred, MemberAddition, MemberChanged } from "../api/members.ts";
import type {
  OperationAnswer,
  OperationFound,
  OperationState,
  OperationSubmission,
  OperationView,
} from "../api/operations.ts";
import type {
  AttemptView,
  BatchItem,
  BatchSubmitted,
  BulkDone,
  BulkRequest,
  List,
  MerkleSubmission,
  proofFiles,
  Submission,
  TaskAnswer,
  TaskChanged,
  TaskView,
} from "../api/tasks.ts";
import type {
  Completed,
  CompletionRequest,
  FailureRequest,
  HeartbeatAnswer,
  HeartbeatRequest,
  LeaseEnded,
  LeaseOffer,
  PullRequest,
  Registered,
  Registration,
  WorkerView,
} from "../api/workers.ts";

import type { WorkHints } from "./hints.ts";

export interface ClientOptions {
  /** One address, or a comma list of them: the router's or any replica's. */
  readonly url?: string;
  readonly urls?: readonly string[];
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** How long a call is repeated before it throws; 15 s where absent. */
  readonly retry_for_ms?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** How long this call is repeated before it throws; 0 asks every address once. */
  readonly retry_for_ms?: number;
}

export interface ReadOptions extends CallOptions {
  readonly consistency?: "linearizable" | "stale";
}

export interface WriteOptions extends CallOptions {
  /** Made where absent, so that the client's own repeats create nothing twice. */
  readonly idempotency_key?: string;
}

export interface TaskFilter extends ReadOptions {
  /** One or several, separated by commas. */
  readonly status?: string;
  readonly circuit?: string;
  readonly worker_id?: string;
  readonly tag?: string;
  /** An RFC 3339 time. */
  readonly created_before?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface TaskCalls {
  submitMerkle(task: MerkleSubmission, options?: WriteOptions): Promise<Submission>;
  submit(circuit: string, body: object, options?: WriteOptions): Promise<Submission>;
  /** `wait` in seconds: returns early when the task ends. */
  get(task_id: string, options?: ReadOptions & { readonly wait?: number }): Promise<TaskAnswer>;
  list(filter?: TaskFilter): Promise<List<TaskView>>;
  attempts(task_id: string, options?: ReadOptions): Promise<List<AttemptView>>;
  /** Also reaches a prover that works on it, with its next heartbeat. Cancelling again changes nothing. */
  cancel(task_id: string, options?: CallOptions): Promise<TaskChanged>;
  /** A task that ended without a proof waits again, with one more attempt; one that waits for its time is due. */
  retry(task_id: string, options?: CallOptions): Promise<TaskChanged>;
  /** Up to 500 at once, of any circuits; each item has its own result. */
  batch(items: readonly BatchItem[], options?: WriteOptions): Promise<BatchSubmitted>;
  /** Cancels or retries whatever a filter finds: up to 10,000 tasks, then `remaining` says how many there still are. */
  bulk(request: BulkRequest, options?: CallOptions): Promise<BulkDone>;
  /** The proof alone, in snarkjs' form, or what else snarkjs needs to verify it. */
  proof(
    task_id: string,
    options?: ReadOptions & { readonly file?: (typeof proofFiles)[number] },
  ): Promise<unknown>;
  /** Until the task has ended, or `timeout_ms` (60 s) is over: then the task as it stands is returned. */
  wait(task_id: string, options?: ReadOptions & { readonly timeout_ms?: number }): Promise<TaskAnswer>;
}

export interface WorkerCalls {
  register(worker: Registration, options?: CallOptions): Promise<Registered>;
  /** Empty when there was nothing within `wait` seconds. */
  pull(worker_id: string, pull: PullRequest, options?: CallOptions): Promise<readonly LeaseOffer[]>;
  /** Where the leader says when there is something to pull, until `signal` is aborted: polls need not wait meanwhile. */
  hints(worker_id: string, boot_id: string, signal: AbortSignal): WorkHints;
  heartbeat(worker_id: string, beat: HeartbeatRequest, options?: CallOptions): Promise<HeartbeatAnswer>;
  /** `code` of what it throws: lease-unknown, lease-superseded, proof-mismatch and proof-invalid are final. */
  complete(lease_id: string, completion: CompletionRequest, options?: CallOptions): Promise<Completed>;
  fail(lease_id: string, failure: FailureRequest, options?: CallOptions): Promise<LeaseEnded>;
  release(
    lease_id: string,
    release: { readonly worker_id: string },
    options?: CallOptions,
  ): Promise<LeaseEnded>;
  drain(worker_id: string, options?: CallOptions): Promise<void>;
  remove(worker_id: string, options?: CallOptions): Promise<void>;
  get(worker_id: string, options?: ReadOptions): Promise<WorkerView>;
  /** Of very many a page, with a cursor to go on from. */
  list(
    options?: ReadOptions & { readonly limit?: number; readonly cursor?: string },
  ): Promise<List<WorkerView>>;
}

export interface EventsOptions extends ReadOptions {
  /** Behind which to begin: a `seq`, the id of an event, or `latest`; where absent, with the oldest that is kept. */
  readonly after?: number | string;
  /** With the system's own events. */
  readonly include?: "system";
}

/** The system's own event, as `{System: {name: body}}`. */
export interface SystemEvent {
  readonly System: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface StreamedEvent {
  /** The `after` to go on from; absent of what is in no log and cannot be asked for again. */
  readonly id?: string;
  /** Numbers beyond 2^53 are exact in `text` only. */
  readonly event: CriticalEvent | EphemeralEvent | SystemEvent;
  /** As it was submitted. */
  readonly text: string;
}

export interface EventCalls {
  append(event: CriticalEvent | EphemeralEvent, options?: WriteOptions): Promise<Appended>;
  /** `wait`, in seconds: for something to be there. */
  list(options?: EventsOptions & { readonly limit?: number; readonly wait?: number }): Promise<EventList>;
  /**
   * Every event, then those to come, without an end: a connection that is cut is resumed where it was, so that each
   * arrives once and in order. Throws `events-compacted` where some are no longer kept, and what any other call throws
   * when it has not come back for `retry_for_ms`.
   */
  stream(options?: EventsOptions): AsyncGenerator<StreamedEvent, never>;
}

/** What a handler is given. */
export interface CommittedOperation {
  readonly operation_id: string;
  readonly type: string;
  /** Absent of one that is no longer kept. */
  readonly payload?: unknown;
  readonly log_index: number;
  readonly term: number;
}

export interface OperationFilter extends ReadOptions {
  readonly state?: OperationState;
  /** A log index. */
  readonly after?: number;
  readonly limit?: number;
}

export interface OperationCalls {
  /**
   * Repeats itself until it is COMMITTED, or returns what is known when `retry_for_ms` is over. With `wait`, in seconds,
   * it returns what is known by then. Throws `operation-failed` where this attempt was refused.
   */
  put(
    operation_id: string,
    operation: OperationSubmission,
    options?: CallOptions & { readonly wait?: number },
  ): Promise<OperationAnswer>;
  get(operation_id: string, options?: ReadOptions): Promise<OperationFound>;
  list(filter?: OperationFilter): Promise<List<OperationView>>;
  /** All of them, in the order of the log. */
  export(options?: ReadOptions): AsyncGenerator<OperationView, void>;
  /**
   * Every operation that was committed behind log index `after`, then those to come, each once and in the order of the
   * log. Whoever keeps the `log_index` of the last one that took effect, together with that effect, and goes on behind it
   * after a crash, gives effect to each exactly once.
   */
  committed(options: CallOptions & { readonly after: number }): AsyncGenerator<CommittedOperation, never>;
  /** Runs `handler` on each, one after the other. Rejects with what it throws. */
  handle(
    handler: (operation: CommittedOperation) => Promise<void>,
    options: CallOptions & { readonly after: number },
  ): Promise<never>;
}

export interface CircuitCalls {
  list(options?: CallOptions): Promise<List<CircuitView>>;
  /** With its verifying key. */
  get(circuit: string, options?: CallOptions): Promise<CircuitAnswer>;
  verify(check: ProofCheck, options?: CallOptions): Promise<Verified>;
}

/** Who takes part. Changing it is the operator's. */
export interface ClusterCalls {
  /** As the leader sees it. */
  get(options?: CallOptions): Promise<ClusterView>;
  /** A learner: it receives the log and does not vote until it is promoted. */
  add(member: MemberAddition, options?: CallOptions): Promise<MemberChanged>;
  promote(node_id: string, options?: CallOptions): Promise<MemberChanged>;
  /** Waits for what it has begun; `removal-unsafe` where the rest could not go on without it. */
  remove(node_id: string, options?: CallOptions): Promise<MemberChanged>;
  transferLeadership(to?: string, options?: CallOptions): Promise<LeaderTransferred>;
}

/** All routes at the addresses that were given; at one replica's own where these end in `/replicas/coordinator-2`. */
export interface Client {
  readonly tasks: TaskCalls;
  readonly workers: WorkerCalls;
  readonly events: EventCalls;
  readonly operations: OperationCalls;
  readonly circuits: CircuitCalls;
  readonly cluster: ClusterCalls;
  service(options?: CallOptions): Promise<Service>;
  /** The cluster's health, or one replica's. Answers also when it is `unhealthy`; throws for a stopped replica. */
  health(replica?: string, options?: CallOptions): Promise<Health>;
  status(replica?: string, options?: CallOptions): Promise<Status>;
  /** Whether a write could commit now. */
  ready(options?: CallOptions): Promise<boolean>;
  /** Prometheus text. */
  metrics(replica?: string, options?: CallOptions): Promise<string>;
  fault(replica: string, action: FaultAction, options?: CallOptions): Promise<void>;
}
