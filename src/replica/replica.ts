/**
 * The Durable Object: one replica of the group. It is born ({@link Founder}), keeps the fault in force, and hands every
 * event to its {@link Engine}. Reached by stubs only, by the router (rpc.ts) and by its peers (`/peer…`): by
 * {@link Replica.ask}, and where the answer is a stream or a socket by {@link Replica.fetch}.
 */
import { DurableObject } from "cloudflare:workers";
import { type Configuration, parseConfiguration } from "../api/configuration.ts";
import { log } from "../api/log.ts";
import { checkVersion, encodeAnswer, FORMAT_VERSION, type PeerAnswer, type PeerBody } from "./codec.ts";
import { Engine } from "./engine.ts";
import { eventsOf, streamExport, streamOperations } from "./events.ts";
import { Founder, type Told } from "./founder.ts";
import { Hints } from "./hints.ts";
import { Link } from "./link.ts";
import { metricsOf } from "./metrics.ts";
import { Observations } from "./observations.ts";
import { healthOf, statusOf } from "./observe.ts";
import { type Order, Orders } from "./orders.ts";
import { clusterOf } from "./overview.ts";
import type {
  Answer,
  Change,
  CheckpointTaken,
  Declined,
  Ephemeral,
  ExportGroup,
  ExportOperations,
  Fault,
  ImportLines,
  Observe,
  Propose,
  Pull,
  Read,
  ReadEvents,
  WorkerHeartbeat,
} from "./rpc.ts";
import { STREAMED } from "./rpc.ts";
import type { TransferRequest } from "./sending.ts";
import { openSocket, openSockets, ownerOf } from "./sockets.ts";
import { type FaultState, NO_FAULT, Store } from "./store.ts";
import { type ReplicaNamespace, replicaStubs } from "./stubs.ts";

export interface Env {
  readonly REPLICA: DurableObjectNamespace<Replica>;
}

const STOPPED: Declined = { type: "stopped" };
/** While it leads, another one is about to. */
const RETIRED = {
  type: "unavailable",
  code: "removed",
  detail: "this replica is being removed from the group and accepts nothing more",
  retry_after_ms: 100,
} as const satisfies Declined;
/** How long a read waits for this replica to catch up with the index it was granted. */
const CATCH_UP_MS_MAX = 2000;

/** Looking at what this replica holds wakes nobody. */
function wakes(path: string, body: unknown): boolean {
  const { consistency } = body as { readonly consistency?: Read["consistency"] };
  return path !== "/checkpoint" && consistency !== "stale";
}

/** Who calls a replica gives an address of this form. */
function pathOf(url: string): string {
  const [, path = "/"] = /^https:\/\/replica(\/[^?]*)/.exec(url) ?? [];
  return path;
}

