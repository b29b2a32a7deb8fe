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
import type { Appended, CriticalEvent, EventList } from "../api/events.ts";
import type { ClusterView, LeaderTransferred, MemberAddition, MemberChanged } from "../api/members.ts";
import type { OperationAnswer, OperationSubmission, OperationView } from "../api/operations.ts";
import type {
  AttemptView,
  List,
  MerkleSubmission,
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
  readonly status?: string;
  readonly circuit?: string;
  readonly worker_id?: string;
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
  /** The proof alone, in snarkjs' form. */
  proof(task_id: string, options?: ReadOptions): Promise<unknown>;
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

export interface OperationCalls {
  /** Its id makes it safe to repeat: the same content gives the first result. `wait` in seconds: 0 does not wait for the commit. */
  put(
    operation_id: string,
    operation: OperationSubmission,
    options?: CallOptions & { readonly wait?: number },
  ): Promise<OperationAnswer>;
  get(operation_id: string, options?: ReadOptions): Promise<OperationView>;
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
