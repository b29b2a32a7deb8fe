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

/** A request to an object, which is awake for it. */
async function asked<Answer>(path: string, answer: () => Promise<Answer>): Promise<Answer> {
  awake();
  add(counts.object_requests, path.startsWith("/peer") ? "peers" : path, 1);
  try {
    return await answer();
  } finally {
    awake();
  }
}

/** `INSERT tasks`, `DELETE log`: without the number of a generation. */
function kindOf(query: string): string {
  const [, verb = "", table = ""] =
    /^\s*(INSERT|DELETE|UPDATE|CREATE|DROP)\b(?:(?<!UPDATE).*?\b(?:INTO|FROM|TABLE(?: IF NOT EXISTS)?))?\s+([a-z_]+?)(?:_\d+)?\b/i.exec(
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

  override ask(path: string, text: string, request_id?: string): Promise<string | undefined> {
    return asked(path, async () => {
      const answer = await super.ask(path, text, request_id);
      if (path.startsWith("/peer")) counts.peer_bytes += text.length + (answer?.length ?? 0);
      return answer;
    });
  }

  override fetch(request: Request): Promise<Response> {
    return asked(new URL(request.url).pathname, () => super.fetch(request));
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
