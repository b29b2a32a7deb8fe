/**
 * A whole group in this process: real replicas, from the Durable Object down, over SQLite, in virtual time.
 *
 * What tests with it prove: what a replica says to whom, in which order, in which event, and what it has written by
 * then, under losses, delays, stalls and superseded instances that are chosen exactly and come back the same each time.
 * What they do not prove: that workerd keeps the rules that platform.ts lays down, that real storage is durable, and
 * what anything costs. The tests on real workerd are in test/cluster.
 */
import { vi } from "vitest";
import type { Command } from "../../src/coordinator/commands.ts";
import type { PeerMessage } from "../../src/replica/codec.ts";
import type { ProposeAnswer } from "../../src/replica/proposals.ts";
import type { Answer, Declined, Fault, Pull } from "../../src/replica/rpc.ts";
import { Random } from "../simulation/random.ts";
import type { Disk } from "./platform.ts";
import { Platform } from "./platform.ts";
import type { VirtualTime } from "./time.ts";

vi.mock("cloudflare:workers", () => ({
  DurableObject: class {
    readonly ctx: unknown;
    readonly env: unknown;
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx;
      this.env = env;
    }
  },
}));
const { Replica } = await import("../../src/replica/replica.ts");

const CLUSTER = "troika";
export const NAMES = ["coordinator-1", "coordinator-2", "coordinator-3"] as const;

export interface GroupOptions {
  readonly seed?: number;
  readonly flush_ms?: number;
  /** Variables as in `wrangler.toml`. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** A command as the router makes it. */
export type Body = Command extends infer Known
  ? Known extends Command
    ? Omit<Known, "v" | "id">
    : never
  : never;

export const EVENT: Body = { type: "append-event", kind: "noted", body: '{"a":1}' };

/** What can be seen of a group on the wire, without disturbing anybody. */
interface Seen {
  /** The highest term that anybody acted in; asking for pre-votes is not acting. */
  term: number;
  /** Who sent in that term as leader. */
  leader: string | undefined;
  /** What that leader says is committed. */
  commit: number;
  conflicts: number;
}

export class Group {
  readonly platform: Platform;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly seen: Seen = { term: 0, leader: undefined, commit: 0, conflicts: 0 };
  readonly logs: string[] = [];
  #commands = 0;

  constructor({ seed = 1, flush_ms = 2, variables = {} }: GroupOptions = {}) {
    const random = new Random(seed);
    this.random = random;
    this.platform = new Platform({
      cluster: CLUSTER,
      flush_ms,
      create: (ctx, REPLICA) =>
        new Replica(ctx, {
          CLUSTER_ID: CLUSTER,
          REPLICAS: "3",
          FAULTS: "on",
          ...variables,
          REPLICA,
        } as never),
    });
    this.time = this.platform.time;
    vi.spyOn(Math, "random").mockImplementation(random.next);
    vi.spyOn(console, "log").mockImplementation((line: string) => void this.logs.push(line));
    this.platform.watch = (call) => {
      for (const message of call.messages) this.#see(call.from.name, message);
    };
    this.platform.watchAnswer = (call, messages) => {
      for (const message of messages) this.#see(call.to, message);
    };
  }

  /** A group that is founded and has a leader that can commit. */
  static async founded(options: GroupOptions = {}): Promise<Group> {
    const group = new Group(options);
    for (const name of NAMES) await group.time.outcome(group.call(name, "/observe", { what: "leadership" }));
    await group.time.until("a first leader", 10_000, () => group.seen.commit > 0);
    await group.time.pass(300);
    return group;
  }

  release(): void {
    this.time.release();
  }

  get leader(): string {
    const { leader, term } = this.seen;
    if (leader === undefined) throw new Error(`term ${term} has no leader`);
    return leader;
  }

  get followers(): readonly [string, string] {
    const [one, other] = NAMES.filter((name) => name !== this.leader);
    if (one === undefined || other === undefined) throw new Error("a group has three replicas");
    return [one, other];
  }

  /** What the router does. */
  async call<Result>(name: string, path: string, body: unknown): Promise<Result> {
    const text = await this.platform.ask(name, path, JSON.stringify(body));
    if (text === undefined) throw new Error(`${name} does not hear its peers`);
    return JSON.parse(text) as Result;
  }

  async propose(body: Body | Record<string, unknown>): Promise<ProposeAnswer> {
    const command = { v: 1, id: `command-${++this.#commands}`, ...body };
    return this.call(this.leader, "/propose", { command });
  }

  /** Proposes and lets time pass until it is answered; throws unless the command was applied. */
  async apply(body: Body): Promise<Extract<ProposeAnswer, { type: "applied" }>> {
    const answer = await this.time.outcome(this.propose(body));
    if (answer.type !== "applied") throw new Error(`${body.type}: ${JSON.stringify(answer)}`);
    return answer;
  }

  pull(pull: Omit<Pull, "command_id">): Promise<ProposeAnswer> {
    return this.call(this.leader, "/pull", { command_id: `pull-${++this.#commands}`, ...pull });
  }

  /** A linearizable read at this replica; `applied_index` says what it was read from. */
  read(name: string): Promise<Answer | Declined> {
    return this.call(name, "/read", { query: { type: "workers", limit: 1 }, consistency: "linearizable" });
  }

  fault(name: string, action: Fault["action"], degree: Omit<Fault, "action"> = {}): Promise<Answer> {
    return this.time.outcome(this.call(name, "/fault", { action, ...degree }));
  }

  /** `clients` that each propose, wait for the answer and propose again, until the returned function is called. */
  load(clients: number, answered: (answer: ProposeAnswer) => void = () => {}): () => void {
    let going = true;
    const client = async () => {
      while (going) {
        // Like the router it gives up on an answer that an instance took with it when it was destroyed.
        const answer = await Promise.race([
          this.propose(EVENT).catch((): ProposeAnswer => ({ type: "stopped" })),
          new Promise<ProposeAnswer>((resolve) => setTimeout(() => resolve({ type: "stopped" }), 1_000)),
        ]);
        answered(answer);
        // As the router does it: not at once, and by then perhaps elsewhere.
        if (answer.type !== "applied") await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    for (let at = 0; at < clients; at++) setTimeout(() => void client(), at % 10);
    return () => {
      going = false;
    };
  }

  #see(from: string, message: PeerMessage): void {
    const { seen } = this;
    if (!("term" in message) || message.type.startsWith("pre-vote")) return;
    if (message.term > seen.term) Object.assign(seen, { term: message.term, leader: undefined, commit: 0 });
    if (message.type === "append-response" && message.outcome.type === "conflict") seen.conflicts++;
    if (message.term < seen.term || (message.type !== "heartbeat" && message.type !== "append-request"))
      return;
    seen.leader = from;
    if (message.commit > 0) seen.commit = message.commit;
  }
}

/** Rows of a replica's log, oldest first, with the size of each in bytes; not those that were cut away. */
export function rowsOf(disk: Disk): readonly { first: number; last: number; bytes: number }[] {
  const start = "SELECT json_extract(body, '$.\"index\"') FROM state WHERE key = 'log_start'";
  const query = `SELECT first, last, length(CAST(body AS BLOB)) AS bytes FROM log WHERE last > ifnull((${start}), 0) ORDER BY first`;
  return disk.exec(query, []).rows as { first: number; last: number; bytes: number }[];
}
