/** The group as one request sees it: commands, reads and observations, with failures already in words. */
import type { Configuration } from "../api/configuration.ts";
import { log } from "../api/log.ts";
import { problem, type Result } from "../api/problem.ts";
import type { Command } from "../coordinator/commands.ts";
import type { Refused } from "../coordinator/outcomes.ts";
import type {
  Answer,
  Appended,
  Applied,
  Change,
  Changed,
  ChangeRefused,
  CheckpointTaken,
  Compacted,
  Consistency,
  Ephemeral,
  ExportGroup,
  ExportOperations,
  Fault,
  HeartbeatResult,
  ImportLines,
  Leadership,
  Observe,
  Propose,
  Pull,
  Query,
  QueryAnswers,
  ReadEvents,
  RefusedAnswer,
  ReplicaName,
  WorkerHeartbeat,
} from "../replica/rpc.ts";
import { ask, askOnce, setFault, stoppedProblem, unreachableProblem } from "./asking.ts";
import { Beliefs } from "./beliefs.ts";
import { type ForwardCall, Forwarding } from "./forwarding.ts";
import { type Group, probeLeader } from "./group.ts";
import { listenAtLeader } from "./listening.ts";
import type { Transport } from "./transport.ts";

/** The contract's deadline is 5 s at the client; this leaves some of it for the way back. */
export const FORWARD_MS = 4_800;
/** What is left of the deadline when a write is answered by what is known of it. */
const ANSWER_SLACK_MS = 300;
const OBSERVE_MS = 2_000;
/** A replica that is to be removed may finish its work, and others may take their time. */
const CHANGE_MS = 35_000;

export class Cluster {
  readonly #group: Group;
  readonly #beliefs: Beliefs;
  readonly #request_id: string;
  /** The replica whose own routes were asked for, if any. */
  readonly #own: ReplicaName | undefined;
  /** The request itself is a read, whatever is read for its sake. */
  readonly #reads: boolean;
  /** Whether that replica has been asked for anything yet. */
  #ownAsked = false;
  #deadline: number | undefined;