export class Replica extends DurableObject<Env> {
  readonly #configuration: Configuration;
  readonly #stubs: ReplicaNamespace;
  #store: Store;
  /** Outlives the engine: a stream goes on while the replica is stopped and started. */
  readonly #observations = new Observations();
  readonly #hints = new Hints();
  readonly #link = new Link(() => this.#fault);
  #orders = new Orders();
  #engine: Engine | undefined;
  #fault: FaultState;
  #founder: Founder | undefined;
  #deafen: () => void = () => {};
  #clock = 0;
  /** Senders and addressees whose messages are known not to be for this replica. */
  readonly #dropped = new Set<string>();

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#configuration = parseConfiguration(env as unknown as Record<string, unknown>);
    this.#stubs = replicaStubs(env.REPLICA, this.#configuration);
    this.#store = new Store(context.storage);
    this.#fault = this.#store.state("fault") ?? NO_FAULT;
    for (const { listener, socket } of openSockets(context)) this.#hints.joined(listener, socket);
  }

  /**
   * A call that is answered by one JSON text: `text` and the answer are as rpc.ts says for `path`. Undefined for a peer that
   * this replica does not hear now: it is stopped or isolated, or the message was lost.
   */
  async ask(path: string, text: string, request_id?: string): Promise<string | undefined> {
    const answer = path.startsWith("/peer")
      ? await this.#peer(path, text)
      : await this.#client(path, text, request_id);
    if (answer === undefined || typeof answer === "string") return answer;
    if (answer instanceof Response) throw new Error(`${path} is answered by a stream: fetch it`);
    return JSON.stringify(answer);
  }

  /** A call that is answered by a stream, or else by JSON with status 409; or by a socket. */
  override async fetch(request: Request): Promise<Response> {
    const path = pathOf(request.url);
    if (path === "/hints") return this.#listen(new URL(request.url).searchParams);
    const answer = STREAMED.has(path) ? await this.#client(path, await request.text()) : undefined;
    if (answer === undefined) return new Response(`no such stream: ${path}`, { status: 404 });
    return answer instanceof Response ? answer : Response.json(answer, { status: 409 });
  }

  /** What the router wants. */
  async #client(path: string, text: string, request_id?: string): Promise<object> {
    const founder = this.#born();
    const body: unknown = JSON.parse(text);
    if (path === "/fault") return this.#applyFault(body as Fault, request_id);
    if (this.#fault.stopped) return STOPPED;
    const engine = this.#entered();
    if (path === "/observe") return this.#observe(body as Observe, founder, engine);
    if (!engine) return founder.declined;
    if (path === "/membership") {
      await engine.rouse();
      return engine.change(body as Change);
    }
    if (this.#orders.retired(this.#now())) return RETIRED;
    return this.#orders.during(() => this.#serve(path, body, engine));
  }

  /** An event has come in: the engine that takes it, if there is one. */
  #entered(): Engine | undefined {
    const engine = this.#awake();
    engine?.chain.entered(this.#now());
    return engine;
  }

  override webSocketClose(socket: WebSocket): void {
    this.#hints.left(ownerOf(socket).worker_id, socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.webSocketClose(socket);
  }

  /** A worker that would wait here for work; it is turned away unless this replica leads, or led when all fell asleep. */
  async #listen(parameters: URLSearchParams): Promise<Response> {
    const founder = this.#born();
    if (this.#fault.stopped) return Response.json(STOPPED);
    const engine = this.#entered();
    if (!engine) return Response.json(founder.declined);
    // Asked although another one led: that one did not answer.
    if (engine.leader !== engine.id) await engine.rouse();
    if (engine.leader !== engine.id) return Response.json(engine.notLeader());
    const listener = {
      worker_id: parameters.get("worker_id") ?? "",
      boot_id: parameters.get("boot_id") ?? "",
    };
    const refused = engine.deaf(listener);
    if (refused) return Response.json(refused);
    this.#store.touch();
    const { socket, response } = openSocket(this.ctx, listener);
    engine.listen(listener, socket);
    return response;
  }

  override async alarm(): Promise<void> {
    this.#born();
    await this.#awake()?.alarm();
  }

  /** What clients want. */
  async #serve(path: string, body: unknown, engine: Engine): Promise<object> {
    if (wakes(path, body)) await engine.rouse();
    switch (path) {
      case "/propose": {
        const { command, wait_ms } = body as Propose;
        const answer = await engine.propose(command, wait_ms);
        if (answer.type !== "appended") return answer;
        return { ...answer, replicated: engine.tail.replicated(answer.index) };
      }
      case "/pull":
        return engine.pull(body as Pull);
      case "/heartbeat": {
        const result = engine.heartbeat(body as WorkerHeartbeat);
        return "type" in result ? result : this.#answer(engine, result);
      }
      case "/read": {
        const { query, consistency } = body as Read;
        const refusal = await this.#readable(engine, consistency);
        return refusal ?? this.#answer(engine, engine.query(query));
      }
      case "/events": {
        const asked = body as ReadEvents;
        const refusal = await this.#readable(engine, asked.consistency);
        return refusal ?? eventsOf(engine, asked);
      }
      case "/ephemeral":
        return engine.ephemeral((body as Ephemeral).event) ?? this.#answer(engine, null);
      case "/checkpoint": {
        engine.event(() => void engine.checkpoints.take());
        const taken: CheckpointTaken = { checkpoint_index: engine.checkpoints.index };
        return this.#answer(engine, taken);
      }
      case "/operations": {
        const { consistency } = body as ExportOperations;
        const refusal = await this.#readable(engine, consistency);
        return refusal ?? streamOperations(() => engine.coordinator, engine.appliedIndex);
      }
      case "/export": {
        const { consistency, export_id } = body as ExportGroup;
        const refusal = await this.#readable(engine, consistency);
        return refusal ?? streamExport(engine, this.#configuration.cluster_id, export_id);
      }
      case "/import":
        return engine.import(body as ImportLines);
      default:
        throw new Error(`no such call: ${path}`);
    }
  }

  /** Instants of this replica never go backwards. */
  #now(): number {
    this.#clock = Math.max(this.#clock, Date.now());
    return this.#clock;
  }

  #log(text: string, fields: Readonly<Record<string, string | undefined>> = {}): void {
    log({ replica: this.#name, ...fields, message: text });
  }

  /** From the id under which it was addressed: cluster id, slash, name. */
  get #name(): string {
    const name = this.ctx.id.name?.split("/").at(-1);
    if (!name) throw new Error("a replica is addressed by name: cluster id, slash, coordinator-N");
    return name;
  }

  #born(): Founder {
    this.#founder ??= new Founder({
      name: this.#name,
      configuration: this.#configuration,
      store: this.#store,
      namespace: this.#stubs,
      now: () => this.#now(),
      silenced: () => this.#silenced,
      born: () => void this.#awake()?.rouse(),
      log: (text) => this.#log(text),
    });
    return this.#founder;
  }

  /** The engine of a founded replica, brought to life if need be; a blank one goes on with its birth. */
  #awake(): Engine | undefined {
    if (this.#fault.stopped) return undefined;
    if (this.#engine) return this.#engine;
    const founder = this.#born();
    const { founding, id } = founder;
    if (!founding) {
      void founder.inquire();
      return undefined;
    }
    const { commit } = this.#store.hardState();
    this.#log(`replica: started last_index=${this.#store.log.lastIndex} commit_hint=${commit}`);
    const engine = new Engine({
      configuration: this.#configuration,
      founding,
      id,
      name: this.#name,
      store: this.#store,
      namespace: this.#stubs,
      link: this.#link,
      now: () => this.#now(),
      sync: () => this.ctx.storage.sync(),
      abort: (reason) => this.ctx.abort(reason),
      blank: (id, incarnation) => void founder.inform(id, incarnation),
      report: (text) => this.#log(`peers: ${text}`),
      log: (text) => this.#log(text),
      retire: (until) => this.#orders.retire(until),
      removed: () => this.#leave(),
      hints: this.#hints,
      setAlarm: (at) =>
        void (at === undefined
          ? this.ctx.storage.deleteAlarm()
          : this.ctx.storage.setAlarm(Math.max(at, Date.now() + 1))),
      observe: (observation) => this.#observations.note(observation),
    });
    this.#engine = engine;
    this.#deafen();
    this.#deafen = this.#observations.listen((observation) => engine.subscribers.observed(observation));
    engine.event(() => {});
    return engine;
  }

  /** What other replicas want. Undefined while this one does not hear them. */
  async #peer(path: string, text: string): Promise<string | object | undefined> {
    const founder = this.#born();
    if (this.#silenced) return undefined;
    const engine = this.#entered();
    const degraded = this.#link.degraded;
    if (degraded && !(await this.#link.passes())) return undefined;
    // A fault may have come in meanwhile.
    if (degraded && (this.#silenced || this.#engine !== engine)) return undefined;
    const answer = await this.#heard(path, text, founder, engine);
    return degraded && !(await this.#link.passes()) ? undefined : answer;
  }

  get #silenced(): boolean {
    return this.#fault.stopped || this.#fault.isolated;
  }

  async #heard(
    path: string,
    text: string,
    founder: Founder,
    engine: Engine | undefined,
  ): Promise<string | object> {
    if (path === "/peer/hello") {
      this.#store.touch();
      return founder.introduction;
    }
    if (path === "/peer/found") {
      founder.hear(JSON.parse(text) as Told);
      return { v: FORMAT_VERSION };
    }
    if (path === "/peer/member") {
      this.#store.touch();
      return this.#orders.take(JSON.parse(text) as Order, founder, this.#now(), () => this.#leave());
    }
    const { founding, id } = founder;
    if (!engine || !founding) {
      return { v: FORMAT_VERSION, type: "blank", incarnation: founder.incarnation } satisfies PeerAnswer;
    }
    const body = JSON.parse(text) as PeerBody;
    checkVersion(`message of ${body.from}`, body);
    if (body.founding_id !== founding.founding_id || body.to !== id) {
      const detail = `it is ${id} of founding ${founding.founding_id}; the message was for ${body.to} of ${body.founding_id}`;
      if (!this.#dropped.has(body.from + body.to)) {
        this.#dropped.add(body.from + body.to);
        this.#log(`peers: messages of ${body.from} are dropped: ${detail}`);
      }
      return { v: FORMAT_VERSION, type: "mismatch", detail } satisfies PeerAnswer;
    }
    if (engine.coordinator.member(body.from)?.role === "removed") {
      return { v: FORMAT_VERSION, type: "removed" } satisfies PeerAnswer;
    }
    switch (path) {
      case "/peer/rouse":
        this.#store.touch();
        return { v: FORMAT_VERSION, roused: engine.roused() };
      case "/peer/read-index":
        return engine.grantAsLeader();
      case "/peer/ephemeral":
        engine.subscribers.ephemeral(body.events ?? []);
        return encodeAnswer([], engine.subscribers.listening);
      case "/peer/transfer": {
        const { request: step } = body as PeerBody & { readonly request: TransferRequest };
        return { v: FORMAT_VERSION, answer: engine.transfer(body.from, step) };
      }
    }
    const messages = engine.answer(body.from, body.messages);
    if (body.answer === "response") return encodeAnswer(messages, engine.subscribers.listening);
    if (messages.length > 0) void engine.peers.post(body.from, messages);
    return encodeAnswer([], engine.subscribers.listening);
  }

  /** This replica was removed: it forgets that it ever took part, and may come back as another one. */
  #leave(): void {
    const { founding, incarnation } = this.#born();
    if (!founding) return;
    const { founding_id } = founding;
    this.#log(`birth: removed from the group founding_id=${founding_id} incarnation=${incarnation}`);
    this.#engine?.close({ ...RETIRED, detail: "this replica was removed from the group" });
    this.#engine = undefined;
    this.#founder = undefined;
    this.#store.leave({ founding_id, incarnation });
    this.#store = new Store(this.ctx.storage);
    this.#orders = new Orders();
  }

  async #readable(engine: Engine, consistency: Read["consistency"]): Promise<Declined | undefined> {
    if (consistency === "leader" && !engine.leadership.ready) return engine.notLeader();
    if (consistency === "linearizable") {
      const grant = await engine.grant();
      if (grant.type !== "granted") return grant;
      if (!(await engine.reached(grant.index, CATCH_UP_MS_MAX))) {
        if (this.#fault.stopped) return STOPPED;
        return {
          type: "unavailable",
          code: "no-leader",
          detail: `this replica has applied ${engine.appliedIndex} of the ${grant.index} entries that the read must see`,
          retry_after_ms: 1000,
        };
      }
    }
    if (this.#engine !== engine) return STOPPED;
    this.#store.touch();
    return undefined;
  }

  #answer(engine: Engine, result: unknown): Answer {
    return { type: "answer", applied_index: engine.appliedIndex, result };
  }

  #observe({ what }: Observe, founder: Founder, engine: Engine | undefined): Answer {
    const view = {
      name: this.#name,
      configuration: this.#configuration,
      store: this.#store,
      engine,
      waiting: founder.waitingFor,
      isolated: this.#fault.isolated,
      now: this.#now(),
    };
    const result =
      what === "health"
        ? healthOf(view)
        : what === "status"
          ? statusOf(view)
          : what === "metrics"
            ? metricsOf(view)
            : what === "cluster"
              ? clusterOf(view)
              : (engine?.leadership ?? { name: view.name, term: 0, leads: false, ready: false });
    return { type: "answer", applied_index: engine?.appliedIndex ?? 0, result };
  }

  #applyFault(fault: Fault, request_id: string | undefined): Answer {
    const before = this.#fault;
    this.#log(`fault: ${fault.action}`, { request_id });
    switch (fault.action) {
      case "stop":
        this.#fault = { ...before, stopped: true };
        this.#engine?.close(STOPPED);
        this.#engine = undefined;
        break;
      case "start":
        this.#fault = { ...before, stopped: false };
        break;
      case "isolate":
        this.#fault = { ...before, isolated: true };
        break;
      case "heal":
        this.#fault = { ...before, isolated: false, delay_ms: 0, drop_rate: 0 };
        break;
      case "degrade":
        this.#fault = { ...before, delay_ms: fault.delay_ms ?? 0, drop_rate: fault.drop_rate ?? 0 };
        break;
      case "reset":
        // After the answer is out. Nothing in memory survives; but workerd never lets go of an object that is aborted in
        // the middle of a stream, so streams of events end a turn before. (An export would be such a stream, too.)
        setTimeout(() => {
          this.#engine?.subscribers.endStreams();
          setTimeout(() => this.ctx.abort("reset by a fault request"), 0);
        }, 0);
        break;
    }
    if (this.#fault !== before) this.#store.setState("fault", this.#fault);
    if (!this.#fault.stopped && !this.#fault.isolated) this.#awake();
    return { type: "answer", applied_index: 0, result: this.#fault };
  }
}
