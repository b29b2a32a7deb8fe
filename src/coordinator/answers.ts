/**
 * First answers, so that a repeated command changes nothing: by command id for as long as a router may repeat itself,
 * by idempotency key for as long as a client may. A lease stands in an answer by its id; its input is taken from the
 * task when the answer is given again.
 */
import { leaseGrant } from "./attempts.ts";
import { bucketsOf } from "./buckets.ts";
import type { ClientKey, Command, EntryPlace } from "./commands.ts";
import type { Outcome } from "./outcomes.ts";
import type { BucketRecord, CommandAnswer, KeyEntry, RingPosition } from "./records.ts";
import { Ring } from "./ring.ts";
import type { State } from "./state.ts";

export const COMMAND_MS = 60_000;
export const COMMANDS_MAX = 100_000;
export const KEY_MS = 24 * 3_600_000;
export const KEYS_MAX = 1_000_000;
/** An answer that names more tasks or leases has a record of its own: 64 of those to a batch of 500 would be megabytes. */
const NAMED_MAX = 16;

export interface Applied {
  readonly outcome: Outcome;
  /** Given again because a client repeated its idempotency key. */
  readonly replayed: boolean;
}

type Leased = Extract<Outcome, { readonly leases: unknown }>;
type StoredOutcome =
  | Exclude<Outcome, Leased>
  | (Omit<Leased, "leases"> & { readonly lease_ids: readonly string[] });

export class Answers {
  readonly #state: State;
  /** Where the answer to a command is: of most of them nobody asks again, and there may be many. */
  readonly #commands = new Map<string, number>();
  readonly #command_ring: Ring<CommandAnswer>;
  readonly #key_ring: Ring<KeyEntry>;

  constructor(state: State, live_commands: Iterable<readonly [string, BucketRecord<CommandAnswer>]>) {
    this.#state = state;
    const { command_answers, key_order } = state.stored;
    this.#command_ring = new Ring(bucketsOf(state, "commands"), COMMANDS_MAX, command_answers);
    this.#key_ring = new Ring(bucketsOf(state, "key_order"), KEYS_MAX, key_order);
    for (const [key, { entries }] of live_commands)
      for (const [nth, { id }] of entries.entries()) this.#commands.set(id, Ring.ordinal(key, nth));
  }

  get positions(): { readonly command_answers: RingPosition; readonly key_order: RingPosition } {
    return { command_answers: this.#command_ring.position, key_order: this.#key_ring.position };
  }

  /** Forgets what is too old at the time of this entry. */
  expire(): void {
    const { now } = this.#state;
    this.#command_ring.expire(now - COMMAND_MS, ({ id }) => this.#commands.delete(id));
    this.#key_ring.expire(now - KEY_MS, ({ key, index }) => {
      if (this.#state.get("keys", key)?.index === index) this.#state.delete("keys", key);
    });
  }

  ofCommand(command_id: string): Applied | undefined {
    const ordinal = this.#commands.get(command_id);
    if (ordinal === undefined) return undefined;
    const { outcome, replayed } = this.#command_ring.entry(ordinal);
    return { outcome: this.#restore(outcome), replayed: replayed === true };
  }

  ofKey(client_key: ClientKey): Applied | undefined {
    const record = this.#state.get("keys", keyOf(client_key));
    if (record === undefined || record.time < this.#state.now - KEY_MS) return undefined;
    if (record.digest === client_key.digest)
      return { outcome: this.#restore(record.outcome), replayed: true };
    const detail = `idempotency key ${client_key.key} was used for another request`;
    return { outcome: { type: "refused", code: "idempotency-key-reused", detail }, replayed: false };
  }

  /** `client_key`: to be remembered with the answer, absent when it is the answer itself that was remembered. */
  remember(command: Command, applied: Applied, place: EntryPlace, client_key: ClientKey | undefined): void {
    const { now } = this.#state;
    const outcome = store(applied.outcome);
    if (!REPEATS_HARMLESSLY.has(command.type)) {
      const answer: CommandAnswer = {
        id: command.id,
        outcome,
        ...(applied.replayed ? { replayed: true } : {}),
      };
      const ordinal = this.#command_ring.append(answer, now, named(outcome) > NAMED_MAX);
      this.#commands.set(command.id, ordinal);
    }
    if (client_key === undefined || outcome.type === "refused") return;
    const key = keyOf(client_key);
    this.#state.put("keys", key, { v: 1, time: now, digest: client_key.digest, index: place.index, outcome });
    this.#key_ring.append({ key, index: place.index }, now);
  }

  #restore(stored: unknown): Outcome {
    const outcome = stored as StoredOutcome;
    if (!("lease_ids" in outcome)) return outcome;
    const { lease_ids, ...rest } = outcome;
    const leases = lease_ids
      .map((lease_id) => this.#state.lease(lease_id))
      .filter((lease) => lease !== undefined);
    return {
      ...rest,
      leases: leases.map((lease) => leaseGrant(lease, this.#state.inputOf(lease.task))),
    } as Leased;
  }
}

/** Proposed by a leader for what its state shows: applying them again finds nothing left to do. */
const REPEATS_HARMLESSLY: ReadonlySet<Command["type"]> = new Set([
  "start-leases",
  "expire-lease",
  "set-worker-state",
  "import-line",
  "advance-tasks",
  "forget-tasks",
]);

function keyOf({ scope, key }: ClientKey): string {
  return `${scope}\n${key}`;
}

function named(outcome: StoredOutcome): number {
  if ("lease_ids" in outcome) return outcome.lease_ids.length;
  return outcome.type === "batch-submitted" ? outcome.items.length : 0;
}

function store(outcome: Outcome): StoredOutcome {
  if (!("leases" in outcome)) return outcome;
  const { leases, ...rest } = outcome;
  return { ...rest, lease_ids: leases.map(({ lease_id }) => lease_id) };
}