  constructor(options: {
    readonly configuration: Configuration;
    readonly transport: Transport;
    readonly request_id: string;
    readonly own: ReplicaName | undefined;
    readonly reads: boolean;
  }) {
    const { configuration, transport, request_id, own, reads } = options;
    this.#reads = reads;
    const beliefs = Beliefs.of(configuration);
    this.#beliefs = beliefs;
    this.#request_id = request_id;
    this.#own = own;
    this.#group = {
      get names() {
        return beliefs.names;
      },
      transport,
      loyalty_ms: configuration.loyalty_ms,
      hint: beliefs.hint,
      learn: (seen) => beliefs.learn(seen),
      log: (event) => log({ replica: "router", ...event }),
    };
  }

  /** Who takes part, as far as is known here: the configured replicas until one of them has said more. */
  get names(): readonly ReplicaName[] {
    return this.#beliefs.names;
  }

  /** Whether there is such a replica. Of a name that is new here the group itself is asked. */
  async knows(name: ReplicaName): Promise<boolean> {
    if (this.#beliefs.includes(name)) return true;
    if (!this.#beliefs.asksAbout(name)) return false;
    await this.leadership();
    return this.#beliefs.includes(name);
  }

  get ownAsked(): boolean {
    return this.#ownAsked;
  }

  /**
   * When this request must be answered. One instant for all its calls; it is set by the first of them, since taking in
   * the body is the client's time.
   */
  get deadline(): number {
    this.#deadline ??= Date.now() + FORWARD_MS;
    return this.#deadline;
  }

  /** The request takes so much longer on purpose. */
  extend(wait_ms: number): void {
    this.#deadline = this.deadline + wait_ms;
  }

  /** Brings the replicas into being where they are wanted. Nobody waits for it. */
  create(): void {
    this.#beliefs.create(async (name, timeout_ms) => {
      const question = { path: "/observe", body: { what: "leadership" }, timeout_ms };
      const seen = await ask<Leadership>(this.#group, name, { ...question, request_id: this.#request_id });
      return seen.ok ? seen.value : undefined;
    });
  }

  propose(command: Command): Promise<Result<Applied>> {
    return this.#forward<Applied>({ path: "/propose", body: { command }, writes: true });
  }

  /** The same, but after `wait_ms` it may be answered as appended; `undefined` is within the deadline. */
  proposeWithin(command: Command, wait_ms: number | undefined): Promise<Result<Applied | Appended>> {
    this.extend(wait_ms ?? 0);
    const patience_ms = wait_ms ?? FORWARD_MS - ANSWER_SLACK_MS;
    const body = (wait_left_ms: number): Propose => ({ command, wait_ms: wait_left_ms });
    const call = { path: "/propose", body, writes: true, wait_ms: patience_ms };
    return this.#forward<Applied | Appended>(call, (place) => ({ type: "appended", ...place }));
  }

  pull(pull: Pull): Promise<Result<Applied>> {
    const { wait_ms } = pull;
    this.extend(wait_ms);
    const body = (wait_left_ms: number): Pull => ({ ...pull, wait_ms: wait_left_ms });
    return this.#forward<Applied>({ path: "/pull", body, writes: true, wait_ms });
  }

  /** A socket at the leader, on which it tells this worker that there is something to pull. */
  hints(listener: {
    readonly worker_id: string;
    readonly boot_id: string;
  }): Promise<Result<Response | Refused>> {
    const { deadline } = this;
    const call = { request_id: this.#request_id, deadline, probe_ms: OBSERVE_MS };
    return listenAtLeader(this.#group, listener, call);
  }

  heartbeat(beat: WorkerHeartbeat): Promise<Result<Answer<HeartbeatResult> | RefusedAnswer>> {
    return this.#forward({ path: "/heartbeat", body: beat, writes: true });
  }

  /** A change of who takes part or who leads, made by the leader. */
  async change(change: Change): Promise<Result<Changed>> {
    if (change.change === "add") {
      // Location hints count only where an object is first asked for, and the leader's question comes after this one.
      const { node_id, location_hint } = change;
      const what = { path: "/observe", body: { what: "leadership" }, timeout_ms: OBSERVE_MS };
      await askOnce(this.#group, node_id, { ...what, request_id: this.#request_id, location_hint });
    }
    const wait_ms = change.change === "transfer" ? 0 : CHANGE_MS;
    this.extend(wait_ms);
    const made = await this.#forward<Changed | ChangeRefused>({
      path: "/membership",
      body: change,
      writes: true,
      wait_ms,
    });
    if (!made.ok) return made;
    const { value } = made;
    if (value.type === "change-refused") return { ok: false, problem: problem(value.code, value.detail) };
    return { ok: true, value };
  }

  /** On a replica's own routes from that replica alone, else from whichever can answer. */
  read<Type extends Query["type"]>(
    query: Extract<Query, { readonly type: Type }>,
    consistency: Consistency,
  ): Promise<Result<Answer<QueryAnswers[Type]>>> {
    return this.#forward({
      path: "/read",
      body: { query, consistency },
      writes: false,
      only: this.#own !== undefined && consistency !== "leader",
    });
  }

  /** An Ephemeral event, to those who listen. */
  ephemeral(body: Ephemeral): Promise<Result<Answer>> {
    return this.#forward<Answer>({ path: "/ephemeral", body, writes: false });
  }

  /** The body of `GET /events`, streamed. */
  events(query: ReadEvents): Promise<Result<Response | Compacted>> {
    const only = this.#own !== undefined;
    const { wait_ms = 0 } = query;
    this.extend(wait_ms);
    const body = (wait_left_ms: number): ReadEvents => ({ ...query, wait_ms: wait_left_ms });
    return this.#forward<Response | Compacted>({ path: "/events", body, writes: false, only, wait_ms });
  }

  /** Everything that clients have brought in, as JSON lines, streamed. */
  export(consistency: Consistency): Promise<Result<Response>> {
    const only = this.#own !== undefined;
    const body: ExportGroup = { consistency, export_id: crypto.randomUUID() };
    return this.#forward<Response>({ path: "/export", body, writes: false, only });
  }

  /** Part of an export is taken in. Each part has the time of a request of its own. */
  import(lines: ImportLines): Promise<Result<Applied>> {
    this.#deadline = Date.now() + FORWARD_MS;
    return this.#forward<Applied>({ path: "/import", body: lines, writes: true });
  }

  /** Every operation as JSON lines, streamed. */
  operations(query: ExportOperations): Promise<Result<Response>> {
    const only = this.#own !== undefined;
    return this.#forward<Response>({ path: "/operations", body: query, writes: false, only });
  }

  /** What one replica says of itself. Waits for nobody else. */
  observe<Value>(replica: ReplicaName, what: Observe["what"]): Promise<Result<Value>> {
    return this.#ask(replica, "/observe", { what }, OBSERVE_MS);
  }

  /** Has one replica write a checkpoint now. */
  checkpoint(replica: ReplicaName): Promise<Result<CheckpointTaken>> {
    return this.#ask(replica, "/checkpoint", {}, FORWARD_MS);
  }

  #ask<Value>(replica: ReplicaName, path: string, body: object, timeout_ms: number): Promise<Result<Value>> {
    if (replica === this.#own) this.#ownAsked = true;
    return ask(this.#group, replica, { path, body, timeout_ms, request_id: this.#request_id });
  }

  /** Who leads, by the highest term among those who answer. */
  async leadership(): Promise<Leadership | undefined> {
    const found = await probeLeader(this.#group, this.#request_id, OBSERVE_MS);
    if (found?.leads === true) this.#beliefs.hint.leader = found.name;
    return found;
  }

  fault(replica: ReplicaName, fault: Fault): Promise<Result<unknown>> {
    const { deadline } = this;
    return setFault(this.#group, replica, fault, { request_id: this.#request_id, deadline });
  }

  /** @param appended what to make of a write of which no more is known than where it was appended */
  async #forward<Value>(
    call: Omit<ForwardCall, "request_id" | "first" | "deadline">,
    appended?: (place: { readonly index: number; readonly term: number }) => Value,
  ): Promise<Result<Value>> {
    const first = this.#own === undefined ? {} : { first: this.#own };
    if (this.#own !== undefined) this.#ownAsked = true;
    const forwarded = await new Forwarding(this.#group, {
      ...call,
      ...first,
      request_id: this.#request_id,
      // A long poll made of many looks waits for none of them longer than any other call.
      deadline: Math.min(this.deadline, Date.now() + FORWARD_MS + (call.wait_ms ?? 0)),
    }).run();
    switch (forwarded.type) {
      case "answer":
        return { ok: true, value: forwarded.value as Value };
      case "stopped":
        return { ok: false, problem: stoppedProblem(forwarded.replica) };
      case "unreachable":
        return { ok: false, problem: unreachableProblem(forwarded.replica, forwarded.detail) };
      case "outcome-unknown":
        if (appended !== undefined && forwarded.place !== undefined)
          return { ok: true, value: appended(forwarded.place) };
        return { ok: false, problem: problem("commit-outcome-unknown", forwarded.detail) };
      case "unavailable": {
        const { code, retry_after_ms } = forwarded;
        const stale = this.#reads
          ? "add ?consistency=stale to read what one replica knows"
          : "nothing was accepted";
        const detail =
          code === "overloaded" || code === "too-large" ? forwarded.detail : `${forwarded.detail}; ${stale}`;
        return { ok: false, problem: problem(code, detail, { retry_after_ms }) };
      }
    }
  }
}
