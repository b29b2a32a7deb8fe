/**
 * What must hold at every step, whatever fails: figure 3 of the Raft paper, watched from outside,
 * the contract with the disk, and the limits. Whatever happens is told to everybody who watches.
 */
import type { Entry, LogPosition, Message, Persist, Raft, Ready, Status } from "../../src/raft/index.ts";
import { Bounds } from "./bounds.ts";
import { ConfigurationRules } from "./configuration-rules.ts";
import type { Figures } from "./figures.ts";
import { History } from "./history.ts";
import type { Host } from "./host.ts";
import { Logs } from "./logs.ts";
import type { Command, SimEntry } from "./machine.ts";
import { demandPromise } from "./promises.ts";
import type { Knobs } from "./scenario.ts";
import { Violation } from "./violation.ts";

export class Checks {
  readonly rules: ConfigurationRules;
  readonly #knobs: Knobs;
  readonly #history: History;
  readonly #logs: Logs;
  readonly #bounds: Bounds;

  constructor(hosts: readonly Host[], knobs: Knobs, figures: Figures, effectsOnly: boolean) {
    this.#knobs = knobs;
    this.rules = new ConfigurationRules(() => this.history, effectsOnly);
    this.#history = new History(hosts, knobs, figures, this.rules);
    this.#logs = new Logs(this.#history, knobs);
    this.#bounds = new Bounds(knobs);
  }

  /** What the group has decided, entry `index` at `index - 1`. */
  get history(): readonly SimEntry[] {
    return this.#history.entries;
  }

  /** A batch as it was taken. */
  batch(host: Host, ready: Ready<Command>): void {
    this.#bounds.batch(host, ready);
    if (this.#knobs.options.resumeLeadership && ready.sendNow.length > 0) {
      throw new Violation("who may resume its reign says nothing before it is durable", host.id, [host.id]);
    }
  }

  /** Before `persist` reaches the disk. */
  writing(host: Host, raft: Raft<Command>, persist: Persist<Command>): void {
    const { snapshot, entries } = persist;
    if (snapshot !== undefined) this.rules.installed(host, snapshot);
    this.#logs.writing(host, raft, persist);
    if (entries.length > 0) this.rules.writing(host, raft.status, entries);
  }

  /** Writes under way that a crash tore off. */
  torn(host: Host, entries: readonly SimEntry[]): void {
    this.#logs.torn(host, entries);
  }

  /** Back to life: nothing may be forgotten that was durable. */
  restarted(host: Host): void {
    this.#logs.restarted(host);
    this.rules.restarted(host);
    this.#history.demandDigest(host);
  }

  inOrder(host: Host, { index }: Entry<Command>, applied: number): void {
    if (index > applied) return;
    const detail = `${host.id}: ${index} after ${applied}`;
    throw new Violation("every entry is applied once and in order", detail, [host.id]);
  }

  /** The replica has applied what the batch says, and may say so. */
  delivered(host: Host, ready: Ready<Command>): void {
    this.#history.delivered(host, ready);
  }

  /** A message as it leaves; `exact` when all that the disk should hold is durable, and nothing newer. */
  sending(host: Host, message: Message<Command>, exact: boolean): void {
    switch (message.type) {
      case "vote-response":
        if (message.granted) this.#logs.votes(message.from, message.term, message.to);
        break;
      case "vote-request":
        this.#logs.votes(message.from, message.term, message.from);
        this.rules.campaigns(host);
        break;
      case "append-request":
        this.#bounds.sending(host, message);
        this.#logs.sent(message.entries);
        this.#history.leads(host, message.term);
        break;
      case "heartbeat":
      case "timeout-now":
        this.#history.leads(host, message.term);
        break;
    }
    demandPromise(host, message, exact);
  }

  /** A client was told where its command, the last of several, stands. */
  appended(host: Host, position: LogPosition, operation: number): void {
    this.#history.appended(host, position, operation);
  }

  decidedAt(operation: number): number | undefined {
    return this.#history.decidedAt(operation);
  }

  /** Orders what clients see strictly. */
  nextInstant(): number {
    return this.#history.nextInstant();
  }

  bounded(host: Host, status: Status): void {
    this.#bounds.observed(host, status);
  }

  /** What a replica believes, once it may say so. */
  observed(host: Host, status: Status): void {
    if (status.role === "leader") this.#history.leads(host, status.term);
    this.rules.observed(host, status);
  }
}
