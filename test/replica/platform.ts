/**
 * The platform's rules, as far as they decide what a replica may promise, for objects that run in this process.
 *
 * - **Output gate.** Answers and calls that follow a write wait until it is flushed.
 * - **Stale instances.** After {@link Platform.supersede} a new instance gets the events; the old one goes on in what
 *   it had begun, until it touches storage: that destroys it.
 * - **Invocations.** Whatever an event starts, timers included, belongs to it, and so do the calls made there.
 * - **Stubs.** Calls on one stub arrive in the order in which they were made; a stub that threw stays broken.
 *
 * Storage is SQLite in memory and outlives its instances. What an instance that is destroyed had written stays, unless a
 * {@link Platform.strike} ends it: then what was not flushed may be lost, all of it, as when a process is killed. That
 * the platform keeps its promise about what was flushed is not what is tested here.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { PeerAnswer, PeerBody, PeerMessage } from "../../src/replica/codec.ts";
import { stepping } from "../support/steps.ts";
import { VirtualTime } from "./time.ts";

export interface Durable {
  ask(path: string, text: string): Promise<string | undefined>;
  fetch(request: Request): Promise<Response>;
  alarm?(): Promise<void>;
}

/** One event that came in, and all that happened because of it. */
export interface Invocation {
  readonly instance: Instance;
  readonly path: string;
  subrequests: number;
}

/** What becomes of a call: it arrives, it is lost, or the test keeps it and decides later. */
export type Fate = "arrives" | "lost" | "kept";

export class Disk {
  readonly database = new DatabaseSync(":memory:");
  /** At most one; it outlives instances like all that is stored. */
  alarm: number | undefined;
  /** Whether what is written counts only once it is flushed; if not, at once. */
  readonly #gated: boolean;
  readonly #statements = new Map<string, StatementSync>();
  #unflushed = false;
  #depth = 0;
  #losing = false;

  constructor(gated = false) {
    this.#gated = gated;
  }

  exec(query: string, bindings: readonly SqlValue[]): { rows: unknown[]; changes: number } {
    if (!query.startsWith("SELECT")) this.#begin();
    let statement = this.#statements.get(query);
    if (!statement) {
      statement = this.database.prepare(query);
      this.#statements.set(query, statement);
    }
    if (statement.columns().length > 0) return { rows: statement.all(...bindings), changes: 0 };
    return { rows: [], changes: Number(statement.run(...bindings).changes) };
  }

