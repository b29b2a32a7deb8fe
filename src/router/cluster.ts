/** The group as one request sees it: commands, reads and observations, with failures already in words. */
import { type Configuration, replicaNames } from "../api/configuration.ts";
import { log } from "../api/log.ts";
import { NODE_ID } from "../api/members.ts";
import { type Problem, problem } from "../api/problem.ts";
import type { Command, Refused } from "../coordinator/commands.ts";
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
import { openSocket, startAttempt } from "./attempt.ts";
import { type ForwardCall, Forwarding } from "./forwarding.ts";
import { type Group, probeLeader } from "./group.ts";
import type { Transport } from "./transport.ts";

/** The contract's deadline is 5 s at the client; this leaves some of it for the way back. */
export const FORWARD_MS = 4_800;
/** What is left of the deadline when a write is answered by what is known of it. */
const ANSWER_SLACK_MS = 300;
const OBSERVE_MS = 2_000;
const CREATE_MS = 1_000;
/** An unknown name makes the router ask who takes part, but not more often. */
const ASK_AGAIN_MS = 500;
/** A replica that is to be removed may finish its work, and others may take their time. */
const CHANGE_MS = 35_000;
const FAULT_RETRY_PAUSE_MS = 50;
const HINT_PAUSE_MS = 50;

/** A value, or the problem that stands in its place. */
export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

interface IsolateMemory {
  readonly hint: Group["hint"];
  /** Who takes part, as far as this isolate has heard, and the entry that says so. */
  members: { readonly names: readonly ReplicaName[]; readonly index: number } | undefined;
  askedAt: number;
  created: boolean;
  /** Somebody is creating until then: a request that is cut off does not finish it. */
  creatingUntil: number;
}

/** Shared by all requests of an isolate: beliefs only, nothing that a request waits for. */
const memories = new Map<string, IsolateMemory>();

function memoryOf(cluster_id: string): IsolateMemory {
  const known = memories.get(cluster_id);
  if (known !== undefined) return known;
  const memory = {
    hint: { leader: undefined },
    members: undefined,
    askedAt: 0,
    created: false,
    creatingUntil: 0,
  };
  memories.set(cluster_id, memory);
  return memory;
}

export function stoppedProblem(replica: ReplicaName): Problem {
  return problem(
    "replica-stopped",
    `${replica} was stopped by an operator; start it, or ask another replica`,
  );
}

/** Replicas learn of members as they apply the log: of two that differ, the newer one counts. */
function learn(memory: IsolateMemory, { members, members_index }: Leadership): void {
  if (members === undefined || members_index === undefined) return;
  if (memory.members !== undefined && memory.members.index >= members_index) return;
  memory.members = { names: members, index: members_index };
}

function unreachableProblem(replica: ReplicaName, detail: string): Problem {
  return problem("replica-unreachable", `${replica} does not answer (${detail})`);
}

