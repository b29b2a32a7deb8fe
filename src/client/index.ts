/** The typed client of the HTTP contract, for the pool, the command line and anybody else. Needs nothing but `fetch`. */
export type {
  CallOptions,
  CircuitCalls,
  Client,
  ClientOptions,
  ClusterCalls,
  CommittedOperation,
  EventCalls,
  EventsOptions,
  OperationCalls,
  OperationFilter,
  ReadOptions,
  StreamedEvent,
  SystemEvent,
  TaskCalls,
  TaskFilter,
  WorkerCalls,
  WriteOptions,
} from "./client.ts";
export { createClient } from "./create.ts";
export { ClientError } from "./errors.ts";
export type { WorkHints } from "./hints.ts";