  transaction<Result>(work: () => Result): Result {
    this.#begin();
    const name = `level_${this.#depth++}`;
    this.database.exec(`SAVEPOINT ${name}`);
    try {
      const result = work();
      this.database.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.database.exec(`ROLLBACK TO ${name}`);
      this.database.exec(`RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth--;
      if (this.#losing) this.lose();
    }
  }

  /** What was written so far will be there, whatever happens. */
  flush(): void {
    if (!this.#unflushed || this.#depth > 0) return;
    this.database.exec("COMMIT");
    this.#unflushed = false;
  }

  /** What was not flushed is gone. */
  lose(): void {
    this.#losing = this.#depth > 0;
    if (this.#losing || !this.#unflushed) return;
    this.database.exec("ROLLBACK");
    this.#unflushed = false;
  }

  #begin(): void {
    if (!this.#gated || this.#unflushed) return;
    this.database.exec("BEGIN");
    this.#unflushed = true;
  }
}

/** A disk as a replica's storage, without a gate: for tests of the storage alone. */
export function storageOn(disk: Disk, touched: (write: boolean) => void = () => {}): DurableObjectStorage {
  return {
    sql: {
      exec<Row>(query: string, ...bindings: readonly SqlValue[]): SqlCursor<Row> {
        touched(!query.startsWith("SELECT"));
        const { rows, changes } = disk.exec(query, bindings);
        const typed = rows as Row[];
        return {
          rowsWritten: changes,
          toArray: () => typed,
          [Symbol.iterator]: () => typed[Symbol.iterator](),
        };
      },
      databaseSize: 0,
    },
    transactionSync: (work) => disk.transaction(work),
    sync: () => Promise.resolve(),
    setAlarm: async () => {},
    deleteAlarm: async () => {},
  };
}

/** One life of an object. */
export class Instance {
  readonly name: string;
  readonly disk: Disk;
  readonly #platform: Platform;
  /** When the writes so far are flushed, and whether they will be. */
  #flush: { readonly writtenAt: number; readonly done: Promise<void> } | undefined;
  /** Another instance gets the events. */
  superseded = false;
  destroyed = false;
  touches = 0;
  #object: Durable | undefined;

  constructor(platform: Platform, name: string, disk: Disk) {
    this.#platform = platform;
    this.name = name;
    this.disk = disk;
  }

  get object(): Durable {
    this.#object ??= this.#platform.create(
      {
        id: { name: `${this.#platform.cluster}/${this.name}` },
        storage: stepping(
          {
            ...storageOn(this.disk, (write) => this.#touched(write)),
            sync: () => this.flushed,
            setAlarm: async (at) => this.#setAlarm(at),
            deleteAlarm: async () => this.#setAlarm(undefined),
          },
          (step) => this.#reached(step),
        ),
        abort: () => this.destroy(),
        getWebSockets: () => [],
        acceptWebSocket: () => {
          throw new Error("there are no sockets here");
        },
        setWebSocketAutoResponse: () => {},
      },
      this.#platform.namespaceOf(this),
    );
    return this.#object;
  }

  /** Whether something written is not flushed yet. */
  get flushing(): boolean {
    return this.#flush !== undefined;
  }

  #setAlarm(at: number | undefined): void {
    this.#touched(true);
    const { disk, name } = this;
    const { time } = this.#platform;
    disk.alarm = at;
    if (at === undefined) return;
    time.arrive(Math.max(0, at - time.now), name, () => {
      if (disk.alarm !== at) return;
      disk.alarm = undefined;
      void this.#platform.alarm(name);
    });
  }

  get flushed(): Promise<void> {
    return this.#flush?.done ?? Promise.resolve();
  }

  destroy(): void {
    this.destroyed = true;
  }

  #reached(step: string): void {
    const end = this.destroyed || this.superseded ? undefined : this.#platform.strike(this, step);
    if (end === undefined) return;
    if (end === "killed") this.#platform.kill();
    else this.destroy();
    if (end === "aborted, unflushed") this.disk.lose();
    throw new Error(`${this.name}: ${end} at: ${step}`);
  }

  #touched(write: boolean): void {
    if (this.destroyed || this.superseded) {
      this.destroy();
      throw new Error(`${this.name}: another instance has taken over`);
    }
    this.touches++;
    if (write) this.#written();
  }

  #written(): void {
    const { time, flush_ms } = this.#platform;
    if (this.#flush?.writtenAt === time.now) return;
    const done = new Promise<void>((resolve, reject) => {
      time.arrive(flush_ms, this.name, () => {
        if (this.#flush === flush) this.#flush = undefined;
        if (!this.#platform.failFlush(this)) {
          this.disk.flush();
          return resolve();
        }
        reject(new Error(`${this.name}: the flush failed`));
      });
    });
    // Whoever waits is told; nobody has to wait.
    done.catch(() => this.destroy());
    const flush = { writtenAt: time.now, done };
    this.#flush = flush;
  }
}

/** A call from one object to another. */
export class Call {
  readonly from: Instance;
  readonly to: string;
  readonly path: string;
  readonly text: string;
  /** Whether it was made while something that the caller wrote before was not yet flushed. */
  readonly behindWrite: boolean;
  readonly #platform: Platform;
  readonly #answered = Promise.withResolvers<string | undefined>();
  #answer: Promise<string | undefined> | undefined;

