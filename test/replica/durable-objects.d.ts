/** As much of the platform as a replica uses: what platform.ts gives it in this process. */

type SqlValue = string | number | null;

interface SqlCursor<Row> extends Iterable<Row> {
  toArray(): Row[];
  readonly rowsWritten: number;
}

interface SqlStorage {
  exec<Row extends Record<string, SqlValue> = Record<string, SqlValue>>(
    query: string,
    ...bindings: readonly SqlValue[]
  ): SqlCursor<Row>;
  readonly databaseSize: number;
}

interface DurableObjectStorage {
  readonly sql: SqlStorage;
  transactionSync<Result>(work: () => Result): Result;
  sync(): Promise<void>;
  setAlarm(at: number): Promise<void>;
  deleteAlarm(): Promise<void>;
}

interface DurableObjectId {
  readonly name?: string;
}

interface DurableObjectState {
  readonly id: DurableObjectId;
  readonly storage: DurableObjectStorage;
  abort(reason: string): void;
  acceptWebSocket(socket: WebSocket): void;
  getWebSockets(): WebSocket[];
  setWebSocketAutoResponse(pair: WebSocketRequestResponsePair): void;
}

interface WebSocket {
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

declare const WebSocketPair: new () => { readonly 0: WebSocket; readonly 1: WebSocket };

declare class WebSocketRequestResponsePair {
  constructor(request: string, response: string);
}

interface ResponseInit {
  readonly webSocket?: WebSocket;
}

type DurableObjectLocationHint = string;

interface DurableObjectStub {
  ask(path: string, text: string): Promise<string | undefined>;
}

interface DurableObjectNamespace<_Class = unknown> {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId, options?: { readonly locationHint: DurableObjectLocationHint }): DurableObjectStub;
}

declare module "cloudflare:workers" {
  export abstract class DurableObject<Env> {
    constructor(ctx: DurableObjectState, env: Env);
    protected readonly ctx: DurableObjectState;
    protected readonly env: Env;
    fetch?(request: Request): Promise<Response>;
    alarm?(): Promise<void>;
    webSocketClose?(socket: WebSocket): void;
    webSocketError?(socket: WebSocket): void;
  }
}
