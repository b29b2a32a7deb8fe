/**
 * Bringing one request to the replica that can answer it. Follows hints, leaves broken and stopped replicas for the
 * next one, and when an answer is overdue asks everybody who leads: another leader gets the same command as well, the
 * same one is waited for. Repeats carry the same command id, so they are harmless.
 */
import { NODE_ID } from "../api/members.ts";
import type { Declined, Leadership, ReplicaName } from "../replica/rpc.ts";
import { type Attempt, type AttemptResult, startAttempt } from "./attempt.ts";
import { type Group, probeLeader } from "./group.ts";

const OVERDUE_SLACK_MS = 100;
const PROBE_MS_MIN = 250;
const PROBE_PAUSE_MS_MAX = 5_000;
const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 80;
const BACKOFF_GROWTH = 1.4;
const BACKOFF_FACTOR_MAX = 3;

export interface ForwardCall {
  readonly path: string;
  /** What is sent. Of a long poll it is made for each attempt, from what is left of the wait. */
  readonly body: object | ((wait_left_ms: number) => object);
  readonly request_id: string;
  /** When there must be an answer, whatever it is. */
  readonly deadline: number;
  /** It may have taken effect although it got no answer. */
  readonly writes: boolean;
  /** How long the far side may take on purpose; within the deadline. */
  readonly wait_ms?: number;
  /** Asked first; when it is stopped that is the answer. */
  readonly first?: ReplicaName;
  /** Nobody but `first` is asked. */
  readonly only?: boolean;
}

export type Forwarded =
  | { readonly type: "answer"; readonly value: unknown; readonly replica: ReplicaName }
  | { readonly type: "stopped"; readonly replica: ReplicaName }
  /** Nothing happened. */
  | Extract<Declined, { readonly type: "unavailable" }>
  /** `first`, alone asked, gave no answer; nothing was written. */
  | { readonly type: "unreachable"; readonly replica: ReplicaName; readonly detail: string }
  | Extract<Declined, { readonly type: "outcome-unknown" }>;

type Place = NonNullable<Extract<Declined, { readonly type: "outcome-unknown" }>["place"]>;

type Wake =
  | { readonly type: "settled"; readonly attempt: Attempt; readonly result: AttemptResult }
  | { readonly type: "probed"; readonly found: Leadership | undefined }
  | { readonly type: "timer" };

function timer(ms: number): { readonly done: Promise<Wake>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<Wake>();
  const handle = setTimeout(() => resolve({ type: "timer" }), Math.max(0, ms));
  return { done: promise, cancel: () => clearTimeout(handle) };
}

/** A poll that is taken elsewhere, or again, must not wait anew: nobody would be there to hear the answer. */
function bodyOf({ body, wait_ms = 0 }: ForwardCall, started: number): () => string {
  if (typeof body === "function") {
    return () => JSON.stringify(body(Math.max(0, started + wait_ms - Date.now())));
  }
  const text = JSON.stringify(body);
  return () => text;
}

export class Forwarding {
  readonly #group: Group;
  readonly #call: ForwardCall;
  readonly #bodyNow: () => string;
  readonly #deadline: number;
  readonly #inFlight = new Map<ReplicaName, Attempt>();
  /** Some attempt may have taken effect without telling. */
  #maybeHappened = false;
  /** Where it is known to have been appended. */
  #place: Place | undefined;
  /** Hints followed since the last pause: replicas that name each other in circles are given a rest. */
  #hops = 0;
  #failures = 0;
  #last: ReplicaName;
  #launchAt = Number.POSITIVE_INFINITY;
  #probeAt: number;
  #probePause_ms: number;
  #probing: Promise<Wake> | undefined;
  #refusal: Extract<Declined, { readonly type: "unavailable" }> | undefined;
  #broken = "";

  constructor(group: Group, call: ForwardCall) {
    this.#group = group;
    this.#call = call;
    this.#bodyNow = bodyOf(call, Date.now());
    this.#deadline = call.deadline;
    this.#last = call.first ?? group.hint.leader ?? group.names[0] ?? "";
    this.#probePause_ms = group.loyalty_ms + OVERDUE_SLACK_MS;
    this.#probeAt = Date.now() + this.#probePause_ms;
  }

