/** What the client offers. Every method throws `ClientError` and nothing else, unless the caller's signal aborts it. */
import type { FaultAction, Health, Status } from "../api/cluster.ts";
import type { Appended, CriticalEvent, EventList } from "../api/events.ts";
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

export interface EventCalls {
  append(event: CriticalEvent, options?: WriteOptions): Promise<Appended>;
  list(options?: ReadOptions & { readonly after?: number; readonly limit?: number }): Promise<EventList>;
}

export interface Client {
  readonly tasks: TaskCalls;
  readonly workers: WorkerCalls;
  readonly events: EventCalls;
  /** The cluster's health, or one replica's. Answers also when it is `unhealthy`; throws for a stopped replica. */
  health(replica?: string, options?: CallOptions): Promise<Health>;
  status(replica?: string, options?: CallOptions): Promise<Status>;
  /** Whether a write could commit now. */
  ready(options?: CallOptions): Promise<boolean>;
  /** Prometheus text. */
  metrics(replica?: string, options?: CallOptions): Promise<string>;
  fault(replica: string, action: FaultAction, options?: CallOptions): Promise<void>;
}