  constructor(platform: Platform, from: Instance, to: string, path: string, text: string) {
    this.#platform = platform;
    this.from = from;
    this.to = to;
    this.path = path;
    this.text = text;
    this.behindWrite = from.flushing;
    // It may be lost after the caller has given up.
    this.#answered.promise.catch(() => {});
  }

  get messages(): readonly PeerMessage[] {
    return this.path === "/peer" ? (JSON.parse(this.text) as PeerBody).messages : [];
  }

  carries(type: PeerMessage["type"]): boolean {
    return this.path === "/peer" && this.text.includes(`"type":"${type}"`);
  }

  get outcome(): Promise<string | undefined> {
    return this.#answered.promise;
  }

  /** It arrives now; resolves when the answer is ready to leave. */
  async deliver(): Promise<readonly PeerMessage[]> {
    this.#answer ??= this.#platform.ask(this.to, this.path, this.text);
    const text = await this.#answer;
    if (this.path !== "/peer" || text === undefined) return [];
    const answer = JSON.parse(text) as PeerAnswer;
    return answer.type === "messages" ? answer.messages : [];
  }

  /** The answer arrives now. */
  answer(): void {
    if (!this.#answer) throw new Error(`${this.path} to ${this.to} was answered before it arrived`);
    const garbled = (text: string | undefined): string | undefined =>
      text === undefined || this.path === "/peer" ? text : this.#platform.garble(this, text);
    this.#answer.then(garbled).then(this.#answered.resolve, this.#answered.reject);
  }

  /** Another answer than its own arrives now. */
  answerWith(text: string): void {
    this.#answered.resolve(text);
  }

  lose(): void {
    this.#answered.reject(new Error(`the call of ${this.from.name} to ${this.to} was lost`));
  }
}

export interface PlatformOptions {
  readonly cluster: string;
  readonly create: (ctx: DurableObjectState, namespace: DurableObjectNamespace) => Durable;
  readonly flush_ms: number;
}

export class Platform {
  readonly cluster: string;
  readonly flush_ms: number;
  readonly create: PlatformOptions["create"];
  readonly time: VirtualTime;
  readonly invocations: Invocation[] = [];
  /** One way, in ms. */
  latency: (call: Call) => number = () => 1;
  latencyOfAnswer: (call: Call) => number = (call) => this.latency(call);
  fate: (call: Call) => Fate = () => "arrives";
  /** What becomes of the response, once the call has arrived. */
  fateOfAnswer: (call: Call) => Exclude<Fate, "kept"> = () => "arrives";
  failFlush: (instance: Instance) => boolean = () => false;
  /**
   * Whether an instance ends where it stands, in the midst of what it gives its storage: alone, with what it had
   * written or without what of it was not flushed; or with all others, whose process it is.
   */
  strike: (instance: Instance, step: string) => "aborted" | "aborted, unflushed" | "killed" | undefined =
    () => undefined;
  /** What is made of a response beside the protocol on its way. */
  garble: (call: Call, text: string) => string = (_, text) => text;
  /** Sees every call when it is made, and every answer when it arrives. */
  watch: (call: Call) => void = () => {};
  watchAnswer: (call: Call, messages: readonly PeerMessage[]) => void = () => {};
  readonly kept: Call[] = [];
  readonly #current = new AsyncLocalStorage<Invocation>();
  readonly #instances = new Map<string, Instance>();

