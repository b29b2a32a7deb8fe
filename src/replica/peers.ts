/**
 * Messages to the other replicas: one request carries several messages, its response carries the answers. A stub that
 * threw stays broken, so it is thrown away; what became of the call is unknown, and the core is told that the peer
 * could not be reached.
 */
import type { Configuration } from "../api/configuration.ts";
import type { Founding } from "./birth.ts";
import type { Chain } from "./chain.ts";
import {
  checkVersion,
  encodeEphemeral,
  encodePeerBody,
  FORMAT_VERSION,
  type PeerAnswer,
  type PeerHeader,
  type PeerMessage,
} from "./codec.ts";
import type { Link } from "./link.ts";
import { incarnationOf, nameOf } from "./names.ts";
import type { Grant } from "./reads.ts";
import type { ReplicaNamespace } from "./stubs.ts";

/** After this many failures in a row a peer is asked only every `RECOVERY_RETRY_MS`. */
const FAILURES_BEFORE_PAUSE = 3;
/** Of Ephemeral events; beyond it the oldest are lost. */
const EVENTS_WAITING_MAX = 1_000;
const EVENTS_AT_ONCE_MAX = 100;
const EVENT_CHARACTERS_AT_ONCE = 4 * 1_048_576;
const CALL_TIMEOUT_MS_MIN = 1000;
/** Between attempts to reach a replica that is not there any more: another one bears its name. */
const GONE_RETRY_MS = 10_000;

export interface PeersOptions {
  readonly configuration: Configuration;
  readonly founding: Founding;
  /** This replica's Raft identity. */
  readonly id: string;
  readonly namespace: ReplicaNamespace;
  readonly chain: Chain;
  readonly link: Link;
  readonly now: () => number;
  /** Answers have arrived: a new event for the core. */
  readonly receive: (messages: readonly PeerMessage[]) => void;
  readonly unreachable: (peer: string) => void;
  /** Who answers in the place of `id` has no configuration: it is that one and has not heard of it, or it is another. It is told so. */
  readonly blank: (id: string, incarnation: string) => void;
  /** A peer knows for certain that this replica was removed from the group. */
  readonly removed: () => void;
  readonly report: (text: string) => void;
}

/** Why a peer takes no messages. */
class Unwilling extends Error {
  /** It will not do so later either. */
  readonly forGood: boolean;

  constructor(detail: string, forGood: boolean) {
    super(detail);
    this.forGood = forGood;
  }
}

/** Messages that answer one of this replica's own: the only ones that a response may carry. */
function isAnswer({ type }: PeerMessage): boolean {
  return type.endsWith("-response");
}

/** How many of these go in one call, whose size the platform limits: one at least. */
function atOnce(events: readonly string[]): number {
  let characters = 0;
  const beyond = events.findIndex((event, at) => {
    characters += event.length;
    return at === EVENTS_AT_ONCE_MAX || (at > 0 && characters > EVENT_CHARACTERS_AT_ONCE);
  });
  return beyond < 0 ? events.length : beyond;
}

interface PeerState {
  failures: number;
  failedAt: number;
  retryAt: number;
  heardAt: number;
  /** Somebody there wants to hear of Ephemeral events, as it said last. */
  listening: boolean;
  /** Ephemeral events that wait for those under way. */
  events: string[];
  telling: boolean;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #states = new Map<string, PeerState>();
  #capture: { readonly to: string; readonly messages: PeerMessage[] } | undefined;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Nothing is sent or delivered any more. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Runs `handle`; what it answers to `peer` is returned, to travel in the response, instead of being posted. Only
   * answers travel there: whatever asks for a promise must arrive as an event of its own, because an instance that was
   * superseded finds that out only when an event starts or when it touches storage.
   */
  answering(peer: string, handle: () => void): readonly PeerMessage[] {
    const capture = { to: peer, messages: [] };
    this.#capture = capture;
    try {
      handle();
    } finally {
      this.#capture = undefined;
    }
    return capture.messages;
  }

