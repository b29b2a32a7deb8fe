/**
 * The Durable Object: one replica of the group. It knows who it is, keeps faults, is born, and then hands every event
 * to its {@link Engine}. Reached by stubs only: by the router (rpc.ts) and by its peers (`/peer…`).
 */
import { DurableObject } from "cloudflare:workers";
import { type Configuration, parseConfiguration, replicaNames } from "../api/configuration.ts";
import { log } from "../api/log.ts";
import { birth, type Founding, type Introduction } from "./birth.ts";
import { checkVersion, encodeAnswer, FORMAT_VERSION, type PeerAnswer, type PeerBody } from "./codec.ts";
import { Engine } from "./engine.ts";
import { streamEvents } from "./events.ts";
import { metricsOf } from "./metrics.ts";
import { healthOf, statusOf } from "./observe.ts";
import type { ReplicaNamespace } from "./peers.ts";
import type { Grant } from "./reads.ts";
import type {
  Answer,
  Declined,
  Fault,
  Observe,
  Propose,
  Pull,
  Read,
  ReadEvents,
  WorkerHeartbeat,
} from "./rpc.ts";
import { REPLICA_HEADER, REQUEST_ID_HEADER } from "./rpc.ts";
import { type FaultState, NO_FAULT, Store } from "./store.ts";

export interface Env {
  readonly REPLICA: DurableObjectNamespace;
}

const STOPPED: Declined = { type: "stopped" };
/** How long a read waits for this replica to catch up with the index it was granted. */
const CATCH_UP_MS_MAX = 2000;

/** The body of `/events` is not a union: there, the status tells an answer from a refusal. */
function declined(path: string, refusal: Declined): Response {
  return Response.json(refusal, path === "/events" ? { status: 409 } : {});
}

