/**
 * What must hold at every step, whatever fails: figure 3 of the Raft paper, watched from outside,
 * the contract with the disk, and the limits. Membership has its rules in `configuration-rules.ts`.
 *
 * Log matching is checked by induction: whoever writes an entry writes the one that anybody else
 * wrote at that term and index, after the same predecessor.
 */
import type {
  Entry,
  HardState,
  LogPosition,
  Message,
  Persist,
  Raft,
  Ready,
  Status,
} from "../../src/raft/index.ts";
import { ConfigurationRules } from "./configuration-rules.ts";
import type { Figures } from "./figures.ts";
import type { Host } from "./host.ts";
import { COMMAND_BYTES, type Command, digestAfter, type SimEntry } from "./machine.ts";
import { demandPromise } from "./promises.ts";
import type { Knobs } from "./scenario.ts";
import { Violation } from "./violation.ts";

interface Known {
  readonly entry: SimEntry;
  readonly before: number;
}

const TERMS = 1 << 20;
const MOST_MESSAGES = 400;

export class Checks {
  /** What the group has decided, entry `index` at `index - 1`. */
  readonly history: SimEntry[] = [];
  /** The term in which each was committed, or a later one: that of the first replica to know of it. */
  readonly #committedIn: number[] = [];
  /** Of the state machine after each of them. */
  readonly digests: number[] = [];
  readonly rules: ConfigurationRules;
  readonly #hosts: readonly Host[];
  readonly #knobs: Knobs;
  readonly #figures: Figures;
  readonly #leaders = new Map<number, string>();
  readonly #entries = new Map<number, Known>();
  /** Entries that were sent to somebody. */
  readonly #sent = new Set<number>();
  readonly #votes = new Map<string, string>();
  /** Term and vote as last written, by replica. */
  readonly #hardStates = new Map<string, HardState>();
  /** Which operation a client was told stands at a position. */
  readonly #appended = new Map<number, { readonly operation: number; readonly by: string }>();
  /** When each operation was first decided, in the order of events that clients see. */
  readonly #decided = new Map<number, number>();
  #instants = 0;
  /** Last index before the entries proposed in each reign, and in each life that resumed it. */
  readonly #reigns = new Map<
    string,
    { readonly life: number; readonly term: number; readonly from: number }
  >();

  constructor(hosts: readonly Host[], knobs: Knobs, figures: Figures) {
    this.#hosts = hosts;
    this.#knobs = knobs;
    this.#figures = figures;
    this.rules = new ConfigurationRules(this);
  }

  /** A batch as it was taken. */
  batch(host: Host, { sendNow, sendAfterPersist, committed }: Ready<Command>): void {
    const most = Math.max(sendNow.length, sendAfterPersist.length);
    if (most > MOST_MESSAGES) {
      throw new Violation("memory is bounded", `${host.id} sends ${most} messages at once`, [host.id]);
    }
    const weight = weightOf(committed);
    if (
      weight > this.#knobs.limits.committedBytes &&
      committed.length > 1 &&
      weightOf(committed.slice(1)) > 0
    ) {
      throw new Violation("memory is bounded", `${host.id} hands out ${weight} bytes at once`, [host.id]);
    }
    if (this.#knobs.options.resumeLeadership && sendNow.length > 0) {
      throw new Violation("who may resume its reign says nothing before it is durable", host.id, [host.id]);
    }
  }

  /** Before `persist` reaches the disk. */
  writing(host: Host, raft: Raft<Command>, { hardState, entries, snapshot }: Persist<Command>): void {
    if (hardState !== undefined) this.#neverBack(host, hardState);
    if (snapshot !== undefined) this.rules.installed(host, snapshot);
    const [first] = entries;
    if (first === undefined) return;
    const status = raft.status;
    const end = snapshot?.last.index ?? host.disk.lastIndex;
    if (snapshot === undefined && first.index <= end) this.#overwrites(host, first, end, status);
    if (first.index > end + 1) {
      throw new Violation("logs have no gaps", `${host.id} ends at ${end}, writes ${first.index}`, [host.id]);
    }
    let before =
      first.index === 1
        ? 0
        : snapshot !== undefined && first.index === end + 1
          ? snapshot.last.term
          : host.disk.termAt(first.index - 1);
    let index = first.index;
    for (const entry of entries) {
      if (entry.index !== index)
        throw new Violation("logs have no gaps", `${host.id} at ${entry.index}`, [host.id]);
      this.#matches(host, entry, before ?? -1);
      before = entry.term;
      index += 1;
    }
    this.rules.writing(host, status, entries);
  }

