/**
 * A few scripted replicas that answer each other at once: for scenarios in which the test says who
 * is up, who hears whom and when time passes. Whole groups under random faults are in `cluster.ts`.
 */
import type { Configuration } from "../../../src/raft/index.ts";
import { type Overrides, Replica, type TestMessage, TIMING } from "./replica.ts";

const MOST_MESSAGES = 10_000;

export class Group {
  readonly replicas = new Map<string, Replica>();
  /** Loses a message if it says so. */
  loses: (message: TestMessage) => boolean = () => false;
  readonly sent: TestMessage[] = [];
  now = 0;
  readonly #configuration: Configuration;
  readonly #overridesOf: (id: string) => Overrides;

  constructor(configuration: Configuration, overrides: Overrides | ((id: string) => Overrides) = {}) {
    this.#configuration = configuration;
    this.#overridesOf = typeof overrides === "function" ? overrides : () => overrides;
    const { voters, learners } = configuration.type === "stable" ? configuration : configuration.from;
    for (const id of [...voters, ...learners]) this.join(id, configuration);
  }

  /** A new replica with an empty log; it waits to be added unless it is given a configuration. */
  join(id: string, configuration?: Configuration): Replica {
    const replica = new Replica(id, { configuration }, { ...this.#overridesOf(id), now: this.now });
    this.replicas.set(id, replica);
    return replica;
  }

  get(id: string): Replica {
    const replica = this.replicas.get(id);
    if (replica === undefined) throw new Error(`there is no ${id} among ${[...this.replicas.keys()]}`);
    return replica;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Who leads the newest term. */
  get leader(): Replica | undefined {
    const leaders = [...this.replicas.values()].filter(({ status }) => status.role === "leader");
    return leaders.sort((a, b) => b.status.term - a.status.term)[0];
  }

  /** Delivers `messages` and everything that is said in answer. */
  deliver(messages: readonly TestMessage[]): void {
    const queue = [...messages];
    for (let count = 0; queue.length > 0; count += 1) {
      if (count === MOST_MESSAGES) throw new Error(`there is no end to it: ${JSON.stringify(queue[0])}`);
      const message = queue.shift();
      if (message === undefined) break;
      this.sent.push(message);
      if (!this.loses(message)) queue.push(...(this.replicas.get(message.to)?.step(message) ?? []));
    }
  }

  /** Carries out whatever the replicas want to do now. */
  settle(): void {
    for (const replica of this.replicas.values()) this.deliver(replica.pump());
  }

  /** Everybody's clock moves on, in steps small enough that nothing is overdue. */
  pass(duration: number): void {
    const end = this.now + duration;
    while (this.now < end) {
      this.now = Math.min(end, this.now + TIMING.heartbeatInterval);
      for (const replica of this.replicas.values()) this.deliver(replica.tick(this.now));
    }
  }

  /** Cuts `ids` off from the others. */
  isolate(...ids: readonly string[]): void {
    this.loses = ({ from, to }) => ids.includes(from) !== ids.includes(to);
  }

  heal(): void {
    this.loses = () => false;
  }

  /** `id` campaigns and must win; the others must have no leader that they hear. */
  elect(id: string): Replica {
    const replica = this.get(id);
    replica.raft.campaign();
    this.deliver(replica.pump());
    if (replica.status.role !== "leader") throw new Error(`${id} was not elected`);
    return replica;
  }
}