export class Replica extends DurableObject<Env> {
  readonly configuration: Configuration;
  #store: Store;
  #engine: Engine | undefined;
  #fault: FaultState;
  #identity: { readonly name: string; readonly incarnation: string } | undefined;
  #founding: Founding | undefined;
  /** Why this replica is not part of the group, in words. */
  #waiting: { readonly code: "not-founded" | "storage-lost"; readonly reason: string } | undefined;
  #inquiring: Promise<void> | undefined;
  #inquiredAt = Number.NEGATIVE_INFINITY;
  #clock = 0;
  /** Incarnations already reported as having lost their storage. */
  readonly #strangers = new Set<string>();

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.configuration = parseConfiguration(env as unknown as Record<string, unknown>);
    this.#store = new Store(context.storage);
    this.#identity = this.#store.state("identity");
    this.#founding = this.#store.state("founding");
    this.#fault = this.#store.state("fault") ?? NO_FAULT;
  }

  override async fetch(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    const identity = this.#identify();
    if (path === "/fault") return this.#applyFault((await request.json()) as Fault, request);
    if (this.#fault.stopped) {
      if (path.startsWith("/peer")) return new Response("stopped", { status: 503 });
      return declined(path, STOPPED);
    }
    const engine = this.#awake();
    engine?.chain.entered(this.#now());
    if (path.startsWith("/peer")) {
      if (this.#fault.isolated) return new Response("isolated", { status: 503 });
      return this.#peer(path, request, identity, engine);
    }
    const body: unknown = await request.json();
    if (path === "/observe") return this.#observe(body as Observe, engine);
    if (!engine) return declined(path, this.#unfounded());
    switch (path) {
      case "/propose": {
        const { command } = body as Propose;
        if ("worker_id" in command && "boot_id" in command) engine.heard(command.worker_id, command.boot_id);
        return Response.json(await engine.propose(command));
      }
      case "/pull":
        return Response.json(await engine.pull(body as Pull));
      case "/heartbeat": {
        const result = engine.heartbeat(body as WorkerHeartbeat);
        return Response.json("type" in result ? result : this.#answer(engine, result));
      }
      case "/read": {
        const { query, consistency } = body as Read;
        const refusal = await this.#readable(engine, consistency);
        return Response.json(refusal ?? this.#answer(engine, engine.coordinator.query(query)));
      }
      case "/events": {
        const { after, limit, consistency } = body as ReadEvents;
        const refusal = await this.#readable(engine, consistency);
        if (refusal) return declined(path, refusal);
        return streamEvents(engine.coordinator, engine.appliedIndex, after ?? 0, limit);
      }
      default:
        return new Response(`no such call: ${path}`, { status: 404 });
    }
  }

  /** Instants of this replica never go backwards. */
  #now(): number {
    this.#clock = Math.max(this.#clock, Date.now());
    return this.#clock;
  }

  #log(text: string, fields: Readonly<Record<string, string | undefined>> = {}): void {
    log({ replica: this.#identity?.name ?? "", ...fields, message: text });
  }

  /** On its first event a replica stores its name and a random incarnation. */
  #identify(): { readonly name: string; readonly incarnation: string } {
    if (this.#identity) return this.#identity;
    const name = this.ctx.id.name?.split("/").at(-1);
    if (!name) throw new Error("a replica is addressed by name: cluster id, slash, coordinator-N");
    const incarnation = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    this.#identity = { name, incarnation };
    this.#store.setState("identity", this.#identity);
    this.#log(`birth: new replica incarnation=${incarnation}`);
    return this.#identity;
  }

  /** The engine of a founded replica, brought to life if need be; a blank one goes on with its birth. */
  #awake(): Engine | undefined {
    if (this.#engine) return this.#engine;
    const identity = this.#identify();
    if (!this.#founding) {
      void this.#inquire();
      return undefined;
    }
    const engine = new Engine({
      configuration: this.configuration,
      founding: this.#founding,
      id: `${identity.name}.${identity.incarnation}`,
      name: identity.name,
      store: this.#store,
      namespace: this.#namespace(),
      fault: () => this.#fault,
      now: () => this.#now(),
      sync: () => this.ctx.storage.sync(),
      abort: (reason) => this.ctx.abort(reason),
      blank: (name, incarnation) => void this.#informBlank(name, incarnation),
      report: (text) => this.#log(`peers: ${text}`),
      log: (text) => this.#log(text),
    });
    this.#engine = engine;
    this.#waiting = undefined;
    const { commit } = this.#store.hardState();
    this.#log(`replica: started last_index=${this.#store.lastIndex} commit_hint=${commit}`);
    engine.event(() => {});
    return engine;
  }

  #namespace(): ReplicaNamespace {
    const { cluster_id, location_hints } = this.configuration;
    const names = replicaNames(this.configuration);
    return {
      call: (name, path, body, timeout_ms) => {
        const hint = location_hints[names.indexOf(name)];
        const id = this.env.REPLICA.idFromName(`${cluster_id}/${name}`);
        // A stub costs nothing to make, and one that threw stays broken: each call takes its own.
        const stub = this.env.REPLICA.get(
          id,
          hint ? { locationHint: hint as DurableObjectLocationHint } : undefined,
        );
        return stub.fetch(`https://replica${path}`, {
          method: "POST",
          body,
          headers: { [REPLICA_HEADER]: name },
          signal: AbortSignal.timeout(timeout_ms),
        });
      },
    };
  }

  async #peer(
    path: string,
    request: Request,
    identity: { readonly name: string; readonly incarnation: string },
    engine: Engine | undefined,
  ): Promise<Response> {
    if (path === "/peer/hello") {
      this.#store.touch();
      const introduction: Introduction = {
        v: FORMAT_VERSION,
        ...identity,
        ...(this.#founding ? { founding: this.#founding } : {}),
      };
      return Response.json(introduction);
    }
    if (path === "/peer/found") {
      const founding = (await request.json()) as Founding;
      checkVersion("a founding", founding);
      this.#consider([{ v: FORMAT_VERSION, name: "", incarnation: "", founding }]);
      return Response.json({ v: FORMAT_VERSION });
    }
    if (!engine || !this.#founding) {
      const blank: PeerAnswer = { v: FORMAT_VERSION, type: "blank", incarnation: identity.incarnation };
      return Response.json(blank);
    }
    const body = (await request.json()) as PeerBody;
    checkVersion(`message of ${body.from}`, body);
    const self = `${identity.name}.${identity.incarnation}`;
    if (body.founding_id !== this.#founding.founding_id || body.to !== self) {
      const detail = `it is ${self} of founding ${this.#founding.founding_id}; the message was for ${body.to} of ${body.founding_id}`;
      this.#log(`peers: dropped a message of ${body.from}: ${detail}`);
      return Response.json({ v: FORMAT_VERSION, type: "mismatch", detail } satisfies PeerAnswer);
    }
    // Reading the body was an await: a fault may have come in between.
    if (this.#engine !== engine || this.#fault.isolated) return new Response("gone", { status: 503 });
    if (path === "/peer/read-index") return Response.json(await engine.grantAsLeader());
    const messages = engine.answer(body.from, body.messages);
    if (body.answer === "response") return new Response(encodeAnswer(messages));
    if (messages.length > 0) void engine.peers.post(body.from, messages);
    return new Response(encodeAnswer([]));
  }

  async #readable(engine: Engine, consistency: Read["consistency"]): Promise<Declined | undefined> {
    if (consistency === "leader" && !engine.leadership.ready) return engine.notLeader();
    if (consistency === "linearizable") {
      const grant = await engine.grant((leader) => this.#askLeader(engine, leader));
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

  async #askLeader(engine: Engine, leader: string): Promise<Grant> {
    const { founding, identity } = { founding: this.#founding, identity: this.#identify() };
    const member = founding?.members.find((candidate) => candidate.name === leader);
    if (!founding || !member || this.#fault.isolated) return engine.notLeader();
    engine.chain.countSubrequest();
    const body = JSON.stringify({
      v: FORMAT_VERSION,
      cluster_id: founding.cluster_id,
      founding_id: founding.founding_id,
      from: `${identity.name}.${identity.incarnation}`,
      to: `${member.name}.${member.incarnation}`,
    });
    try {
      const timeout = 2 * this.configuration.loyalty_ms;
      const response = await this.#namespace().call(leader, "/peer/read-index", body, timeout);
      if (!response.ok) return engine.notLeader();
      const grant = (await response.json()) as Grant;
      return grant.type === "stopped" ? engine.notLeader() : grant;
    } catch {
      // The leader is gone or slow; the caller asks again, by then perhaps of another.
      return engine.notLeader();
    }
  }

  #answer(engine: Engine, result: unknown): Answer {
    return { type: "answer", applied_index: engine.appliedIndex, result };
  }

  #unfounded(): Declined {
    const { code, reason } = this.#waiting ?? {
      code: "not-founded" as const,
      reason: "the founding has begun",
    };
    return { type: "unavailable", code, detail: reason, retry_after_ms: 500 };
  }

  #observe({ what }: Observe, engine: Engine | undefined): Response {
    const view = {
      name: this.#identify().name,
      configuration: this.configuration,
      store: this.#store,
      engine,
      waiting: this.#waiting?.reason ?? (this.#founding ? undefined : "the founding has begun"),
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
            : (engine?.leadership ?? { name: view.name, term: 0, leads: false, ready: false });
    return Response.json({
      type: "answer",
      applied_index: engine?.appliedIndex ?? 0,
      result,
    } satisfies Answer);
  }

  /** Asks the others who they are, at most once per retry interval; a blank first replica goes on until it has founded. */
  #inquire(): Promise<void> {
    const { recovery_retry_ms } = this.configuration;
    if (this.#inquiring) return this.#inquiring;
    if (this.#now() - this.#inquiredAt < recovery_retry_ms || this.#fault.isolated) return Promise.resolve();
    this.#inquiredAt = this.#now();
    const { name } = this.#identify();
    const names = replicaNames(this.configuration);
    const questions = names.filter((other) => other !== name).map((other) => this.#introductionOf(other));
    this.#inquiring = Promise.all(questions).then((answers) => {
      this.#inquiring = undefined;
      if (this.#fault.stopped || this.#founding) return;
      this.#consider(answers.flatMap((answer) => answer ?? []));
      if (!this.#founding && name === names[0]) setTimeout(() => void this.#inquire(), recovery_retry_ms + 1);
    });
    return this.#inquiring;
  }

  async #introductionOf(name: string): Promise<Introduction | undefined> {
    try {
      const response = await this.#namespace().call(name, "/peer/hello", "{}", 2000);
      if (!response.ok) return undefined;
      const introduction = (await response.json()) as Introduction;
      checkVersion(`introduction of ${name}`, introduction);
      return introduction;
    } catch {
      // No answer is an answer: the founding waits for this replica, and health says so.
      return undefined;
    }
  }

  #consider(answers: readonly Introduction[]): void {
    if (this.#founding) return;
    const { cluster_id } = this.configuration;
    const decision = birth({ ...this.#identify(), cluster_id }, replicaNames(this.configuration), answers);
    switch (decision.type) {
      case "wait":
        if (this.#waiting?.reason !== decision.reason) this.#log(`birth: ${decision.reason}`);
        this.#waiting = { code: "not-founded", reason: decision.reason };
        return;
      case "lost": {
        const reason =
          `storage lost: the group knows this replica as incarnation ${decision.known_as}, ` +
          "and its log is gone; an operator must replace it";
        if (this.#waiting?.reason !== reason) this.#log(`birth: ${reason}`);
        this.#waiting = { code: "storage-lost", reason };
        return;
      }
      case "adopt":
        this.#store.setState("founding", decision.founding);
        this.#founding = decision.founding;
        this.#log(`birth: joined founding_id=${decision.founding.founding_id}`);
        break;
      case "found": {
        const founding = { cluster_id, founding_id: crypto.randomUUID(), members: decision.members };
        // Stored first: the platform holds the messages to the others back until it is durable.
        this.#store.setState("founding", founding);
        this.#founding = { v: FORMAT_VERSION, ...founding };
        this.#log(`birth: founded founding_id=${founding.founding_id} members=${decision.members.length}`);
        for (const { name, incarnation } of decision.members) {
          if (name !== this.#identify().name) void this.#informBlank(name, incarnation);
        }
      }
    }
    this.#awake();
  }

  /** Sends the founding to a blank replica that it names; any other blank one has lost its storage, and is told so too. */
  async #informBlank(name: string, incarnation: string): Promise<void> {
    const founding = this.#founding;
    if (!founding || this.#fault.isolated) return;
    const known = founding.members.find((member) => member.name === name)?.incarnation;
    if (known !== incarnation && !this.#strangers.has(incarnation)) {
      this.#strangers.add(incarnation);
      this.#log(
        `birth: ${name} answers as incarnation ${incarnation}, the group knows ${known}: it lost its storage`,
      );
    }
    try {
      await this.#namespace().call(name, "/peer/found", JSON.stringify(founding), 2000);
    } catch {
      // It is told again as soon as it answers a message as blank.
    }
  }

  #applyFault(fault: Fault, request: Request): Response {
    const before = this.#fault;
    const request_id = request.headers.get(REQUEST_ID_HEADER) ?? undefined;
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
        // After the answer is out. Nothing in memory survives.
        setTimeout(() => this.ctx.abort("reset by a fault request"), 0);
        break;
    }
    if (this.#fault !== before) this.#store.setState("fault", this.#fault);
    if (before.stopped && !this.#fault.stopped) {
      this.#store = new Store(this.ctx.storage);
      this.#awake();
    }
    return Response.json({ type: "answer", applied_index: 0, result: this.#fault } satisfies Answer);
  }
}
