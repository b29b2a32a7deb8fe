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

import type { Grant } from "./reads.ts";
import type { FaultState } from "./store.ts";
import type { ReplicaNamespace } from "./stubs.ts";

/** After this many failures in a row a peer is asked only every `RECOVERY_RETRY_MS`. */
const FAILURES_BEFORE_PAUSE = 3;
/** Of Ephemeral events; beyond it the oldest are lost. */
const EVENTS_WAITING_MAX = 1_000;
const EVENTS_AT_ONCE_MAX = 100;
const CALL_TIMEOUT_MS_MIN = 1000;

export interface PeersOptions {
  readonly configuration: Configuration;
  readonly founding: Founding;
  /** This replica's Raft identity. */
  readonly id: string;
  readonly namespace: ReplicaNamespace;
  readonly chain: Chain;
  readonly fault: () => FaultState;
  readonly now: () => number;
  /** Answers have arrived: a new event for the core. */
  readonly receive: (messages: readonly PeerMessage[]) => void;
  readonly unreachable: (peer: string) => void;
  /** The peer has no configuration: it may be one that this founding names and that has not heard of it. It is told so. */
  readonly blank: (name: string, incarnation: string) => void;
  readonly report: (text: string) => void;
}

/** Messages that answer one of this replica's own: the only ones that a response may carry. */
function isAnswer({ type }: PeerMessage): boolean {
  return type.endsWith("-response");
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

/** The Raft identity of a member. */
export function idOf({ name, incarnation }: { readonly name: string; readonly incarnation: string }): string {
  return `${name}.${incarnation}`;
}

/** The name of the replica behind a Raft identity. */
export function nameOf(id: string): string {
  const dot = id.lastIndexOf(".");
  return dot < 0 ? id : id.slice(0, dot);
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

  async post(to: string, messages: readonly PeerMessage[]): Promise<void> {
    const { configuration, namespace, chain, fault, now, receive, unreachable } = this.#options;
    const state = this.#state(to);
    const { isolated, delay_ms, drop_rate } = fault();
    if (isolated || now() < state.retryAt || (drop_rate > 0 && Math.random() < drop_rate)) {
      // The core may be in the middle of a batch: it learns of the failure in an event of its own.
      await Promise.resolve();
      if (!this.#closed) unreachable(to);
      return;
    }
    if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
    // Asking one that does not answer would be asking in vain.
    const answer = state.failures === 0 && chain.exhausted(now()) ? "request" : "response";
    const body = encodePeerBody(this.#header(to, answer), messages);
    chain.countSubrequest();
    const startedAt = now();
    try {
      const timeout = Math.max(CALL_TIMEOUT_MS_MIN, 2 * configuration.loyalty_ms);
      const response = await namespace.call(nameOf(to), "/peer", body, timeout);
      if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`);
      const given = (await response.json()) as PeerAnswer;
      checkVersion(`answer of ${to}`, given);
      if (this.#closed || fault().isolated) return;
      if (given.type === "messages") {
        this.heardFrom(to, now());
        state.listening = given.listening === true;
        const answers = given.messages.filter(isAnswer);
        if (answers.length > 0) receive(answers);
        return;
      }
      if (given.type === "blank") {
        chain.countSubrequest();
        this.#options.blank(nameOf(to), given.incarnation);
      }
      throw new Error(given.type === "blank" ? "it has no configuration" : given.detail);
    } catch (error) {
      // Calls that were under way together fail together: one hiccup counts once.
      const again = startedAt >= state.failedAt;
      if (again) {
        state.failures++;
        state.failedAt = now();
      }
      if (state.failures >= FAILURES_BEFORE_PAUSE) state.retryAt = now() + this.#pause;
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
    const { configuration, namespace, chain, fault } = this.#options;
    state.telling = true;
    try {
      while (state.events.length > 0 && !this.#closed) {
        const { isolated, delay_ms, drop_rate } = fault();
        const events = state.events.splice(0, EVENTS_AT_ONCE_MAX);
        if (isolated || (drop_rate > 0 && Math.random() < drop_rate)) continue;
        if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
        chain.countSubrequest();
        const body = encodeEphemeral(this.#header(peer, "response"), events);
        const response = await namespace.call(
          nameOf(peer),
          "/peer/ephemeral",
          body,
          2 * configuration.loyalty_ms,
        );
        await response.body?.cancel();
      }
    } catch {
      // Its streams miss these; whether it is there at all is the business of heartbeats.
      state.events = [];
    } finally {
      state.telling = false;
    }
  }

  /** Asks the leader for an index that makes a read linearizable; `undefined` if it does not say. */
  async readIndex(leader: string): Promise<Grant | undefined> {
    const { configuration, namespace, chain, fault } = this.#options;
    if (fault().isolated || this.#closed) return undefined;
    chain.countSubrequest();
    const body = encodePeerBody(this.#header(leader, "response"), []);
    try {
      const response = await namespace.call(
        nameOf(leader),
        "/peer/read-index",
        body,
        2 * configuration.loyalty_ms,
      );
      if (!response.ok || fault().isolated) return undefined;
      const answer = (await response.json()) as Grant | PeerAnswer;
      const understood = answer.type !== "messages" && answer.type !== "blank" && answer.type !== "mismatch";
      return understood && answer.type !== "stopped" ? answer : undefined;
    } catch {
      // The leader is gone or slow; the caller asks again, by then perhaps of another.
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
    const { namespace, chain, fault } = this.#options;
    const { isolated, delay_ms } = fault();
    if (isolated || this.#closed) return undefined;
    if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
    chain.countSubrequest();
    const body = JSON.stringify({
      v: FORMAT_VERSION,
      ...this.#header(peer, "response"),
      messages: [],
      request,
    });
    try {
      const response = await namespace.call(nameOf(peer), path, body, timeout_ms);
      if (!response.ok || fault().isolated) return undefined;
      const answer = (await response.json()) as { readonly v: number; readonly answer?: Answer };
      checkVersion(`answer of ${peer}`, answer);
      return answer.answer;
    } catch {
      // What became of it is unknown; whoever asks may ask again.
      return undefined;
    }
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