  constructor({ cluster, create, flush_ms }: PlatformOptions) {
    this.cluster = cluster;
    this.create = create;
    this.flush_ms = flush_ms;
    this.time = new VirtualTime(() => this.#current.getStore()?.instance.name);
    this.#bindTimers();
  }

  /** The instance that gets the events. */
  instance(name: string): Instance {
    const known = this.#instances.get(name);
    if (known && !known.destroyed) return known;
    const instance = new Instance(this, name, known?.disk ?? new Disk(true));
    this.#instances.set(name, instance);
    return instance;
  }

  /** A new instance takes over, and the old one, which is returned, does not know. */
  supersede(name: string): Instance {
    const old = this.instance(name);
    this.#instances.set(name, new Instance(this, name, old.disk));
    old.superseded = true;
    return old;
  }

  /** `kill -9`: every instance ends, and what was not flushed is lost. */
  kill(): void {
    for (const instance of this.#instances.values()) {
      instance.destroy();
      instance.disk.lose();
    }
  }

  /** The object's storage is gone. */
  wipe(name: string): void {
    this.instance(name).destroy();
    this.#instances.set(name, new Instance(this, name, new Disk(true)));
  }

  /** An instant that an object asked for has come. */
  async alarm(name: string): Promise<void> {
    const instance = this.instance(name);
    const invocation: Invocation = { instance, path: "alarm", subrequests: 0 };
    this.invocations.push(invocation);
    await this.#current.run(invocation, () => instance.object.alarm?.());
  }

  /** A call comes in from outside. The answer leaves when what was written before it is flushed. */
  ask(name: string, path: string, text: string): Promise<string | undefined> {
    return this.#event(name, path, (object) => object.ask(path, text));
  }

  /** The same where the answer is a stream. */
  fetch(name: string, path: string, body: string): Promise<Response> {
    const request = new Request(`https://replica${path}`, { method: "POST", body });
    return this.#event(name, path, (object) => object.fetch(request));
  }

  async #event<Result>(
    name: string,
    path: string,
    deliver: (object: Durable) => Promise<Result>,
  ): Promise<Result> {
    const instance = this.instance(name);
    const invocation: Invocation = { instance, path, subrequests: 0 };
    this.invocations.push(invocation);
    const answer = await this.#current.run(invocation, () => deliver(instance.object));
    await instance.flushed;
    if (instance.destroyed) throw new Error(`${name} was destroyed before it answered`);
    return answer;
  }

  namespaceOf(from: Instance): DurableObjectNamespace {
    return {
      idFromName: (name) => ({ name }),
      get: (id) => this.#stub(from, id.name?.split("/").at(-1) ?? ""),
    };
  }

  #stub(from: Instance, to: string): DurableObjectStub {
    let broken: unknown;
    let lastArrival = 0;
    const ask: DurableObjectStub["ask"] = async (path, text) => {
      if (broken) throw broken;
      const invocation = this.#current.getStore();
      if (invocation) invocation.subrequests++;
      const call = new Call(this, from, to, path, text);
      this.watch(call);
      try {
        await from.flushed;
        if (from.destroyed) throw new Error(`${from.name} was destroyed before its call left`);
        lastArrival = Math.max(lastArrival, this.time.now + this.latency(call));
        this.#carry(call, lastArrival - this.time.now);
        return await call.outcome;
      } catch (error) {
        broken = error;
        throw error;
      }
    };
    return { ask };
  }

  #carry(call: Call, ms: number): void {
    const fate = this.fate(call);
    if (fate === "kept") this.kept.push(call);
    else if (fate === "lost") this.time.arrive(ms, call.from.name, () => call.lose());
    else this.time.arrive(ms, call.to, () => void this.#bringBack(call));
  }

  async #bringBack(call: Call): Promise<void> {
    try {
      const messages = await call.deliver();
      const fate = this.fateOfAnswer(call);
      this.time.arrive(this.latencyOfAnswer(call), call.from.name, () => {
        if (fate === "lost") return call.lose();
        this.watchAnswer(call, messages);
        call.answer();
      });
    } catch {
      call.lose();
    }
  }

  /** A timer belongs to the invocation that set it, and dies with its instance. */
  #bindTimers(): void {
    const set = globalThis.setTimeout as unknown as (run: () => void, ms?: number) => unknown;
    globalThis.setTimeout = ((run: () => void, ms?: number) => {
      const invocation = this.#current.getStore();
      if (!invocation) return set(run, ms);
      return set(() => {
        if (!invocation.instance.destroyed) this.#current.run(invocation, run);
      }, ms);
    }) as unknown as typeof setTimeout;
  }
}
