/** The typed client of the HTTP contract, for the pool, the command line and anybody else. Needs nothing but `fetch`. */
export type {
  CallOptions,
  Client,
  ClientOptions,
  EventCalls,
  ReadOptions,
  TaskCalls,
  TaskFilter,
  WorkerCalls,
  WriteOptions,
} from "./client.ts";
export { createClient } from "./create.ts";
export { ClientError } from "./errors.ts";