export class Cluster {
  readonly #configured: readonly ReplicaName[];
  readonly #group: Group;
  readonly #memory: IsolateMemory;
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
    this.#configured = replicaNames(configuration);
    const memory = memoryOf(configuration.cluster_id);
    this.#memory = memory;
    const names = (): readonly ReplicaName[] => this.names;
    this.#request_id = request_id;
    this.#own = own;
    this.#group = {
      get names() {
        return names();
      },
      transport,
      loyalty_ms: configuration.loyalty_ms,
      hint: memory.hint,
      learn: (seen) => learn(memory, seen),
      log: (event) => log({ replica: "router", ...event }),
    };
  }

  /** Who takes part, as far as is known here: the configured replicas until one of them has said more. */
  get names(): readonly ReplicaName[] {
    return this.#memory.members?.names ?? this.#configured;
  }

  /** Whether there is such a replica. Of a name that is new here the group itself is asked. */
  async knows(name: ReplicaName): Promise<boolean> {
    if (this.names.includes(name)) return true;
    // One that founded the group has its routes also when it takes part no longer: it says so there.
    if (this.#configured.includes(name)) return true;
    const memory = this.#memory;
    if (!NODE_ID.test(name) || Date.now() - memory.askedAt < ASK_AGAIN_MS) return false;
    memory.askedAt = Date.now();
    await this.leadership();
    return this.names.includes(name);
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

  /**
   * Location hints count only where an object is first asked for: the router asks before any peer does. Nobody waits
   * for the answers.
   */
  create(): void {
    const memory = this.#memory;
    if (memory.created || Date.now() < memory.creatingUntil) return;
    memory.creatingUntil = Date.now() + CREATE_MS;
    const body = { what: "leadership" };
    const asked = this.names.map((name) => this.#attempt(name, "/observe", body, CREATE_MS).result);
    void Promise.all(asked).then((answers) => {
      memory.created = true;
      for (const answer of answers) {
        if (answer.type !== "answer") continue;
        const seen = (answer.value as Answer<Leadership>).result;
        memory.hint.leader ??= seen.leader;
        learn(memory, seen);
      }
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
  async hints(listener: {
    readonly worker_id: string;
    readonly boot_id: string;
  }): Promise<Result<Response | Refused>> {
    const path = `/hints?${new URLSearchParams(listener)}`;
    const group = this.#group;
    let leader = group.hint.leader;
    while (Date.now() < this.deadline) {
      if (leader === undefined) {
        const found = await this.leadership();
        leader = found?.leads === true ? found.name : found?.leader;
      }
      if (leader === undefined) break;
      const asked = await openSocket(group.transport, leader, path, this.#request_id, this.deadline);
      if (asked.type === "open") return { ok: true, value: asked.response };
      if (asked.type === "refused") return { ok: true, value: asked };
      if (asked.type === "not-leader" && asked.leader !== undefined && asked.leader !== leader) {
        leader = asked.leader;
        continue;
      }
      await new Promise((resolve) => setTimeout(resolve, HINT_PAUSE_MS));
      // Anybody else: it finds out, and wakes the others for it, whether there is another leader.
      leader = this.names[(this.names.indexOf(leader) + 1) % this.names.length];
    }
    return { ok: false, problem: problem("no-leader", "no leader was found at which the worker could wait") };
  }

  heartbeat(beat: WorkerHeartbeat): Promise<Result<Answer<HeartbeatResult> | RefusedAnswer>> {
    return this.#forward({ path: "/heartbeat", body: beat, writes: true });
  }

  /** A change of who takes part or who leads, made by the leader. */
  async change(change: Change): Promise<Result<Changed>> {
    if (change.change === "add") {
      // Location hints count only where an object is first asked for, and the leader's question comes after this one.
      const { node_id, location_hint } = change;
      const call = { path: "/observe", body: JSON.stringify({ what: "leadership" }) };
      await startAttempt(this.#group.transport, node_id, {
        ...call,
        request_id: this.#request_id,
        timeout_ms: OBSERVE_MS,
        ...(location_hint === undefined ? {} : { location_hint }),
      }).result;
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

  async #ask<Value>(
    replica: ReplicaName,
    path: string,
    body: object,
    timeout_ms: number,
  ): Promise<Result<Value>> {
    if (replica === this.#own) this.#ownAsked = true;
    const answer = await this.#attempt(replica, path, body, timeout_ms).result;
    switch (answer.type) {
      case "answer":
        return { ok: true, value: (answer.value as Answer<Value>).result };
      case "stopped":
        return { ok: false, problem: stoppedProblem(replica) };
      case "broken":
        return { ok: false, problem: unreachableProblem(replica, answer.detail) };
      case "unavailable":
        return { ok: false, problem: problem(answer.code, answer.detail) };
      default:
        return { ok: false, problem: unreachableProblem(replica, `it answers ${answer.type}`) };
    }
  }

  /** Who leads, by the highest term among those who answer. */
  async leadership(): Promise<Leadership | undefined> {
    const found = await probeLeader(this.#group, this.#request_id, OBSERVE_MS);
    if (found?.leads === true) this.#memory.hint.leader = found.name;
    return found;
  }

  /** Repeated until the replica confirms it. A reset destroys whoever would confirm it. */
  async fault(replica: ReplicaName, fault: Fault): Promise<Result<unknown>> {
    const { deadline } = this;
    for (;;) {
      const { result } = this.#attempt(replica, "/fault", fault, Math.max(1, deadline - Date.now()));
      const answer = await result;
      if (answer.type === "answer") return { ok: true, value: (answer.value as Answer).result };
      if (fault.action === "reset" && answer.type === "broken") return { ok: true, value: {} };
      const detail = answer.type === "broken" ? answer.detail : `it answers ${answer.type}`;
      if (Date.now() + FAULT_RETRY_PAUSE_MS >= deadline) {
        return { ok: false, problem: unreachableProblem(replica, detail) };
      }
      await new Promise((resolve) => setTimeout(resolve, FAULT_RETRY_PAUSE_MS));
    }
  }

  #attempt(replica: ReplicaName, path: string, body: unknown, timeout_ms: number) {
    const call = { path, body: JSON.stringify(body), request_id: this.#request_id, timeout_ms };
    return startAttempt(this.#group.transport, replica, call);
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