  #neverBack(host: Host, { term, vote }: HardState): void {
    const before = this.#hardStates.get(host.id);
    if (before !== undefined) {
      const kept = term > before.term || (term === before.term && (before.vote ?? vote) === vote);
      if (!kept) {
        const [was, is] = [before, { term, vote }].map((state) => JSON.stringify(state));
        throw new Violation("term and vote never go back", `${host.id}: ${was}, then ${is}`, [host.id]);
      }
    }
    this.#hardStates.set(host.id, { term, commit: 0, ...(vote !== undefined && { vote }) });
  }

  #overwrites(host: Host, first: SimEntry, end: number, status: Status): void {
    const was = host.status;
    if (was?.role === "leader" && status.role === "leader" && was.term === status.term) {
      throw new Violation(
        "a leader only appends to its log",
        `${host.id} overwrites its entry ${first.index} in term ${status.term}`,
        [host.id],
      );
    }
    for (let index = first.index; index <= Math.min(end, this.history.length); index += 1) {
      const decided = this.history[index - 1];
      if (decided !== undefined && host.disk.termAt(index) === decided.term) {
        throw new Violation(
          "what is committed stays",
          `${host.id} overwrites entry ${index} of term ${decided.term}, which is committed`,
          [host.id],
        );
      }
    }
  }

  /**
   * Entries that a crash tore off. A leader that resumes its reign may put others in their places,
   * provided that nobody has seen them.
   */
  torn(host: Host, entries: readonly SimEntry[]): void {
    if (!this.#knobs.options.resumeLeadership) return;
    for (const { term, index } of entries) {
      const key = index * TERMS + term;
      if (!this.#sent.has(key)) this.#entries.delete(key);
    }
    for (const [key, { by }] of this.#appended) {
      if (by === host.id && key >= (host.disk.lastIndex + 1) * TERMS) this.#appended.delete(key);
    }
  }

  #matches(host: Host, entry: SimEntry, before: number): void {
    const key = entry.index * TERMS + entry.term;
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { entry, before });
      return;
    }
    if (known.before !== before || !same(known.entry, entry)) {
      throw new Violation(
        "logs that agree at an index agree before it",
        `${host.id} writes another entry ${entry.index} of term ${entry.term}, or after another one`,
        [host.id],
      );
    }
  }

  /** Back to life: nothing may be forgotten that was durable. */
  restarted(host: Host): void {
    const { hardState } = host.disk;
    const before = this.#hardStates.get(host.id);
    // Only what a crash tore off may be missing, and nothing was said that depended on it.
    if (before !== undefined) this.#hardStates.set(host.id, hardState);
    this.rules.restarted(host);
    this.#demandDigest(host);
  }

  inOrder(host: Host, entry: Entry<Command>, applied: number): void {
    if (entry.index > applied) return;
    throw new Violation(
      "every entry is applied once and in order",
      `${host.id}: ${entry.index} after ${applied}`,
      [host.id],
    );
  }

  /** The replica has applied what the batch says, and may say so. */
  delivered(host: Host, { committed, persist }: Ready<Command>): void {
    for (const entry of committed) {
      const decided = this.history[entry.index - 1];
      if (decided === undefined) this.#decide(host, entry);
      else if (decided !== entry && !same(decided, entry)) {
        throw new Violation(
          "all state machines apply the same",
          `${host.id} applies another entry at ${entry.index}: term ${entry.term}, not ${decided.term}`,
          [host.id],
        );
      }
    }
    if ((committed.length > 0 || persist?.snapshot !== undefined) && !this.#knobs.gated)
      this.#demandDigest(host);
  }

  #demandDigest(host: Host): void {
    const { applied, digest } = host.machine;
    if (applied === 0 || applied > this.history.length || this.digests[applied - 1] === digest) return;
    throw new Violation("all state machines apply the same", `${host.id} has another state at ${applied}`, [
      host.id,
    ]);
  }

  #decide(host: Host, entry: SimEntry): void {
    const before = this.history.at(-1);
    if (this.history.length !== entry.index - 1) {
      throw new Violation("nothing is applied that was not decided before", `${host.id}: ${entry.index}`, [
        host.id,
      ]);
    }
    if ((before?.term ?? 0) > entry.term || (before?.time ?? 0) > entry.time) {
      throw new Violation("terms and times never go back along the log", `at ${entry.index}`, [host.id]);
    }
    this.rules.deciding(host, this.#hosts, entry);
    const operation = this.#appended.get(entry.index * TERMS + entry.term)?.operation;
    if (operation !== undefined && (entry.type !== "command" || entry.command.operation !== operation)) {
      throw new Violation("a position names one entry", `${entry.index} of term ${entry.term}`, [host.id]);
    }
    this.history.push(entry);
    const committedIn = host.disk.hardState.term;
    this.#committedIn.push(committedIn);
    this.digests.push(digestAfter(this.digests.at(-1) ?? 0, entry));
    if (entry.type === "command" && !this.#decided.has(entry.command.operation)) {
      this.#decided.set(entry.command.operation, this.nextInstant());
    }
    for (const other of this.#hosts) {
      const { status } = other;
      if (status?.role !== "leader" || status.term <= committedIn) continue;
      this.#demandComplete(other, entry, status.term);
    }
  }

  decidedAt(operation: number): number | undefined {
    return this.#decided.get(operation);
  }

  /** Orders what clients see strictly. */
  nextInstant(): number {
    this.#instants += 1;
    return this.#instants;
  }

  /** A client was told where its command, the last of several, stands. */
  appended(host: Host, { term, index }: LogPosition, operation: number): void {
    this.#appended.set(index * TERMS + term, { operation, by: host.id });
  }

  /** What a replica believes, once it may say so. */
  observed(host: Host, status: Status): void {
    if (status.role === "leader") this.#leads(host, status.term);
    this.rules.observed(host, status);
  }

  #leads(host: Host, term: number): void {
    const known = this.#leaders.get(term);
    if (known === host.id) return;
    if (known !== undefined) {
      throw new Violation("one leader a term", `${known} and ${host.id} both lead term ${term}`, [
        known,
        host.id,
      ]);
    }
    this.#leaders.set(term, host.id);
    this.#figures.elections += 1;
    host.world.elected(host);
    const last = this.history[this.#committedIn.findLastIndex((committedIn) => committedIn < term)];
    if (last !== undefined) this.#demandComplete(host, last, term);
  }

  /**
   * By log matching the newest committed entry vouches for all before it. What counts is when it was
   * committed, not its own term: one of an old term may become committed long after a leader without
   * it was elected.
   */
  #demandComplete(host: Host, { index, term }: SimEntry, reign: number): void {
    if (index < host.disk.firstIndex - 1 || host.disk.termAt(index) === term) return;
    throw new Violation(
      "a leader holds everything committed before its term",
      `${host.id} leads term ${reign} without entry ${index} of term ${term}`,
      [host.id],
    );
  }

  /** Nothing that grows may outgrow its limit. */
  bounded(host: Host, status: Status): void {
    if (status.role !== "leader") return;
    const { limits } = this.#knobs;
    let reign = this.#reigns.get(host.id);
    if (reign?.term !== status.term || reign.life !== host.life) {
      reign = { life: host.life, term: status.term, from: status.lastLog.index };
      this.#reigns.set(host.id, reign);
    }
    // Entries of former reigns were not proposed in this one.
    const own = status.lastLog.index - Math.max(status.commit, reign.from);
    if (own * COMMAND_BYTES > limits.uncommittedBytes + 20 * COMMAND_BYTES) {
      throw new Violation("memory is bounded", `${host.id} holds ${own} uncommitted entries`, [host.id]);
    }
    for (const [peer, progress] of status.progress) {
      if (progress.type !== "replicate") continue;
      const { messages, bytes } = progress.inFlight;
      if (messages > limits.inFlightMessages || bytes > limits.inFlightBytes + limits.messageBytes) {
        const detail = `${host.id} has ${messages} messages, ${bytes} bytes under way to ${peer}`;
        throw new Violation("memory is bounded", detail, [host.id]);
      }
    }
  }

  /** A message as it leaves, when all that the disk should hold is durable. */
  sending(host: Host, message: Message<Command>, exact: boolean): void {
    switch (message.type) {
      case "vote-response":
        if (message.granted) this.#votesOnce(message.from, message.term, message.to);
        break;
      case "vote-request":
        this.#votesOnce(message.from, message.term, message.from);
        this.rules.campaigns(host);
        break;
      case "append-request":
        if (message.entries.length > 1 && weightOf(message.entries) > this.#knobs.limits.messageBytes) {
          throw new Violation("memory is bounded", `${host.id} sends an append too large`, [host.id]);
        }
        if (this.#knobs.options.resumeLeadership) {
          for (const { term, index } of message.entries) this.#sent.add(index * TERMS + term);
        }
        this.#leads(host, message.term);
        break;
      case "heartbeat":
      case "timeout-now":
        this.#leads(host, message.term);
        break;
    }
    demandPromise(host, message, exact);
  }

  #votesOnce(voter: string, term: number, candidate: string): void {
    const key = `${voter} ${term}`;
    const known = this.#votes.get(key);
    if (known !== undefined && known !== candidate) {
      const detail = `${voter} votes for ${known} and ${candidate} in term ${term}`;
      throw new Violation("one vote a term", detail, [voter]);
    }
    this.#votes.set(key, candidate);
  }
}

function weightOf(entries: readonly SimEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === "command" ? COMMAND_BYTES : 0), 0);
}

function same(a: SimEntry, b: SimEntry): boolean {
  if (a === b) return true;
  if (a.type !== b.type || a.term !== b.term || a.time !== b.time) return false;
  if (a.type === "command") return b.type === "command" && a.command.operation === b.command.operation;
  if (a.type === "barrier" || b.type !== "configuration") return true;
  return JSON.stringify(a.configuration) === JSON.stringify(b.configuration);
}