  async run(): Promise<Forwarded> {
    if (Date.now() >= this.#deadline) return this.#exhausted();
    this.#launch(this.#last);
    try {
      for (;;) {
        const wake = await this.#next();
        if (wake.type === "settled") {
          this.#inFlight.delete(wake.attempt.replica);
          const conclusion = this.#settled(wake.attempt.replica, wake.result);
          if (conclusion !== undefined) return conclusion;
        } else if (wake.type === "probed") {
          this.#probed(wake.found);
        }
        const now = Date.now();
        if (now >= this.#deadline) return this.#exhausted();
        if (now >= this.#launchAt) {
          this.#hops = 0;
          this.#launch(this.#candidate());
        }
        if (now >= this.#probeAt && this.#inFlight.size > 0 && this.#probing === undefined) this.#probe();
      }
    } finally {
      for (const attempt of this.#inFlight.values()) attempt.abandon();
    }
  }

  #launch(replica: ReplicaName): void {
    this.#launchAt = Number.POSITIVE_INFINITY;
    this.#last = replica;
    if (this.#inFlight.has(replica)) return;
    const { path, request_id } = this.#call;
    // Given up at the deadline, as everything that is in flight then.
    const attempt = startAttempt(this.#group.transport, replica, { path, body: this.#bodyNow(), request_id });
    if (this.#inFlight.size === 0) this.#probeAt = Date.now() + this.#probePause_ms;
    this.#inFlight.set(replica, attempt);
  }

  /** The next thing that happens: an attempt's result, a probe's, or the earliest of the times. */
  async #next(): Promise<Wake> {
    const probing = this.#inFlight.size === 0 || this.#probing !== undefined;
    const wakeAt = Math.min(
      this.#deadline,
      this.#launchAt,
      probing ? Number.POSITIVE_INFINITY : this.#probeAt,
    );
    const alarm = timer(wakeAt - Date.now());
    const events: Promise<Wake>[] = [alarm.done];
    if (this.#probing !== undefined) events.push(this.#probing);
    for (const attempt of this.#inFlight.values()) {
      events.push(attempt.result.then((result): Wake => ({ type: "settled", attempt, result })));
    }
    try {
      return await Promise.race(events);
    } finally {
      alarm.cancel();
    }
  }

  /** What an attempt's result concludes; undefined to go on. */
  #settled(replica: ReplicaName, result: AttemptResult): Forwarded | undefined {
    const { hint } = this.#group;
    switch (result.type) {
      case "answer":
        // A follower answers reads as well, so they tell nothing about who leads.
        if (this.#call.writes) hint.leader = replica;
        return { type: "answer", value: result.value, replica };
      case "not-leader":
        this.#broken = "";
        if (hint.leader === replica) hint.leader = undefined;
        if (result.leader !== undefined) this.#follow(result.leader, replica, result.term);
        else this.#pause();
        return undefined;
      case "unavailable":
        // The leader itself has refused it: asking on would only add to its load.
        if ((result.code === "overloaded" || result.code === "too-large") && this.#nothingHappened)
          return result;
        // Lost storage does not come back by itself, nor does a removed replica.
        if ((result.code === "storage-lost" || result.code === "removed") && this.#call.only === true)
          return result;
        this.#refusal = result;
        break;
      case "stopped":
        if (replica === this.#call.first && this.#nothingHappened) return { type: "stopped", replica };
        break;
      case "outcome-unknown":
        this.#maybeHappened = true;
        this.#place = result.place ?? this.#place;
        break;
      case "broken":
        this.#broken = result.detail;
        if (this.#call.writes) this.#maybeHappened = true;
        break;
    }
    if (hint.leader === replica) hint.leader = undefined;
    this.#pause();
    return undefined;
  }

  #follow(leader: ReplicaName, from: ReplicaName, term: number): void {
    if (this.#call.only === true || leader === from || !NODE_ID.test(leader)) {
      this.#pause();
      return;
    }
    this.#group.hint.leader = leader;
    if (this.#inFlight.has(leader)) return;
    if (this.#hops >= this.#group.names.length) {
      this.#pause();
      return;
    }
    this.#hops += 1;
    this.#group.log({ request_id: this.#call.request_id, message: "redirect", from, to: leader, term });
    this.#launch(leader);
  }

  /** The next attempt comes after a jittered, growing pause; another one in flight does not hold it up. */
  #pause(): void {
    const factor = Math.min(BACKOFF_GROWTH ** this.#failures, BACKOFF_FACTOR_MAX);
    const jittered = BACKOFF_MS_MIN + Math.random() * (BACKOFF_MS_MAX - BACKOFF_MS_MIN);
    this.#failures += 1;
    this.#launchAt = Math.min(this.#launchAt, Date.now() + jittered * factor);
  }

  /** Whom the group's hint names by now, or the next in turn. */
  #candidate(): ReplicaName {
    const { names, hint } = this.#group;
    if (this.#call.only === true) return this.#last;
    if (hint.leader !== undefined && !this.#inFlight.has(hint.leader)) return hint.leader;
    const turn = names.indexOf(this.#last);
    for (let step = 1; step <= names.length; step++) {
      const name = names[(turn + step) % names.length];
      if (name !== undefined && !this.#inFlight.has(name)) return name;
    }
    return this.#last;
  }

  #probe(): void {
    this.#probeAt = Number.POSITIVE_INFINITY;
    if (this.#call.only === true) return;
    const asked = probeLeader(
      this.#group,
      this.#call.request_id,
      Math.max(this.#group.loyalty_ms, PROBE_MS_MIN),
    );
    this.#probing = asked.then((found) => ({ type: "probed", found }));
  }

  #probed(found: Leadership | undefined): void {
    this.#probing = undefined;
    // The leader itself says that it can commit: there is less and less reason to ask.
    if (found?.ready === true) this.#probePause_ms = Math.min(this.#probePause_ms * 2, PROBE_PAUSE_MS_MAX);
    this.#probeAt = Date.now() + this.#probePause_ms;
    const leader = found?.leads === true ? found.name : found?.leader;
    if (leader === undefined) return;
    this.#group.hint.leader = leader;
    if (this.#inFlight.has(leader)) return;
    const from = [...this.#inFlight.keys()].join(",");
    this.#group.log({
      request_id: this.#call.request_id,
      message: "redirect",
      from,
      to: leader,
      overdue: true,
    });
    this.#launch(leader);
  }

  get #nothingHappened(): boolean {
    return !this.#call.writes || (!this.#maybeHappened && this.#inFlight.size === 0);
  }

  #exhausted(): Forwarded {
    const { first, only } = this.#call;
    if (!this.#nothingHappened) {
      const detail =
        "no leader confirmed the write in time; it may have been committed, or be committed later";
      return {
        type: "outcome-unknown",
        detail,
        ...(this.#place === undefined ? {} : { place: this.#place }),
      };
    }
    const silent = this.#broken !== "" || this.#inFlight.size > 0;
    if (only === true && first !== undefined && this.#refusal === undefined && silent) {
      return { type: "unreachable", replica: first, detail: this.#broken || "no answer in time" };
    }
    const detail = "no leader with a majority was found in time";
    return this.#refusal ?? { type: "unavailable", code: "no-leader", detail, retry_after_ms: 1_000 };
  }
}
