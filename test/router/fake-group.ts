/**
 * Replicas that answer as a test tells them to, under a clock that a test moves: for what forwarding decides and when.
 * Nothing here shows that real replicas answer so; that is seen on real ones.
 */
import { vi } from "vitest";
import type { LogEvent } from "../../src/api/log.ts";
import type { Declined, Leadership } from "../../src/replica/rpc.ts";
import { FORWARD_MS } from "../../src/router/cluster.ts";
import { type ForwardCall, type Forwarded, Forwarding } from "../../src/router/forwarding.ts";
import type { Group } from "../../src/router/group.ts";

export type Behaviour = (call: {
  readonly path: string;
  readonly body: unknown;
  /** Of a stream: whoever asked does not want it any more. */
  readonly signal?: AbortSignal;
}) => unknown | Promise<unknown>;

export const NAMES = ["coordinator-1", "coordinator-2", "coordinator-3"] as const;
export type Name = (typeof NAMES)[number];

export interface FakeGroup {
  readonly group: Group;
  /** Every call but observations: when, whom, with what. */
  readonly calls: { readonly at: number; readonly replica: string; readonly body: unknown }[];
  readonly observations: { readonly at: number; readonly replica: string }[];
  readonly logs: Omit<LogEvent, "replica">[];
  behave(replica: string, behaviour: Behaviour): void;
  observed(replica: Name, leadership: Partial<Leadership>): void;
  forward(call?: Partial<ForwardCall>): Promise<{ readonly result: Forwarded; readonly ms: number }>;
}

/** Moves the clock until `promise` resolves, and says how far. */
export async function timed<Result>(
  promise: Promise<Result>,
): Promise<{ readonly result: Result; readonly ms: number }> {
  const begun = Date.now();
  let settled: { readonly result: Result } | undefined;
  void promise.then((result) => {
    settled = { result };
  });
  for (;;) {
    // Bodies of answers arrive by way of the real event loop.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (settled !== undefined) return { ...settled, ms: Date.now() - begun };
    if (Date.now() - begun > 60_000) throw new Error("not settled within a minute");
    await vi.advanceTimersByTimeAsync(5);
  }
}

export const applied = (index: number) => ({
  type: "applied",
  index,
  term: 1,
  outcome: { type: "done" },
  replayed: false,
});
export const notLeader = (leader?: Name, term = 1): Declined =>
  leader === undefined ? { type: "not-leader", term } : { type: "not-leader", leader, term };
export const noLeader: Declined = {
  type: "unavailable",
  code: "no-leader",
  detail: "no leader",
  retry_after_ms: 500,
};

/** Never answers, until it is given up on. */
export const hang: Behaviour = ({ signal }) =>
  new Promise((_resolve, reject) =>
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
  );

export const broken: Behaviour = () => Promise.reject(new Error("the stub is broken"));

export function later(ms: number, answer: unknown): Behaviour {
  return () => new Promise((resolve) => setTimeout(() => resolve(answer), ms));
}

/** Call after `vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })`. */
export function fakeGroup(leader?: Name): FakeGroup {
  const started = Date.now();
  const behaviours = new Map<string, Behaviour>(NAMES.map((name) => [name, () => noLeader]));
  const leaderships = new Map<string, Partial<Leadership>>();
  const calls: FakeGroup["calls"] = [];
  const observations: FakeGroup["observations"] = [];
  const logs: FakeGroup["logs"] = [];
  const group: Group = {
    names: NAMES,
    loyalty_ms: 300,
    hint: { leader },
    learn: () => {},
    log: (event) => logs.push(event),
    transport: {
      open: () => Promise.reject(new Error("there are no sockets here")),
      async ask(replica, path, text) {
        const body: unknown = JSON.parse(text);
        const at = Date.now() - started;
        if (path === "/observe") {
          observations.push({ at, replica });
          const view = leaderships.get(replica);
          if (view === undefined) await hang({ path, body });
          const result = { name: replica, term: 0, leads: false, ready: false, ...view };
          return JSON.stringify({ type: "answer", applied_index: 0, result });
        }
        calls.push({ at, replica, body });
        const answer = await behaviours.get(replica)?.({ path, body });
        return typeof answer === "string" ? answer : JSON.stringify(answer);
      },
      async stream(replica, path, text, signal) {
        const body: unknown = JSON.parse(text);
        calls.push({ at: Date.now() - started, replica, body });
        return (await behaviours.get(replica)?.({ path, body, signal })) as Response;
      },
    },
  };
  return {
    group,
    calls,
    observations,
    logs,
    behave: (replica, behaviour) => void behaviours.set(replica, behaviour),
    observed: (replica, leadership) => void leaderships.set(replica, leadership),
    forward(call = {}) {
      const forwarding = new Forwarding(group, {
        path: "/propose",
        body: { command: { id: "c-1" } },
        request_id: "r-1",
        writes: true,
        deadline: Date.now() + FORWARD_MS + (call.wait_ms ?? 0),
        ...call,
      });
      return timed(forwarding.run());
    },
  };
}
