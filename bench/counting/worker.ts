/**
 * The deployed Worker with counters around what Cloudflare bills: requests to the Worker, requests to the Durable Objects,
 * alarms, messages of WebSockets, rows that SQLite says were written, by statement, and the time that an object cannot
 * hibernate. Locally router and replicas share an isolate, so that one place counts them all. `GET /bench/counts`.
 */
import worker, { Replica as Deployed } from "../../src/worker.ts";
import type { Counts } from "./counts.ts";

/** An object that must stay awake (a timer, a request under way) is heard of at least so often: by a heartbeat. */
const AWAKE_GAP_MS = 1_000;

const counts = {
  worker_requests: 0,
  object_requests: {} as Record<string, number>,
  alarms: 0,
  messages: 0,
  peer_bytes: 0,
  rows: {} as Record<string, number>,
  awake_ms: 0,
} satisfies Counts;
let heard = Number.NEGATIVE_INFINITY;
let counting = false;

function add(to: Record<string, number>, name: string, count: number): void {
  to[name] = (to[name] ?? 0) + count;
}

/** The group sleeps and wakes as one: while any of it is heard of, all of it is awake. */
function awake(): void {
  const now = Date.now();
  if (now - heard < AWAKE_GAP_MS) counts.awake_ms += now - heard;
  heard = now;
}

function lengthOf({ headers }: Request | Response): number {
  return Number(headers.get("content-length") ?? 0);
}

/** `INSERT records`, `DELETE log`: without the number of a generation. */
function kindOf(query: string): string {
  const [, verb = "", table = ""] =
    /^\s*(INSERT|DELETE|UPDATE|CREATE|DROP)\b.*?\b(?:INTO|FROM|TABLE(?: IF NOT EXISTS)?)\s+([a-z]+)/i.exec(
      query,
    ) ?? [];
  return verb === "" ? query.slice(0, 30) : `${verb.toUpperCase()} ${table}`;
}

/** Of the class, once for all objects. */
function countStorage(storage: DurableObjectStorage): void {
  if (counting) return;
  counting = true;
  const sql: SqlStorage = Object.getPrototypeOf(storage.sql);
  const { exec } = sql;
  sql.exec = function <Row extends Record<string, SqlStorageValue>>(
    this: SqlStorage,
    query: string,
    ...bindings: unknown[]
  ): SqlStorageCursor<Row> {
    const cursor = exec.call(this, query, ...bindings) as SqlStorageCursor<Row>;
    if (!query.startsWith("SELECT")) add(counts.rows, kindOf(query), cursor.rowsWritten);
    return cursor;
  };
  const all: DurableObjectStorage = Object.getPrototypeOf(storage);
  const { setAlarm } = all;
  all.setAlarm = function (this: DurableObjectStorage, ...given: Parameters<typeof setAlarm>) {
    add(counts.rows, "setAlarm", 1);
    return setAlarm.apply(this, given);
  };
}

export class Replica extends Deployed {
  constructor(...[context, env]: ConstructorParameters<typeof Deployed>) {
    countStorage(context.storage);
    super(context, env);
  }

  override async fetch(request: Request): Promise<Response> {
    awake();
    const { pathname } = new URL(request.url);
    const from_peer = pathname.startsWith("/peer");
    add(counts.object_requests, from_peer ? "peers" : pathname, 1);
    try {
      const response = await super.fetch(request);
      if (from_peer) counts.peer_bytes += lengthOf(request) + lengthOf(response);
      return response;
    } finally {
      awake();
    }
  }

  override async alarm(): Promise<void> {
    awake();
    counts.alarms++;
    await super.alarm();
  }

  override webSocketMessage(): void {
    awake();
    counts.messages++;
  }
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === "/bench/counts") return Response.json(counts);
    counts.worker_requests++;
    return worker.fetch(request, env);
  },
} satisfies ExportedHandler<Parameters<typeof worker.fetch>[1]>;