  send(messages: readonly PeerMessage[]): void {
    if (this.#closed) return;
    const groups = new Map<string, PeerMessage[]>();
    for (const message of messages) {
      if (this.#capture?.to === message.to && isAnswer(message)) {
        this.#capture.messages.push(message);
        continue;
      }
      const group = groups.get(message.to);
      if (group) group.push(message);
      else groups.set(message.to, [message]);
    }
    for (const [to, group] of groups) void this.post(to, group);
  }

  heardFrom(peer: string, now: number): void {
    const state = this.#state(peer);
    state.failures = 0;
    state.retryAt = 0;
    state.heardAt = now;
  }

  /** When a message of this peer last arrived; 0 if none has since this replica started. */
  heardAt(peer: string): number {
    return this.#states.get(peer)?.heardAt ?? 0;
  }

  /** All were silent for so long, and nobody was to be heard. */
  slept(slept_ms: number): void {
    for (const state of this.#states.values()) if (state.heardAt > 0) state.heardAt += slept_ms;
  }

  async post(to: string, messages: readonly PeerMessage[]): Promise<void> {
    const { configuration, namespace, chain, link, now, receive, unreachable } = this.#options;
    const state = this.#state(to);
    if (link.isolated || now() < state.retryAt || (link.degraded && !(await link.passes()))) {
      // The core may be in the middle of a batch: it learns of the failure in an event of its own.
      await Promise.resolve();
      if (!this.#closed) unreachable(to);
      return;
    }
    // Asking one that does not answer would be asking in vain.
    const answer = state.failures === 0 && chain.exhausted(now()) ? "request" : "response";
    const body = encodePeerBody(this.#header(to, answer), messages);
    chain.countSubrequest();
    const startedAt = now();
    try {
      const timeout = Math.max(CALL_TIMEOUT_MS_MIN, 2 * configuration.loyalty_ms);
      const given = JSON.parse(await namespace.ask(nameOf(to), "/peer", body, timeout)) as PeerAnswer;
      checkVersion(`answer of ${to}`, given);
      if (link.degraded && !(await link.passes())) throw new Error("the answer was lost");
      if (this.#closed || link.isolated) return;
      if (given.type === "messages") {
        this.heardFrom(to, now());
        state.listening = given.listening === true;
        const answers = given.messages.filter(isAnswer);
        if (answers.length > 0) receive(answers);
        return;
      }
      if (given.type === "blank") {
        chain.countSubrequest();
        this.#options.blank(to, given.incarnation);
        throw new Unwilling("it has no configuration", given.incarnation !== incarnationOf(to));
      }
      if (given.type === "removed") {
        this.#options.removed();
        return;
      }
      throw new Unwilling(given.detail, true);
    } catch (error) {
      // Calls that were under way together fail together: one hiccup counts once.
      const again = startedAt >= state.failedAt;
      if (again) {
        state.failures++;
        state.failedAt = now();
      }
      if (error instanceof Unwilling && error.forGood) state.retryAt = now() + GONE_RETRY_MS;
      else if (state.failures >= FAILURES_BEFORE_PAUSE) state.retryAt = now() + this.#pause;
      if (again && state.failures === FAILURES_BEFORE_PAUSE) {
        this.#options.report(
          `peer ${to} unreachable: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      if (!this.#closed) unreachable(to);
    }
  }

  /** Between attempts to reach a lost peer; never so long that a leader which is back goes unheard for a loyalty period. */
  get #pause(): number {
    const { recovery_retry_ms, loyalty_ms, heartbeat_ms } = this.#options.configuration;
    return Math.min(recovery_retry_ms, Math.max(heartbeat_ms, (loyalty_ms - heartbeat_ms) / 2));
  }

  /** Passes an Ephemeral event on to those peers where somebody listens. Best effort: what is lost is lost. */
  tell(event: string): void {
    for (const [peer, state] of this.#states) {
      if (!state.listening || this.#closed) continue;
      state.events.push(event);
      if (state.events.length > EVENTS_WAITING_MAX) state.events.shift();
      if (!state.telling) void this.#tellAll(peer, state);
    }
  }

  async #tellAll(peer: string, state: PeerState): Promise<void> {
    const { configuration, namespace, chain, link } = this.#options;
    state.telling = true;
    while (state.events.length > 0 && !this.#closed) {
      const events = state.events.splice(0, atOnce(state.events));
      if (link.isolated || (link.degraded && !(await link.passes()))) continue;
      chain.countSubrequest();
      const body = encodeEphemeral(this.#header(peer, "response"), events);
      try {
        await namespace.ask(nameOf(peer), "/peer/ephemeral", body, 2 * configuration.loyalty_ms);
      } catch {
        // Its streams miss these; whether it is there at all is the business of heartbeats.
      }
    }
    state.telling = false;
  }

  /** Asks the leader for an index that makes a read linearizable; `undefined` if it does not say. */
  async readIndex(leader: string): Promise<Grant | undefined> {
    const body = encodePeerBody(this.#header(leader, "response"), []);
    const timeout_ms = 2 * this.#options.configuration.loyalty_ms;
    const answer = await this.#ask<Grant | PeerAnswer>(nameOf(leader), "/peer/read-index", body, timeout_ms);
    switch (answer?.type) {
      case "granted":
      case "not-leader":
      case "unavailable":
        return answer;
      default:
        return undefined;
    }
  }

  /** Tells a replica that the group is wanted. Whether it leads or is about to campaign. */
  async rouse(leader: string, timeout_ms: number): Promise<boolean> {
    const body = encodePeerBody(this.#header(leader, "response"), []);
    const answer = await this.#ask<{ readonly roused?: boolean }>(
      nameOf(leader),
      "/peer/rouse",
      body,
      timeout_ms,
    );
    return answer?.roused === true;
  }

  /** Asks whoever bears this name now, member or not; `undefined` without an answer in time. */
  askName<Answer>(
    name: string,
    path: string,
    question: object,
    timeout_ms: number,
  ): Promise<Answer | undefined> {
    return this.#ask<Answer>(name, path, JSON.stringify(question), timeout_ms);
  }

  async #ask<Answer>(
    name: string,
    path: string,
    body: string,
    timeout_ms: number,
  ): Promise<Answer | undefined> {
    const { namespace, chain, link } = this.#options;
    if (link.isolated || this.#closed || (link.degraded && !(await link.passes()))) return undefined;
    chain.countSubrequest();
    try {
      const answer = JSON.parse(await namespace.ask(name, path, body, timeout_ms)) as Answer;
      if (link.isolated || (link.degraded && !(await link.passes()))) return undefined;
      return answer;
    } catch {
      // It is gone or slow; the caller asks again, by then perhaps another one.
      return undefined;
    }
  }

  /** Asks a peer for something beside the protocol; `undefined` if it does not say. */
  async ask<Answer>(
    peer: string,
    path: string,
    request: unknown,
    timeout_ms: number,
  ): Promise<Answer | undefined> {
    const body = JSON.stringify({
      v: FORMAT_VERSION,
      ...this.#header(peer, "response"),
      messages: [],
      request,
    });
    const answer = await this.#ask<{ readonly v: number; readonly answer?: Answer }>(
      nameOf(peer),
      path,
      body,
      timeout_ms,
    );
    if (answer === undefined || answer.v !== FORMAT_VERSION) return undefined;
    return answer.answer;
  }

  #header(to: string, answer: PeerHeader["answer"]): PeerHeader {
    const { configuration, founding, id } = this.#options;
    const { cluster_id } = configuration;
    return { cluster_id, founding_id: founding.founding_id, from: id, to, answer };
  }

  #state(peer: string): PeerState {
    let state = this.#states.get(peer);
    if (!state) {
      state = {
        failures: 0,
        failedAt: 0,
        retryAt: 0,
        heardAt: 0,
        listening: false,
        events: [],
        telling: false,
      };
      this.#states.set(peer, state);
    }
    return state;
  }
}
