/**
 * What must hold in every run, whatever fails (figure 3 of the Raft paper), watched from outside:
 * one leader a term, matching logs, complete leaders, one history for every state machine, and
 * reads that miss nothing. Also the contract with the disk: nothing is promised that is not on it.
 */
import type { Message, ReadResult, Status } from "../../../src/raft/index.ts";
import type { Disk, TestEntry } from "./disk.ts";

function demand(holds: boolean, complaint: () => string): void {
  if (!holds) throw new Error(complaint());
}

export class Checks {
  /** What the group has decided, entry `index` at `index - 1`. */
  readonly history: TestEntry[] = [];
  readonly #leaders = new Map<number, string>();
  readonly #commands = new Set<string>();
  readonly #readFloors = new Map<string, number>();
  granted = 0;

  get elections(): number {
    return this.#leaders.size;
  }

  /** State machine safety: every replica applies the same entry at the same index, in order. */
  applied(id: string, after: number, entries: readonly TestEntry[]): void {
    let expected = after;
    for (const entry of entries) {
      expected += 1;
      demand(entry.index === expected, () => `${id} applied ${entry.index} in the place of ${expected}`);
      const decided = this.history[entry.index - 1];
      if (decided === undefined) this.#decide(id, entry);
      else
        demand(
          decided === entry || same(decided, entry),
          () => `${id} applied another entry at ${entry.index}`,
        );
    }
  }

  #decide(id: string, entry: TestEntry): void {
    const before = this.history.at(-1);
    demand(this.history.length === entry.index - 1, () => `${id} applied ${entry.index} out of thin air`);
    demand((before?.term ?? 0) <= entry.term, () => `terms go back at ${entry.index}`);
    demand((before?.time ?? 0) <= entry.time, () => `time goes back at ${entry.index}`);
    this.history.push(entry);
    if (entry.type !== "command") return;
    demand(!this.#commands.has(entry.command), () => `${entry.command} was committed twice`);
    this.#commands.add(entry.command);
  }

  /** Election safety and leader completeness. `disk` already holds what the leader appended. */
  observed(status: Status, disk: Disk): void {
    if (status.role !== "leader") return;
    const known = this.#leaders.get(status.term);
    demand(
      known === undefined || known === status.id,
      () => `${known} and ${status.id} lead term ${status.term}`,
    );
    if (known !== undefined) return;
    this.#leaders.set(status.term, status.id);
    for (const entry of this.history) {
      if (entry.term >= status.term) break;
      demand(
        disk.termAt(entry.index) === entry.term,
        () =>
          `${status.id} leads term ${status.term} without committed entry ${entry.index} of term ${entry.term}`,
      );
    }
  }

  /** Votes, acknowledgements and campaigns are true of the disk at the moment they are sent. */
  promised(message: Message<string>, disk: Disk): void {
    const { hardState, lastIndex } = disk.durable;
    const claim = () => `${JSON.stringify(message)} was sent with ${JSON.stringify(disk.durable)} on disk`;
    if (message.type === "vote-response" && message.granted) {
      const kept =
        hardState.term > message.term || (hardState.term === message.term && hardState.vote === message.to);
      demand(kept, claim);
    } else if (message.type === "vote-request") {
      const kept =
        hardState.term > message.term || (hardState.term === message.term && hardState.vote === message.from);
      demand(kept && lastIndex >= message.lastLog.index, claim);
    } else if (message.type === "append-response" && message.outcome.type === "matched") {
      demand(hardState.term > message.term || lastIndex >= message.outcome.through, claim);
    }
  }

  /** A read that starts now must see whatever any replica has applied by now. */
  asked(id: string): void {
    this.#readFloors.set(id, this.history.length);
  }

  answered(result: ReadResult): void {
    const floor = this.#readFloors.get(result.id);
    demand(floor !== undefined, () => `read ${result.id} was answered twice or never asked`);
    this.#readFloors.delete(result.id);
    if (result.type === "aborted") return;
    this.granted += 1;
    demand(
      result.index >= (floor ?? 0),
      () => `read ${result.id} saw ${result.index}, after ${floor} was applied`,
    );
  }

  /** Log matching: logs that agree at an index agree before it. */
  matching(disks: readonly Disk[]): void {
    for (const a of disks) {
      for (const b of disks) {
        let agree = false;
        for (let index = Math.min(a.lastIndex, b.lastIndex); index >= 1; index -= 1) {
          const equal = a.termAt(index) === b.termAt(index);
          demand(equal || !agree, () => `logs differ at ${index} but agree after it`);
          agree ||= equal;
        }
      }
    }
  }
}

function same(a: TestEntry, b: TestEntry): boolean {
  return (
    a.type === b.type &&
    a.term === b.term &&
    a.time === b.time &&
    (a.type !== "command" || (b.type === "command" && a.command === b.command))
  );
}
